"""Slugline in Python: arguments of natural types, errors that suggest names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import slugline
from conftest import articles, write_csv
from slugline import Recipe, Run, compare, load, train
from slugline.core.errors import DataError, RecipeError, RunError
from slugline.pipeline import evaluate_on, score_split
from slugline.pipeline.run_data import dataset_of
from slugline.recipe.recipe import validate, write

TEXTS = ["market shares profit bank", "match goal team coach", "software phone internet"]


def linear_recipe(folder: Path, name: str, **data: Any) -> Recipe:
    """A recipe of the linear kind on a file in the folder."""
    path = folder / "my.csv"
    if not path.exists():
        write_csv(path, articles(90))
    return validate({"name": name, "data": {"path": str(path), **data}, "model": {"kind": "linear"}})


def test_runs_and_paths_are_accepted_wherever_one_of_them_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.toml").write_text(write(linear_recipe(tmp_path, "one")))
    one = train(Recipe.read("one.toml"), run_dir="runs/one")
    two = train("one.toml", run_dir=Path("runs") / "two")
    three = train(Recipe.read(Path("one.toml"), ["name=three"]))
    assert [run.path for run in (one, two, three)] == [Path("runs/one"), Path("runs/two"), Path("runs/three")]
    expected = load("runs/one").predict(TEXTS).tolist()
    for path in (one, one.path, Run("runs/one")):  # type: ignore[arg-type]
        assert load(path).predict(TEXTS).tolist() == expected
        assert evaluate_on(path).metrics["accuracy"] == one.metrics["test"]["accuracy"]
        assert score_split(path, "test") == one.metrics["test"]
    named = {"first": one, "second": "runs/two"}
    for runs in ((one, two), ([one, two],), (["runs/one", Path("runs/two")],), ("runs/one", two)):
        assert [run.name for run in compare(*runs).runs] == ["one", "two"]
    assert [run.name for run in compare(named).runs] == ["first", "second"]
    assert [run.name for run in compare(one.predictions("test"), two.predictions("test")).runs] == ["run 1", "run 2"]
    assert compare(one, two, split="validation", metric="f1_macro").split == "validation"
    with pytest.raises(DataError, match="two or more"):
        compare(one)


def test_a_checkpoint_is_resumed_from_if_it_is_given_as_a_string(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RunError, match="a cross-validation has one run per fold"):
        train(validate(recipe_values | {"train": {"folds": 2}}), run_dir=str(tmp_path), resume="checkpoint-3")


@pytest.mark.parametrize("make", [Recipe.model_validate, lambda values: Recipe(**values), validate])
def test_errors_in_python_suggest_the_nearest_name(make: Any) -> None:
    wrong = {
        "name": "x",
        "data": {"name": "bbc_news", "max_lenght": 3},
        "train": {"epoch": 1},
        "model": {"kind": "linaer"},
    }
    with pytest.raises(RecipeError) as raised:
        make(wrong)
    for name in ("max_length", "epochs", "linear"):
        assert f"Did you mean {name!r}?" in raised.value.message
    assert "recipe schema" in raised.value.hint


def test_unknown_names_are_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(AttributeError, match="Did you mean 'train'"):
        slugline.trian  # noqa: B018
    run = train(linear_recipe(tmp_path, "my"), run_dir=tmp_path / "runs" / "my-news")
    with pytest.raises(RunError, match="Did you mean 'validation'"):
        run.predictions("validaton")
    with pytest.raises(RunError, match="Did you mean 'my-news'"):
        _ = Run(tmp_path / "runs" / "my-new").metrics
    with pytest.raises(RecipeError, match="Did you mean 'accuracy'"):
        compare(run, run, metric="acuracy")


def test_every_public_name_exists() -> None:
    assert set(slugline.__all__) <= set(dir(slugline))
    for name in slugline.__all__:
        assert callable(getattr(slugline, name))


def script(folder: Path, *lines: str) -> str:
    """Run a program in the folder; return its stderr."""
    environment = os.environ | {"SLUGLINE_CACHE": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stdout
    return done.stderr


TRAINING = ("from slugline import Recipe, train", "train(Recipe.read('my.toml'), run_dir='run', force=True)")


@pytest.fixture
def conflicting(tmp_path: Path) -> Path:
    """A folder with my.toml, whose data gives a warning: a text has two labels."""
    rows = articles(90)
    write_csv(tmp_path / "my.csv", [*rows, rows[0] | {"label": "sport"}])
    (tmp_path / "my.toml").write_text(write(linear_recipe(tmp_path, "my")))
    return tmp_path


def test_warnings_and_progress_are_visible_in_scripts(conflicting: Path) -> None:
    fast = ("from slugline.core import progress", "progress.INTERVAL_SECONDS = 0")
    err = script(conflicting, *fast, *TRAINING)
    assert "warning: my: texts with different labels" in err
    assert "text column: 'text'" in err
    assert "cleaning: 91 of 91 texts" in err
    assert "texts with different labels" in (conflicting / "run" / "log.txt").read_text()
    hidden = ("import logging", "logging.getLogger('slugline').setLevel(logging.WARNING)", "progress.hide()")
    err = script(conflicting, *fast, *hidden, *TRAINING)
    assert err.startswith("warning:")
    assert "text column" not in err
    assert "cleaning" not in err


def test_a_program_that_configures_logging_gets_each_message_once(conflicting: Path) -> None:
    own = ("import logging, sys", "logging.basicConfig(format='own %(message)s', level=logging.WARNING)")
    err = script(conflicting, *own, *TRAINING)
    assert err.count("texts with different labels") == 1
    assert "own my: texts with different labels" in err
    assert "warning:" not in err
    after = ("import slugline.core.messages as m", "assert not m.logger.handlers and m.logger.level == 0")
    script(conflicting, *TRAINING, *after)


def test_representations_are_short_and_have_figures(tmp_path: Path) -> None:
    run = train(linear_recipe(tmp_path, "my"), run_dir=tmp_path / "run")
    accuracy, f1 = (run.metrics["test"][name] for name in ("accuracy", "f1_macro"))
    assert f"{run.path}: complete" in repr(run)
    assert f"test accuracy {accuracy:.4f} and f1_macro {f1:.4f}" in repr(run)
    classifier = repr(load(run))
    assert "my: 3 classes (business, sport, tech)" in classifier
    assert f"temperature {run.calibration.temperature:.3g}" in classifier  # type: ignore[union-attr]
    dataset = dataset_of(run.recipe)
    assert f"train {len(dataset['train'])}, validation" in repr(dataset)
    for shown in (repr(run), classifier):
        assert len(shown) < 250 + len(str(tmp_path))
    run.layout.metrics.write_text("{")
    assert repr(run).endswith("complete>")
    assert repr(Run(tmp_path / "nothing")).endswith("nothing: new>")
