"""A copy of a model folder predicts as the run does; damaged configurations are refused by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import articles, linear, with_changes, write_csv
from slugline import load, train
from slugline.core.errors import ModelError
from slugline.recipe.recipe import Recipe

DATA = {"max_length": 12, "clean": ["encoding", "whitespace", "lowercase"]}
LONG = [" ".join(row["text"].upper() for row in articles(4, seed=seed)) for seed in range(12)]


def recipes(values: dict[str, Any]) -> dict[str, Recipe]:
    # A high temperature: two epochs at a low rate leave the model far from certain.
    return {
        "head": with_changes(values, data=DATA),
        "tail": with_changes(values, data=DATA | {"long_texts": "tail"}),
        "window": with_changes(values, data=DATA | {"long_texts": "window", "stride": 4, "max_windows": 5}),
        "linear": linear(values | {"data": values["data"] | {"clean": DATA["clean"]}}),
    }


@pytest.mark.parametrize("name", ["head", "tail", "window", "linear"])
def test_a_copy_of_the_model_predicts_as_the_run(recipe_values: dict[str, Any], tmp_path: Path, name: str) -> None:
    run = train(recipes(recipe_values)[name], run_dir=tmp_path / "run")
    copied = shutil.copytree(run.layout.model, tmp_path / "elsewhere" / "copied")
    expected, found = load(run.path), load(copied)
    np.testing.assert_array_equal(found.predict_proba(LONG), expected.predict_proba(LONG))
    assert found.calibration == run.calibration
    assert (found.text_columns, found.name) == (("text",), run.recipe.name)
    # Without the file, the model reads other texts or has other probabilities: the test can fail.
    (copied / "slugline.json").unlink()
    assert not np.allclose(load(copied).predict_proba(LONG), expected.predict_proba(LONG))


def test_the_model_of_a_fold_is_complete_too(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    run = train(linear(recipe_values, folds=2), run_dir=tmp_path / "run")
    for fold in run.folds:
        copied = shutil.copytree(fold.layout.model, tmp_path / f"copied-{fold.path.name}")
        np.testing.assert_array_equal(load(copied).predict_proba(LONG), load(fold.path).predict_proba(LONG))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ("{}", "damaged"),
        (json.dumps({"format": 99}), "newer"),
        ('{"format": "2"}', "damaged"),
    ],
)
def test_a_damaged_configuration_is_refused(
    recipe_values: dict[str, Any], tmp_path: Path, text: str, message: str
) -> None:
    run = train(linear(recipe_values), run_dir=tmp_path / "run")
    copied = shutil.copytree(run.layout.model, tmp_path / "copied")
    (copied / "slugline.json").write_text(text)
    with pytest.raises(ModelError, match=rf"slugline\.json.*{message}"):
        load(copied)


def test_columns_of_the_training_are_read_from_tables(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    rows = [row | {"title": row["label"]} for row in articles(150)]
    path = write_csv(tmp_path / "titled.csv", rows)
    run = train(
        linear(recipe_values | {"data": {"path": str(path), "text": ["title", "text"]}}), run_dir=tmp_path / "r"
    )
    copied = load(shutil.copytree(run.layout.model, tmp_path / "copied"))
    table = {"text": [row["text"] for row in rows[:9]], "title": [row["label"] for row in rows[:9]]}
    assert (copied.predict(table) == load(run).predict(table)).all()


def test_the_configuration_of_a_model_with_other_labels_is_refused(
    recipe_values: dict[str, Any], tmp_path: Path
) -> None:
    run = train(linear(recipe_values), run_dir=tmp_path / "run")
    copied = shutil.copytree(run.layout.model, tmp_path / "copied")
    values = json.loads((copied / "slugline.json").read_text())
    assert values["labels"]["names"] == run.manifest["data"]["labels"]
    assert values["calibration"] == run.calibration.to_dict()  # type: ignore[union-attr]
    for labels in (values["labels"] | {"kind": "multi"}, values["labels"] | {"names": ["a", "b", "c"]}):
        (copied / "slugline.json").write_text(json.dumps(values | {"labels": labels}))
        with pytest.raises(ModelError, match=r"slugline\.json belongs to another model.*3 classes of a single"):
            load(copied)
    # Files of earlier versions do not name the labels.
    (copied / "slugline.json").write_text(json.dumps({key: values[key] for key in values if key != "labels"}))
    assert load(copied).calibration == run.calibration
