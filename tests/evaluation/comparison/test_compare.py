"""Comparison of runs: verdicts, paired tests, and runs that are not comparable."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from slugline.core.errors import DataError, RecipeError
from slugline.core.labels import LabelSet
from slugline.core.predictions import Predictions
from slugline.evaluation.comparison.alignment import rows_digest
from slugline.evaluation.comparison.compare import compare
from slugline.evaluation.comparison.paired_tests import mcnemar
from slugline.evaluation.metrics import METRICS, metrics_of
from slugline.evaluation.score import confidence_intervals, score

LABELS = LabelSet(("business", "sport", "tech"))
COUNT = 400
TARGETS = np.arange(COUNT) % 3


def run_with(errors: Any, *, margin: float = 3.0) -> Predictions:
    """Predictions of a run with errors on these rows."""
    predicted = TARGETS.copy()
    predicted[errors] = (predicted[errors] + 1) % 3
    return Predictions(
        ids=np.array([f"{row:04x}" for row in range(COUNT)], dtype=np.str_),
        targets=TARGETS,
        logits=(margin * np.eye(3)[predicted]).astype(np.float32),
        labels=LABELS,
        split="test",
        dataset="news",
    )


GOOD, POOR = run_with(range(10)), run_with(range(5, 65))


def shuffled(predictions: Predictions) -> Predictions:
    order: NDArray[np.int64] = np.random.default_rng(0).permutation(len(predictions))
    return replace(
        predictions,
        ids=predictions.ids[order],
        targets=predictions.targets[order],
        logits=predictions.logits[order],
    )


def test_a_significant_difference_is_shown() -> None:
    (pair,) = compare({"linear": POOR, "encoder": GOOD}).pairs
    assert (pair.a, pair.b, pair.is_shown) == ("encoder", "linear", True)
    assert pair.difference == pytest.approx(50 / 400)
    assert 0 < pair.interval[0] < pair.difference < pair.interval[1]
    low, high = (f"{100 * end:.1f}" for end in pair.interval)
    assert pair.verdict == f"encoder is better than linear: +12.5 points of accuracy [{low}, {high}], p < 0.001"


def test_a_difference_of_a_few_rows_is_not_shown() -> None:
    comparison = compare({"a": run_with(range(10)), "b": run_with(range(7, 19))})
    (pair,) = comparison.pairs
    assert not pair.is_shown
    assert pair.p_value == pytest.approx(0.65, abs=0.1)
    assert pair.interval[0] < 0 < pair.interval[1]
    assert pair.verdict.startswith("no difference is shown between a and b: +0.5 points of accuracy [")
    assert pair.verdict.endswith(f"], p = {pair.p_value:.3f}, 400 texts")
    assert comparison.summary == [pair.verdict]


def test_intervals_of_several_pairs_are_wider_than_those_of_one() -> None:
    runs = {"a": run_with(range(8)), "b": run_with(range(8, 30)), "c": run_with(range(30, 38))}
    (alone,) = compare({"a": runs["a"], "b": runs["b"]}).pairs
    comparison = compare(runs)
    among_three = next(pair for pair in comparison.pairs if {pair.a, pair.b} == {"a", "b"})
    assert alone.is_shown
    assert alone.p_value < among_three.p_value < 5 * alone.p_value
    assert among_three.interval[0] < alone.interval[0] < alone.interval[1] < among_three.interval[1]
    assert "hold for all 3 pairs together" in comparison.method


@pytest.mark.parametrize(("only_a", "only_b"), [(30, 12), (25, 20), (60, 30), (14, 4)])
def test_p_values_of_accuracy_are_close_to_those_of_mcnemar(only_a: int, only_b: int) -> None:
    runs = {"a": run_with(range(only_a)), "b": run_with(range(only_a, only_a + only_b))}
    (pair,) = compare(runs, resamples=20_000).pairs
    correct = [~np.isin(np.arange(COUNT), wrong) for wrong in (range(only_a), range(only_a, only_a + only_b))]
    assert pair.p_value == pytest.approx(mcnemar(*correct), rel=0.3, abs=0.01)


def test_equal_runs_have_no_difference() -> None:
    (pair,) = compare([GOOD, GOOD], resamples=50).pairs
    assert (pair.a, pair.b, pair.difference, pair.interval, pair.p_value) == ("run 1", "run 2", 0, (0, 0), 1)
    assert "+0.0 points of accuracy [0.0, 0.0], p = 1.000" in pair.verdict


def test_rows_are_matched_by_id() -> None:
    expected = compare({"good": GOOD, "poor": POOR}, resamples=100)
    reordered = compare({"good": GOOD, "poor": shuffled(POOR)}, resamples=100)
    assert expected.pairs == reordered.pairs


def test_classes_are_matched_by_name() -> None:
    columns = [2, 0, 1]
    reordered = replace(
        POOR,
        labels=LabelSet(tuple(LABELS.names[column] for column in columns)),
        logits=POOR.logits[:, columns],
        targets=np.argsort(columns)[TARGETS],
    )
    for metric in ("accuracy", "f1_macro"):
        expected = compare({"good": GOOD, "poor": POOR}, metric=metric, resamples=100)
        assert compare({"good": GOOD, "poor": reordered}, metric=metric, resamples=100).pairs == expected.pairs


def test_metrics_equal_those_of_the_run_itself() -> None:
    own_order = shuffled(POOR)
    run = compare({"good": GOOD, "poor": own_order}, resamples=200).runs[1]
    metrics = score(own_order, bootstrap=200).metrics
    assert run.metrics == {name: metrics[name] for name in metrics_of(LABELS)}
    assert run.confidence_intervals == confidence_intervals(own_order, resamples=200)


@pytest.mark.parametrize("metric", ["f1_macro", "loss", "ece"])
def test_runs_differ_by_any_metric(metric: str) -> None:
    # With such confidence, every error also increases the calibration error.
    runs = {"poor": run_with(range(5, 65), margin=8.0), "good": run_with(range(10), margin=8.0)}
    comparison = compare(runs, metric=metric, resamples=400)
    (pair,) = comparison.pairs
    assert (pair.a, pair.is_shown) == ("good", True)
    assert (pair.difference > 0) == METRICS[metric].greater_is_better
    assert pair.p_value < 0.01
    assert METRICS[metric].title in pair.verdict


def test_small_differences_of_any_metric_are_not_shown() -> None:
    runs = {"a": run_with(range(10)), "b": run_with(range(7, 19))}
    for metric in ("f1_macro", "loss"):
        (pair,) = compare(runs, metric=metric, resamples=300).pairs
        assert not pair.is_shown
        assert pair.p_value > 0.4


def test_runs_on_different_rows_are_not_comparable() -> None:
    fewer = replace(POOR, ids=POOR.ids[:-4], targets=POOR.targets[:-4], logits=POOR.logits[:-4])
    message = (
        "'a' and 'b' are not comparable: of 400 and 396 rows, 4 are only in 'a', 0 only in 'b', and 0 have another"
    )
    with pytest.raises(DataError, match=message) as caught:
        compare({"a": GOOD, "b": fewer})
    assert "split_seed" in caught.value.hint


def test_runs_with_different_labels_are_not_comparable() -> None:
    relabelled = replace(POOR, targets=np.where(np.arange(COUNT) < 7, (TARGETS + 1) % 3, TARGETS))
    with pytest.raises(DataError, match="7 have another label"):
        compare({"a": GOOD, "b": relabelled})


def test_runs_with_different_classes_are_not_comparable() -> None:
    other = replace(POOR, labels=LabelSet(("business", "sport", "science")))
    with pytest.raises(DataError, match="2 classes are in only one of the two label sets, such as 'science'"):
        compare({"a": GOOD, "b": other})


def test_one_run_cannot_be_compared() -> None:
    with pytest.raises(DataError, match="1 of at least two runs"):
        compare([GOOD])


def test_unknown_metric_is_refused() -> None:
    with pytest.raises(RecipeError, match="there is no metric 'acuracy'"):
        compare([GOOD, POOR], metric="acuracy")


def test_a_comparison_is_deterministic_and_plain_json() -> None:
    comparison = compare({"good": GOOD, "poor": POOR}, resamples=100)
    plain = comparison.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain == compare({"good": GOOD, "poor": POOR}, resamples=100).to_dict()
    assert (plain["dataset"], plain["split"], plain["support"], plain["metric"]) == ("news", "test", 400, "accuracy")
    assert plain["runs"][0]["name"] == "good"
    assert plain["runs"][0]["accuracy"] == 390 / 400
    assert len(plain["runs"][0]["confidence_intervals"]["f1_macro"]) == 2
    assert plain["pairs"][0]["verdict"] == plain["summary"][0]


def seeds_of(rate: float, spread: float, *, n: int, rng: np.random.Generator) -> list[Predictions]:
    """Runs of one setting: each seed draws its own error rate, and its errors."""
    rates = np.clip(rng.normal(rate, spread, n), 0, 1)
    return [run_with(np.flatnonzero(rng.random(COUNT) < each)) for each in rates]


def test_seeds_of_a_setting_are_compared_by_their_mean() -> None:
    good, poor = [run_with(range(n)) for n in (10, 12, 14)], [run_with(range(200, 200 + n)) for n in (60, 64, 71)]
    comparison = compare({"poor": poor, "good": good})
    (pair,) = comparison.pairs
    assert (pair.a, pair.b, pair.is_shown) == ("good", "poor", True)
    assert pair.difference == pytest.approx((65 - 12) / COUNT)
    assert [run.seeds for run in comparison.runs] == [3, 3]
    assert comparison.runs[1].metrics["accuracy"] == pytest.approx(1 - 12 / COUNT)
    low, high = comparison.runs[0].confidence_intervals["accuracy"]
    one_low, one_high = score(poor[0]).metrics["confidence_intervals"]["accuracy"]
    assert high - low > one_high - one_low  # the seeds differ too
    assert "means over the seeds" in comparison.method


def test_a_difference_within_the_spread_of_the_seeds_is_not_shown() -> None:
    # The means differ by 5 points, but so do the seeds of each setting; the rows alone would show it.
    a, b = [run_with(range(n)) for n in (10, 70)], [run_with(range(200, 200 + n)) for n in (30, 90)]
    assert compare({"a": a[0], "b": b[1]}).pairs[0].is_shown
    assert not compare({"a": a, "b": b}).pairs[0].is_shown


def test_a_setting_with_one_seed_is_compared_with_one_with_several() -> None:
    encoder = [run_with(range(n)) for n in (10, 11, 12)]
    comparison = compare({"linear": run_with(range(100)), "encoder": encoder}, without_seed=["linear"])
    assert comparison.pairs[0].is_shown
    assert comparison.runs[0].confidence_intervals["accuracy"] == pytest.approx(
        score(run_with(range(100))).metrics["confidence_intervals"]["accuracy"]
    )


def test_a_setting_with_one_seed_gets_the_spread_of_the_others() -> None:
    lucky, several = run_with(range(10)), [run_with(range(200, 200 + n)) for n in (10, 60, 90)]
    assert not compare({"lucky": lucky, "several": several}).pairs[0].is_shown
    # A kind without random training has no spread.
    fixed = compare({"lucky": lucky, "several": several}, without_seed=["lucky"])
    wide, narrow = (compare({"a": lucky, "b": several}, without_seed=names).runs[0] for names in ([], ["a"]))
    low, high = wide.confidence_intervals["accuracy"]
    fixed_low, fixed_high = narrow.confidence_intervals["accuracy"]
    assert low < fixed_low < fixed_high <= high
    assert "They do not cover other seeds." in compare({"a": lucky, "b": several[0]}).method
    assert "do not cover" not in compare({"a": lucky, "b": several[0]}, without_seed=["a", "b"]).method
    assert "other rows and other seeds" in fixed.method


@pytest.mark.parametrize("metric", list(metrics_of(LABELS)))
def test_intervals_over_seeds_stay_within_the_limits_of_the_metric(metric: str) -> None:
    runs = {"a": [run_with([]), run_with(range(40))], "b": [run_with(range(390)), run_with(range(300))]}
    low, high = METRICS[metric].limits
    for run in compare(runs, resamples=200).runs:
        interval = run.confidence_intervals[metric]
        assert low <= interval[0] <= run.metrics[metric] <= interval[1] <= high


def test_equal_settings_are_rarely_told_apart() -> None:
    rng = np.random.default_rng(0)
    shown = sum(
        compare({name: seeds_of(0.1, 0.02, n=3, rng=rng) for name in "ab"}, resamples=200).pairs[0].is_shown
        for _ in range(100)
    )
    assert shown <= 10  # at most 5 are expected; the first seeds alone, as if others were equal, give about 20


def test_the_digest_of_rows_depends_on_ids_labels_and_classes_alone() -> None:
    digest = rows_digest(GOOD)
    assert digest == rows_digest(shuffled(POOR))  # other logits and another order
    other_class = replace(GOOD, labels=LabelSet(("business", "sport", "physics")))
    unused = [
        replace(GOOD, labels=LabelSet((*LABELS.names, name)), logits=np.pad(GOOD.logits, ((0, 0), (0, 1))))
        for name in "xy"
    ]
    relabelled = replace(GOOD, targets=(TARGETS + 1) % 3)
    renamed = replace(GOOD, ids=np.array([f"x{row:04x}" for row in range(COUNT)], dtype=np.str_))
    digests = [digest, *map(rows_digest, (other_class, *unused, relabelled, renamed))]
    assert len(set(digests)) == len(digests)
