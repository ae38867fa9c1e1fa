"""Rows that a run has learned from are left out when it is evaluated on other data."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import slugline
from conftest import articles, linear, write_csv
from slugline.cli.app import run as command
from slugline.core.errors import DataError
from slugline.data.load import load_rows
from slugline.pipeline.run_data import dataset_of
from slugline.recipe.data_section import DataSection
from slugline.run.run import Run


@pytest.fixture
def trained(recipe_values: dict[str, Any], tmp_path: Path) -> Run:
    """A run on 105 train, 15 validation and 30 test rows."""
    return slugline.train(linear(recipe_values), run_dir=tmp_path / "run")


def rows_of(run: Run, split: str) -> list[dict[str, str]]:
    dataset = dataset_of(run.recipe)
    labels = [name for (name,) in dataset.labels.decode(dataset.targets(split))]
    return [{"text": text, "label": label} for text, label in zip(dataset[split]["text"][:], labels, strict=True)]


def test_only_rows_that_were_not_learned_are_scored(
    trained: Run, news_csv: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = slugline.evaluate(trained, news_csv)
    assert found.metrics["accuracy"] == trained.metrics["test"]["accuracy"]
    left_out = found.metrics["left_out"]
    assert {key: left_out[key] for key in ("count", "of", "by_id", "by_text")} == {
        "count": 120,
        "of": 150,
        "by_id": 120,
        "by_text": 0,
    }
    assert set(left_out["ids"]) <= set(dataset_of(trained.recipe)["train"]["id"]) | set(
        dataset_of(trained.recipe)["validation"]["id"]
    )
    assert "120 of 150 rows, which" in caplog.text
    assert left_out["ids"][0] in caplog.text
    kept = slugline.evaluate(trained, news_csv, learned="keep")
    assert (kept.metrics["support"], "left_out" in kept.metrics) == (150, False)


def test_texts_that_count_as_the_same_are_left_out(trained: Run, tmp_path: Path) -> None:
    same = [
        {"text": f"  {row['text'].upper()}\t", "label": row["label"], "more": "x"} for row in rows_of(trained, "train")
    ]
    new = [row | {"more": "y"} for row in articles(12, seed=7)]
    path = write_csv(tmp_path / "again.csv", [*same, *new])
    left_out = slugline.evaluate(trained, path).metrics["left_out"]
    assert (left_out["count"], left_out["by_id"], left_out["by_text"]) == (105, 0, 105)
    assert slugline.evaluate(trained, write_csv(tmp_path / "new.csv", new)).metrics["support"] == 12


def test_a_file_of_training_rows_is_refused(trained: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(write_csv(tmp_path / "train.csv", rows_of(trained, "train")))
    with pytest.raises(DataError, match="no row is left to score: 105 of 105 rows") as caught:
        slugline.evaluate(trained, path)
    assert "--keep-learned" in caught.value.hint
    assert command(["evaluate", str(trained.path), "--data", path]) == 1
    capsys.readouterr()
    assert command(["evaluate", str(trained.path), "--data", path, "--keep-learned", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["test"]["support"] == 105


@pytest.mark.parametrize("split", ["test", "validation", "train"])
def test_learned_rows_are_left_out_under_any_name(trained: Run, news_csv: Path, split: str) -> None:
    assert slugline.evaluate(trained, news_csv, split=split).metrics["support"] == 30
    expected = {"test": 30, "validation": 15, "train": 105}[split]
    assert slugline.evaluate(trained, split=split).metrics["support"] == expected


def test_equal_numbers_in_an_id_column_do_not_mean_equal_rows(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    for number, name in enumerate(("one", "two")):
        rows = [{"id": str(n), **row} for n, row in enumerate(articles(90, seed=number))]
        (tmp_path / name).mkdir()
        write_csv(tmp_path / name / "train.csv", rows)
        columns = {"id": "id", "text": ["text"], "label": "label"}
        (tmp_path / name / "metadata.json").write_text(json.dumps({"columns": columns}))
    values = recipe_values | {"data": {"path": str(tmp_path / "one")}}
    run = slugline.train(linear(values), run_dir=tmp_path / "run")
    assert slugline.evaluate(run, tmp_path / "two").metrics["support"] == 90
    assert slugline.evaluate(run, tmp_path / "one").metrics["left_out"]["by_id"] == 72


def test_a_cross_validation_has_learned_from_all_folds(
    recipe_values: dict[str, Any], tmp_path: Path, news_csv: Path
) -> None:
    run = slugline.train(linear(recipe_values, folds=3), run_dir=tmp_path / "run")
    assert slugline.evaluate(run, news_csv).metrics["left_out"]["count"] == 120
    fold = run.folds[0]
    assert slugline.evaluate(fold, news_csv).metrics["left_out"]["count"] == 120
    assert slugline.evaluate(fold, news_csv, split="validation").metrics["support"] == 30
    assert slugline.evaluate(fold.layout.model, news_csv).metrics["left_out"]["count"] == 120


def test_classifiers_and_rows_in_python_are_treated_alike(trained: Run, news_csv: Path) -> None:
    classifier = slugline.load(trained)
    rows = load_rows(DataSection(path=str(news_csv)), classifier.labels, split="test")
    assert slugline.evaluate(classifier, rows).metrics["support"] == 30
    assert slugline.evaluate(classifier, news_csv).metrics["support"] == 30
    assert slugline.evaluate(trained.path, rows, learned="keep").metrics["support"] == 150
    assert slugline.evaluate(classifier).metrics["accuracy"] == trained.metrics["test"]["accuracy"]


def test_a_run_of_an_earlier_version_is_checked_by_its_data(
    trained: Run, news_csv: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trained.layout.learned.unlink()
    assert slugline.evaluate(trained, news_csv).metrics["left_out"]["count"] == 120
    manifest = trained.manifest
    manifest["data"]["fingerprint"] = "other"
    trained.layout.manifest.write_text(json.dumps(manifest))
    with caplog.at_level(logging.WARNING):
        assert slugline.evaluate(trained, news_csv).metrics["support"] == 150
    assert "has learned from are not known" in caplog.text


def test_the_texts_themselves_are_not_stored(trained: Run) -> None:
    table = pq.read_table(trained.layout.learned)
    assert (table.num_rows, table.column_names) == (120, ["split", "id", "text"])
    assert all(len(text) == 16 for text in table["text"].to_pylist())
    assert trained.layout.foreign_files() == []


def test_rows_without_a_label_can_be_left_out_of_an_evaluation(
    trained: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write_csv(tmp_path / "new.csv", [*articles(12, seed=7), {"text": "a text", "label": ""}]))
    assert command(["evaluate", str(trained.path), "--data", path]) == 1
    assert "unlabelled" in capsys.readouterr().err
    assert command(["evaluate", str(trained.path), "--data", path, "--unlabelled", "drop", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["test"]["support"] == 12


def test_a_copied_model_and_mistaken_arguments_are_not_silent(
    trained: Run, news_csv: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copied = shutil.copytree(trained.layout.model, tmp_path / "copied")
    slugline.evaluate(copied, news_csv)
    assert "has learned from are not known" in caplog.text
    with pytest.raises(DataError, match=r"learned is 'kep'.*Did you mean 'keep'"):
        slugline.evaluate(trained, news_csv, learned="kep")  # type: ignore[arg-type]
    for rows in ({"text": ["a"], "label": ["tech"]}, ["a"], None):
        with pytest.raises(DataError, match="rows to evaluate are"):
            slugline.evaluate(trained, rows)  # type: ignore[arg-type]
    named = slugline.evaluate(trained, news_csv, text="text", label="label")
    assert named.metrics["support"] == 30
