"""The examples of CONTRIBUTING run, and what they add is used."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import write_csv
from slugline.core.labels import LabelSet
from slugline.core.predictions import Predictions
from slugline.data.checks import run as checks
from slugline.data.checks.checked_rows import CheckedRows
from slugline.data.findings import Finding
from slugline.data.folds import folds_of
from slugline.data.load import load_dataset
from slugline.data.preparing.splits import split_rules
from slugline.data.preparing.splits.assign_splits import hash_order
from slugline.data.preparing.splits.rows_to_split import Fractions, NewSplits, RowsToSplit
from slugline.evaluation import metrics
from slugline.evaluation.outcomes.outcomes import Outcomes
from slugline.evaluation.outcomes.statistics import Floats
from slugline.evaluation.score import confidence_intervals
from slugline.recipe.data_section import DataSection
from slugline.workflows.check_data import check_data
from slugline.workflows.first_recipe import data_recipe

GUIDES = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def run_example(heading: str, names: dict[str, Any]) -> None:
    """Run the Python block of a section of CONTRIBUTING with these names."""
    section = GUIDES.split(f"## {heading}\n")[1].split("\n## ")[0]
    (block,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    exec(compile(block, "CONTRIBUTING.md", "exec"), names)  # the project's own document


def test_the_check_of_the_guide_finds_texts_in_capitals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = dict(checks.CHECKS)
    run_example(
        "Adding a check", {"CHECKS": table, "Check": checks.Check, "CheckedRows": CheckedRows, "Finding": Finding}
    )
    monkeypatch.setitem(checks.CHECKS, "shouted", table["shouted"])

    def findings(texts: Sequence[str]) -> list[Finding]:
        path = write_csv(tmp_path / "a.csv", [{"text": text, "label": "xy"[n % 2]} for n, text in enumerate(texts)])
        return list(check_data(data_recipe(str(path)), checks=("shouted",)).findings)

    plain = [f"words{n} of a text" for n in range(40)]
    assert "shouted" not in {finding.kind for finding in findings(plain)}
    (found,) = [finding for finding in findings([*plain, "ALL IN CAPITALS"]) if finding.kind == "shouted"]
    assert (found.count, found.level, found.message) == (1, "note", "texts in capitals: 1")


def test_the_split_rule_of_the_guide_cuts_splits_at_random(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = dict(split_rules.SPLIT_RULES)
    names = {"SPLIT_RULES": table, "SplitRule": split_rules.SplitRule, "hash_order": hash_order, "np": np}
    types = {"RowsToSplit": RowsToSplit, "Fractions": Fractions, "NewSplits": NewSplits}
    run_example("Adding a split rule", names | types)
    monkeypatch.setitem(split_rules.SPLIT_RULES, "random", table["random"])
    rows = [{"text": f"words{n} of text {n}", "label": "rare" if n % 20 == 0 else "often"} for n in range(200)]

    def splits(rows: Sequence[dict[str, str]], seed: int) -> dict[str, set[str]]:
        path = write_csv(tmp_path / "a.csv", rows)
        dataset = load_dataset(DataSection(path=str(path), split_rule="random", split_seed=seed))
        assert len(folds_of(dataset, 2, seed=seed)) == 2
        return {split: set(part["text"]) for split, part in dataset.splits.items()}

    drawn = [splits(rows, seed) for seed in range(6)]
    assert all([len(parts[split]) for split in ("train", "validation", "test")] == [140, 20, 40] for parts in drawn)
    assert all(len(set.union(*parts.values())) == 200 for parts in drawn)
    assert splits(rows[::-1], 3) == drawn[3] != drawn[4]
    n_rare = [sum(row["text"] in parts["test"] for row in rows[::20]) for parts in drawn]
    assert len(set(n_rare)) > 1  # the stratified rule always has two


def test_the_metric_of_the_guide_has_a_value_and_an_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    table = dict(metrics.METRICS)
    names = {"METRICS": table, "Metric": metrics.Metric, "ANY_LABELS": metrics.ANY_LABELS}
    run_example("Adding a metric", {**names, "Outcomes": Outcomes, "Floats": Floats})
    monkeypatch.setitem(metrics.METRICS, "missed_labels", table["missed_labels"])
    targets = np.random.default_rng(1).random((200, 4)) < 0.5
    targets[0] = True
    predicted = targets.copy()
    predicted[::2, 1] = False
    predictions = Predictions(
        ids=np.array([str(n) for n in range(200)], dtype=object),
        targets=targets,
        logits=np.where(predicted, 4, -4).astype(np.float32),
        labels=LabelSet(("a", "b", "c", "d"), kind="multi"),
        split="test",
    )
    summary = metrics.summary(predictions)
    assert summary["missed_labels"] == pytest.approx((targets & ~predicted).sum() / targets.sum())
    low, high = confidence_intervals(predictions)["missed_labels"]
    assert low < summary["missed_labels"] < high
    assert "missed_labels" not in metrics.metrics_of(LabelSet(("a", "b")))
