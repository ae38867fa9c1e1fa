"""Metrics of hierarchical label sets, compared with sets of ancestors; their intervals and paired tests."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from slugline.core.errors import DataError, RecipeError
from slugline.core.labels import NO_PART, LabelSet
from slugline.core.predictions import Predictions
from slugline.evaluation.comparison.compare import compare
from slugline.evaluation.error_analysis import analyse_errors
from slugline.evaluation.metrics import METRICS, metric, metrics_of, numbers_in, summary
from slugline.evaluation.outcomes.outcomes import outcomes_of
from slugline.evaluation.score import confidence_intervals, score

TREE = LabelSet(
    ("sport/tennis/open", "sport/tennis/cup", "sport/football/cup", "news/world/-", "news/-/-", "tech/web/open"),
    kind="hierarchical",
    levels=("domain", "area", "topic"),
)


def predictions_of(labels: LabelSet, targets: Any, predicted: Any, *, margin: float = 3.0) -> Predictions:
    return Predictions(
        ids=np.array([f"row-{row}" for row in range(len(targets))], dtype=np.str_),
        targets=np.asarray(targets, dtype=np.int64),
        logits=(margin * np.eye(len(labels))[np.asarray(predicted, dtype=np.int64)]).astype(np.float32),
        labels=labels,
        split="test",
    )


@st.composite
def trees(draw: st.DrawFn) -> LabelSet:
    """Leaves of a tree of up to 4 levels; equal parts below different parents, and paths that end above the leaves."""
    depth = draw(st.integers(1, 4))
    paths = st.lists(st.sampled_from("abc"), min_size=1, max_size=depth)
    drawn = draw(st.lists(paths, min_size=2, max_size=8, unique_by=tuple))
    names = ["/".join([*path, *[NO_PART] * (depth - len(path))]) for path in drawn]
    return LabelSet(tuple(names), kind="hierarchical")


def ancestors(name: str) -> set[str]:
    """The nodes on the path of a leaf, each with the path that leads to it."""
    parts = name.split("/")
    return {"/".join(parts[:level]) for level in range(1, len(parts) + 1) if parts[level - 1] != NO_PART}


def kiritchenko(labels: LabelSet, targets: list[int], predicted: list[int]) -> float:
    """Hierarchical F1 of Kiritchenko et al. (2005), from its definition."""
    true_sets, predicted_sets = ([ancestors(labels.names[leaf]) for leaf in leaves] for leaves in (targets, predicted))
    shared = sum(len(true & found) for true, found in zip(true_sets, predicted_sets, strict=True))
    precision, recall = shared / sum(map(len, predicted_sets)), shared / sum(map(len, true_sets))
    return 2 * precision * recall / (precision + recall) if shared else 0.0


@settings(deadline=None)
@given(st.data())
def test_metrics_agree_with_sets_of_ancestors(data: st.DataObject) -> None:
    labels = data.draw(trees())
    leaves = st.integers(0, len(labels) - 1)
    rows = data.draw(st.lists(st.tuples(leaves, leaves), min_size=1, max_size=25))
    targets, predicted = [list(each) for each in zip(*rows, strict=True)]
    found = summary(predictions_of(labels, targets, predicted))
    assert found["hierarchical_f1"] == pytest.approx(kiritchenko(labels, targets, predicted))
    for level in range(1, labels.depth):
        cut = [["/".join(labels.paths[leaf][:level]) for leaf in each] for each in (targets, predicted)]
        name = labels.level_names[level - 1]
        assert found[f"accuracy_{name}"] == pytest.approx(accuracy_score(*cut))
        assert found[f"f1_macro_{name}"] == pytest.approx(f1_score(*cut, average="macro", zero_division=0))
    assert found["accuracy"] == pytest.approx(accuracy_score(targets, predicted))
    assert found["f1_macro"] == pytest.approx(f1_score(targets, predicted, average="macro", zero_division=0))


@settings(deadline=None)
@given(st.data())
def test_errors_by_level_agree_with_the_paths(data: st.DataObject) -> None:
    labels = data.draw(trees())
    leaves = st.integers(0, len(labels) - 1)
    rows = data.draw(st.lists(st.tuples(leaves, leaves), min_size=1, max_size=25))
    targets, predicted = [list(each) for each in zip(*rows, strict=True)]
    expected = dict.fromkeys(labels.level_names, 0)
    for true, found in rows:
        if true != found:
            pairs = zip(labels.paths[true], labels.paths[found], strict=True)
            expected[labels.level_names[next(level for level, (a, b) in enumerate(pairs) if a != b)]] += 1
    analysis = analyse_errors(predictions_of(labels, targets, predicted), [""] * len(rows))
    assert analysis["by_highest_wrong_level"] == expected
    assert sum(expected.values()) == analysis["errors"]


def test_metrics_of_a_tree_are_named_by_its_levels() -> None:
    found = summary(drawn(40))
    assert json.loads(json.dumps(found)) == found
    assert [name for name in found if "domain" in name or "area" in name or "topic" in name] == [
        "accuracy_domain",
        "f1_macro_domain",
        "accuracy_area",
        "f1_macro_area",
    ]
    unnamed = LabelSet(TREE.names, kind="hierarchical")
    assert {"accuracy_level1", "f1_macro_level2", "hierarchical_f1"} <= metrics_of(unnamed).keys()


def test_metrics_of_levels_are_known_before_the_levels_are() -> None:
    assert (metric("f1_macro_area").title, metric("accuracy_domain").unit) == ("macro F1 of area", "points")
    with pytest.raises(RecipeError, match=r"no metric 'accuracy_place' of a hierarchical label set.*'accuracy_area'"):
        metric("accuracy_place", TREE)
    with pytest.raises(RecipeError, match="no metric 'precision_area'"):
        metric("precision_area")


def test_the_single_numbers_of_a_split_are_found_by_name() -> None:
    found = summary(drawn(40))
    assert {each.name for each in numbers_in(found)} == metrics_of(TREE).keys()
    names = [each.name for each in numbers_in(["f1_macro_area", "support", "loss", "accuracy", "per_class"])]
    assert names == ["accuracy", "loss", "f1_macro_area"]
    assert [each.name for each in numbers_in(METRICS)] == list(METRICS)


def drawn(count: int, *, recall: float = 0.8, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, len(TREE), count)
    predicted = np.where(rng.random(count) < recall, targets, rng.integers(0, len(TREE), count))
    return predictions_of(TREE, targets, predicted)


def test_resamples_are_scored_like_single_samples() -> None:
    outcomes = outcomes_of(drawn(40))
    samples = np.random.default_rng(0).integers(0, 40, (3, 40))
    for name, each in metrics_of(TREE).items():
        assert each.of(outcomes.take(samples)) == pytest.approx(
            [float(each.of(outcomes.take(sample))) for sample in samples]
        ), name


@pytest.mark.parametrize("recall", [0.0, 0.7, 1.0])
def test_every_metric_is_in_its_interval(recall: float) -> None:
    metrics = score(drawn(60, recall=recall), bootstrap=200).metrics
    assert metrics["confidence_intervals"].keys() == metrics_of(TREE).keys()
    for name, (low, high) in metrics["confidence_intervals"].items():
        assert low <= metrics[name] <= high, name
        if name not in ("loss", "ece"):
            assert low < high, name


def test_intervals_contain_the_true_value() -> None:
    truth = summary(drawn(60_000, seed=10**6))
    names = [name for name in metrics_of(TREE) if name not in ("loss", "ece")]
    covered = dict.fromkeys(names, 0)
    for seed in range(60):
        intervals = confidence_intervals(drawn(200, seed=seed), resamples=150)
        for name in names:
            low, high = intervals[name]
            covered[name] += low <= truth[name] <= high
    assert min(covered.values()) >= 0.88 * 60, covered  # 95% are expected


@pytest.mark.parametrize("metric", list(metrics_of(TREE)))
def test_runs_differ_by_any_metric(metric: str) -> None:
    runs = {"poor": drawn(300, recall=0.5), "good": drawn(300, recall=0.9)}
    (pair,) = compare(runs, metric=metric, resamples=200).pairs
    assert pair.a == "good" or metric == "ece"
    assert pair.is_shown
    assert pair.interval[0] <= pair.difference <= pair.interval[1]


@pytest.mark.parametrize("metric", ["hierarchical_f1", "accuracy_domain", "f1_macro_area"])
def test_equal_runs_are_rarely_told_apart(metric: str) -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, len(TREE), 120)
    shown = 0
    for _ in range(40):
        a, b = (
            predictions_of(TREE, targets, np.where(rng.random(120) < 0.7, targets, rng.integers(0, len(TREE), 120)))
            for _ in "ab"
        )
        shown += compare([a, b], metric=metric, resamples=100).pairs[0].is_shown
    assert shown <= 5  # at most 2 are expected


def test_a_hierarchy_and_a_flat_set_are_not_comparable() -> None:
    flat = predictions_of(LabelSet(TREE.names), [0, 1], [0, 1])
    with pytest.raises(DataError, match="the first has a hierarchical label set, the second a single one"):
        compare([predictions_of(TREE, [0, 1], [0, 1]), flat])
