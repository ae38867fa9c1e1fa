"""`slugline check`: figures of runs by path, criteria, levels, exit codes, and files that are wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import linear
from slugline import train
from slugline.cli.app import run as run_cli
from slugline.core.errors import RecipeError, RunError
from slugline.run.bounds import Bound
from slugline.run.figures import MissingFigure, figure
from slugline.run.run import Run
from slugline.workflows.check_run import check_run, read_criteria


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, news_csv: Path) -> Run:
    """A complete run of the linear kind."""
    recipe = linear({"name": "linear", "data": {"path": str(news_csv)}})
    return train(recipe, run_dir=tmp_path_factory.mktemp("runs") / "linear")


def criteria_file(folder: Path, text: str) -> Path:
    path = folder / "criteria.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_figures_are_those_of_the_files_of_the_run(finished: Run) -> None:
    scores = finished.metrics["test"]
    recalls = [each["recall"] for each in scores["per_class"].values()]
    assert figure(finished, "test.accuracy") == scores["accuracy"]
    assert figure(finished, "test.f1_macro.low") == scores["confidence_intervals"]["f1_macro"][0]
    assert figure(finished, "test.f1_macro.high") == scores["confidence_intervals"]["f1_macro"][1]
    assert figure(finished, "test.per_class.sport.recall") == scores["per_class"]["sport"]["recall"]
    assert figure(finished, "test.per_class.min.recall") == min(recalls)
    assert figure(finished, "test.per_class.max.recall") == max(recalls)
    assert figure(finished, "test.per_class.mean.recall") == pytest.approx(sum(recalls) / len(recalls))
    assert figure(finished, "test.per_class.range.recall") == pytest.approx(max(recalls) - min(recalls))
    assert figure(finished, "timing.train_seconds") == finished.metrics["timing"]["train_seconds"]
    assert figure(finished, "size.model_bytes") == finished.metrics["size"]["model_bytes"]
    assert figure(finished, "data.imbalance") == finished.data["imbalance"]
    assert figure(finished, "manifest.tracked") is finished.manifest["tracked"]
    assert figure(finished, "manifest.data.fingerprint") == finished.manifest["data"]["fingerprint"]


def test_names_with_dots_are_found(finished: Run, tmp_path: Path) -> None:
    run = Run(tmp_path)
    metrics = {"test": {"per_class": {"comp.graphics": {"f1": 0.5, "support": 3}, "comp": {"f1": 0.1, "support": 1}}}}
    run.write_json(run.layout.manifest, finished.manifest)
    run.write_json(run.layout.metrics, metrics)
    assert figure(run, "test.per_class.comp.graphics.f1") == 0.5
    assert figure(run, "test.per_class.comp.f1") == 0.1


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("test.acuracy", "Did you mean 'accuracy'"),
        ("test.acuracy.low", "Did you mean 'accuracy'"),
        ("tset.accuracy", "Did you mean 'test'"),
        ("test.per_class.min.recal", "Did you mean 'recall'"),
        ("test.per_class.sprot.f1", "Did you mean 'sport'"),
        ("timing.train_second", "Did you mean 'train_seconds'"),
        ("data.imbalanse", "Did you mean 'imbalance'"),
        ("test.per_class", "is no single figure"),
        ("test", "is no single figure"),
        ("test.accuracy.middle", "there is no figure 'middle'"),
        ("", "there is no figure ''"),
    ],
)
def test_paths_that_name_no_figure_are_errors(finished: Run, path: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words) as caught:
        figure(finished, path)
    assert not isinstance(caught.value, MissingFigure)


@pytest.mark.parametrize(
    ("path", "words"),
    [("out_of_fold.accuracy", "was not scored on out_of_fold"), ("bundle.verified", "has no bundle.json")],
)
def test_figures_that_another_run_may_have_are_missing(finished: Run, path: str, words: str) -> None:
    with pytest.raises(MissingFigure, match=words):
        figure(finished, path)


@pytest.mark.parametrize(
    ("text", "value", "is_met"),
    [
        ("> 0.92", 0.93, True),
        ("> 0.92", 0.92, False),
        (">= 0.92", 0.92, True),
        ("<500e6", 4_000_000, True),
        ("< 500e6", 5e8, False),
        ("<= 3", 3, True),
        ("= true", True, True),
        ("= true", False, False),
        ("= true", 1, False),
        ("!= true", False, True),
        ("= cpu", "cpu", True),
        ("= cpu", "cuda", False),
        ("> 0.5", "cpu", False),
        ("= 1", True, False),
    ],
)
def test_bounds(text: str, value: Any, is_met: bool) -> None:
    assert Bound.parse(text, where="x").is_met(value) is is_met


@pytest.mark.parametrize("text", ["0.92", "> high", "=> 3", "", 0.92, "> true", "about 3"])
def test_what_is_no_bound_is_refused_with_its_place(tmp_path: Path, text: object) -> None:
    path = criteria_file(tmp_path, f"[minimum]\n'test.accuracy' = {json.dumps(text)}\n")
    with pytest.raises(RecipeError, match=r"criteria.toml, \[minimum\] test.accuracy"):
        read_criteria(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "has no level"), ("'test.accuracy' = '> 1'", "is in no level"), ("[minimum\n", "criteria.toml: ")],
)
def test_files_that_are_no_criteria_are_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        read_criteria(criteria_file(tmp_path, text))


def test_paths_need_no_quotes(tmp_path: Path) -> None:
    quoted = criteria_file(tmp_path, '[low]\n"test.accuracy.low" = "> 0.5"\n')
    expected = read_criteria(quoted)
    assert read_criteria(criteria_file(tmp_path, '[low]\ntest.accuracy.low = "> 0.5"\n')) == expected


def test_a_level_needs_the_levels_below_it(finished: Run, tmp_path: Path) -> None:
    impossible = '"test.accuracy" = "> 1"'
    text = f'[low]\n"test.accuracy" = "> 0.5"\n[middle]\n{impossible}\n[high]\n"test.accuracy" = ">= 0"\n'
    criteria = read_criteria(criteria_file(tmp_path, text))
    met = {level: check_run(finished, criteria, level=level).is_met for level in criteria}
    assert met == {"low": True, "middle": False, "high": False}
    acceptance = check_run(finished, criteria)
    assert (acceptance.required, acceptance.reached) == ("low", "low")
    with pytest.raises(RecipeError, match="Did you mean 'middle'"):
        check_run(finished, criteria, level="midle")


def test_the_levels_of_news_are_part_of_the_package(finished: Run) -> None:
    acceptance = check_run(finished, read_criteria(Path("news")), level="excellent")
    assert list(acceptance.levels) == ["minimum", "target", "excellent"]
    assert not acceptance.is_met
    (bundle,) = [each for each in acceptance.levels["excellent"] if each.path == "bundle.verified"]
    assert (bundle.value, bundle.is_met, bundle.reason) == (None, False, f"{finished.path} has no bundle.json.")
    with pytest.raises(RecipeError, match="or one of: news"):
        read_criteria(Path("nwes"))


def test_the_command_prints_figures_and_exits_with_3(
    finished: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = criteria_file(
        tmp_path, '[low]\n"test.accuracy" = "> 0.1"\n[high]\n"test.accuracy" = "> 1"\n"bundle.verified" = "= true"\n'
    )
    command = ["check", str(finished.path), "--criteria", str(path)]
    assert run_cli(command) == 0
    out = capsys.readouterr().out
    assert f"{finished.metrics['test']['accuracy']:.4g}" in out
    assert "Level 'low' is met. The highest level that is met: low." in out
    assert run_cli([*command, "--level", "high", "--json"]) == 3
    values = json.loads(capsys.readouterr().out)
    assert (values["is_met"], values["reached"]) == (False, "low")
    assert [each["is_met"] for each in values["levels"]["high"]] == [False, False]


def test_a_run_that_is_not_finished_is_refused(finished: Run, tmp_path: Path) -> None:
    unfinished = Run(tmp_path)
    unfinished.write_text(unfinished.layout.recipe, finished.layout.recipe.read_text(encoding="utf-8"))
    unfinished.write_json(unfinished.layout.manifest, finished.manifest | {"state": "failed"})
    with pytest.raises(RunError, match="the run is failed"):
        check_run(unfinished, read_criteria(Path("news")))
