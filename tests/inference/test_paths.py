"""Answers in a hierarchy: levels, and where to stop."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import articles, write_csv
from slugline import load, train
from slugline.cli.app import run as run_command
from slugline.core.errors import DataError
from slugline.core.labels import LabelSet
from slugline.inference.paths import level_answers, stop_at
from slugline.inference.predict_files import predict_file, predict_texts
from slugline.recipe.recipe import validate

TREE = LabelSet(("sport/golf", "sport/tennis", "tech/apps"), kind="hierarchical", levels=("domain", "area"))


def test_the_probability_of_a_level_is_the_sum_over_its_leaves() -> None:
    ((top, leaf),) = level_answers(TREE, np.array([[0.3, 0.3, 0.4]]))
    assert (top.level, top.path, top.probability) == ("domain", "sport", pytest.approx(0.6))
    assert (leaf.level, leaf.path, leaf.probability) == ("area", "tech/apps", 0.4)


@given(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), st.floats(0, 1))
def test_the_deepest_level_that_passes_is_the_answer(scores: list[float], threshold: float) -> None:
    (answers,) = level_answers(TREE, np.array([scores]) / sum(scores))
    chosen = stop_at(answers, threshold)
    passing = [answer for answer in answers if answer.probability >= threshold]
    assert chosen == (passing[-1] if passing else answers[0])


@pytest.fixture(scope="module")
def tree_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    parents = {"business": "money", "politics": "public", "sport": "public", "tech": "money"}
    rows = [row | {"label": f"{parents.get(row['label'], 'money')}/{row['label']}"} for row in articles(180)]
    rows += [{"text": f"rates and bonds {n} of a bank", "label": "money/banks"} for n in range(20)]
    data = {"path": str(write_csv(folder / "news.csv", rows))}
    return train(validate({"name": "tree", "data": data, "model": {"kind": "linear"}}), run_dir=folder / "run").path


def test_predictions_have_the_levels_and_stop_where_asked(tree_run: Path, tmp_path: Path) -> None:
    classifier = load(tree_run)
    text = articles(1)[0]["text"]
    (whole,) = predict_texts(classifier, [text])
    assert [level["level"] for level in whole["levels"]] == ["level1", "level2"]
    assert whole["label"] == whole["levels"][-1]["path"]
    (strict,) = predict_texts(classifier, [text], level_threshold=1.0)
    assert strict["label"] == whole["levels"][0]["path"]
    assert strict["probability"] == whole["levels"][0]["probability"]
    write_csv(tmp_path / "new.csv", [{"text": text}])
    predict_file(classifier, tmp_path / "new.csv", tmp_path / "out.jsonl", level_threshold=1.0)
    assert json.loads((tmp_path / "out.jsonl").read_text())["predicted"] == strict["label"]


def test_a_level_threshold_needs_levels_and_is_a_probability(tree_run: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not between 0 and 1"):
        predict_texts(load(tree_run), ["a"], level_threshold=1.5)
    data = {"path": str(write_csv(tmp_path / "news.csv", articles(90)))}
    flat = train(validate({"name": "flat", "data": data, "model": {"kind": "linear"}}), run_dir=tmp_path / "run")
    with pytest.raises(DataError, match="single label set, without levels"):
        predict_texts(load(flat.path), ["a"], level_threshold=0.5)


def test_the_command_prints_each_level(tree_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["predict", str(tree_run), "bonds of a bank", "--level-threshold", "0.2"]) in (0, None)
    out = capsys.readouterr().out
    assert "level1" in out
    assert "money" in out
