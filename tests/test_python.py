"""Slugline in Python: arguments of natural types, errors that suggest names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import slugline
from conftest import articles, write_csv
from slugline import Recipe, Run, compare, load, train
from slugline.core.errors import DataError, RecipeError, RunError
from slugline.pipeline import evaluate_on, score_split
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
