"""Comparison of runs on the same rows: intervals, paired tests, and a verdict for every pair.

`Predictions` of several runs go in, a `Comparison` comes out; nothing is read or printed here. A run is better than
another only if two conditions hold: the confidence interval of the paired difference excludes 0, and the p-value of a
paired test, corrected for the number of pairs, is below 0.05. Otherwise no difference is shown, which does not mean
that the runs are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from slugline.core.errors import DataError
from slugline.core.predictions import Predictions
from slugline.evaluation.intervals import Interval, bootstrap, percentile_interval
from slugline.evaluation.metrics import METRICS, Metric, summary
from slugline.evaluation.metrics import metric as find_metric
from slugline.evaluation.outcomes import Floats, Ints, Outcomes
from slugline.evaluation.paired_tests import holm, mcnemar, permutation_test
from slugline.evaluation.score import confidence_intervals, interval_note

#: A p-value below this level is significant.
SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class ComparedRun:
    """One run in a comparison: its metrics and their intervals.

    Args:
        name: name of the run.
        metrics: values of all metrics of `METRICS`.
        confidence_intervals: 95% confidence interval of each metric.
    """

    name: str
    metrics: dict[str, float]
    confidence_intervals: dict[str, Interval]


@dataclass(frozen=True)
class Pair:
    """The difference between two runs on the same rows; ``a`` is the run with the better value.

    Args:
        a: name of the run with the better value.
        b: name of the other run.
        difference: metric of ``a`` minus metric of ``b``, as a fraction and not in percentage points.
        interval: 95% confidence interval of the difference.
        p_value: p-value of a paired test, corrected for the number of pairs.
        is_shown: True if the interval excludes 0 and the p-value is below `SIGNIFICANCE`.
        verdict: the result as a sentence.
    """

    a: str
    b: str
    difference: float
    interval: Interval
    p_value: float
    is_shown: bool
    verdict: str


@dataclass(frozen=True)
class Comparison:
    """The result of comparing runs on the same rows.

    Args:
        metric: name of the metric that the pairs are compared by.
        dataset: name of the data set.
        split: name of the split.
        support: number of rows.
        runs: runs in the given order.
        pairs: one pair for every two runs.
        method: the kind of intervals and tests, in sentences.
    """

    metric: str
    dataset: str
    split: str
    support: int
    runs: tuple[ComparedRun, ...]
    pairs: tuple[Pair, ...]
    method: str

    @property
    def summary(self) -> list[str]:
        """The verdicts, one sentence for each pair."""
        return [pair.verdict for pair in self.pairs]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; the metrics of a run have the keys of ``metrics.json``."""
        return {
            **asdict(self),
            "runs": [
                {
                    "name": run.name,
                    **run.metrics,
                    "confidence_intervals": {k: list(v) for k, v in run.confidence_intervals.items()},
                }
                for run in self.runs
            ],
            "pairs": [asdict(pair) | {"interval": list(pair.interval)} for pair in self.pairs],
            "summary": self.summary,
        }


def compare(
    predictions: Mapping[str, Predictions] | Sequence[Predictions],
    *,
    metric: str = "accuracy",
    resamples: int = 1000,
    seed: int = 13,
) -> Comparison:
    """Compare runs that were evaluated on the same rows.

    Args:
        predictions: predictions of each run, by its name or unnamed; rows in any order.
        metric: name of the metric to compare by; it also names the paired test (`Metric.paired_test`).
        resamples: number of bootstrap resamples; also the minimum number of permutations.
        seed: seed of the resamples and permutations.

    Returns:
        Metrics of all runs, differences of all pairs, verdicts. P-values are corrected by Holm's method.

    Raises:
        DataError: there are fewer than two runs, or their rows or labels differ.
        RecipeError: the metric is unknown.
    """
    named = _named(predictions)
    chosen = find_metric(metric)
    outcomes = [Outcomes.of(each) for each in _aligned(named)]
    values = [float(chosen.of(each)) for each in outcomes]

    def values_on(rows: Ints, weights: Floats) -> Floats:
        """Values (b, runs). All runs are scored on the same rows and weights, so that differences are paired."""
        return np.stack([chosen.of(each.take(rows, weights)) for each in outcomes], axis=-1)

    samples = bootstrap(outcomes[0].targets, values_on, resamples=resamples, seed=seed)
    pairs = [_better_first(pair, values, chosen) for pair in combinations(range(len(named)), 2)]
    # Enough permutations that the smallest possible p-value stays significant after correction.
    permutations = max(resamples, 40 * len(pairs))
    test = PAIRED_TESTS[chosen.paired_test]
    p_values = holm([test.p_value(outcomes[i], outcomes[j], chosen, permutations, seed) for i, j in pairs])
    first, names = next(iter(named.values())), list(named)
    return Comparison(
        metric=metric,
        dataset=first.dataset,
        split=first.split,
        support=len(first),
        runs=tuple(_compared_run(name, each, resamples, seed) for name, each in named.items()),
        pairs=tuple(
            _pair(
                (names[i], names[j]), values[i] - values[j], samples[:, i] - samples[:, j], p_value, chosen, len(first)
            )
            for (i, j), p_value in zip(pairs, p_values, strict=True)
        ),
        method=" ".join(filter(None, [_method(chosen, len(pairs)), interval_note(summary(first))])),
    )


def _named(predictions: Mapping[str, Predictions] | Sequence[Predictions]) -> dict[str, Predictions]:
    if isinstance(predictions, Mapping):
        named = dict(predictions)
    else:
        named = {f"run {number}": each for number, each in enumerate(predictions, start=1)}
    if len(named) < 2:
        raise DataError(f"there is {len(named)} run to compare; a comparison needs two or more.")
    return named


def _aligned(named: dict[str, Predictions]) -> list[Predictions]:
    """Reorder rows and classes of all predictions as in the first run; refuse runs with other rows or classes."""
    (first_name, first), *others = named.items()
    true_class = dict(zip(first.ids.tolist(), first.labels.decode(first.targets.tolist()), strict=True))
    aligned = [first]
    for name, other in others:
        _check_comparable(first_name, first, name, other, true_class)
        position = {row_id: row for row, row_id in enumerate(other.ids.tolist())}
        rows = [position[row_id] for row_id in first.ids.tolist()]
        columns = [other.labels.index(label) for label in first.labels.names]
        aligned.append(
            replace(
                other,
                ids=first.ids,
                targets=first.targets,
                logits=other.logits[rows][:, columns],
                labels=first.labels,
            )
        )
    return aligned


def _check_comparable(
    first_name: str, first: Predictions, name: str, other: Predictions, true_class: dict[str, str]
) -> None:
    """Refuse runs with other classes, rows or labels, and name how many differ."""
    refused = f"{first_name!r} and {name!r} are not comparable"
    if set(first.labels.names) != set(other.labels.names):
        unshared = sorted(set(first.labels.names) ^ set(other.labels.names))
        raise DataError(
            f"{refused}: {len(unshared)} classes are in only one of the two label sets, such as {unshared[0]!r}.",
            hint="Train and evaluate both on one data set with the same classes.",
        )
    others = dict(zip(other.ids.tolist(), other.labels.decode(other.targets.tolist()), strict=True))
    shared = true_class.keys() & others.keys()
    relabelled = sum(true_class[row_id] != others[row_id] for row_id in shared)
    if relabelled or len(shared) < max(len(first), len(other)):
        raise DataError(
            f"{refused}: of {len(first)} and {len(other)} rows, {len(first) - len(shared)} are only in {first_name!r}, "
            f"{len(other) - len(shared)} only in {name!r}, and {relabelled} have another label.",
            hint="Evaluate both on the same split of the same data, with the same data.split_seed.",
        )


def _better_first(pair: tuple[int, int], values: list[float], chosen: Metric) -> tuple[int, int]:
    first, second = pair
    return (second, first) if chosen.is_better(values[second], values[first]) else (first, second)


def _mcnemar(a: Outcomes, b: Outcomes, *_: Any) -> float:
    return mcnemar(a.correct, b.correct)


def _permutation(a: Outcomes, b: Outcomes, metric: Metric, permutations: int, seed: int) -> float:
    both, n_rows = a.followed_by(b), a.n_rows

    def difference(rows: Ints) -> Floats:
        return metric.of(both.take(rows[:, :n_rows])) - metric.of(both.take(rows[:, n_rows:]))

    return permutation_test(difference, n_rows, permutations=permutations, seed=seed)


@dataclass(frozen=True)
class PairedTest:
    """A test of the difference between two runs on the same rows.

    Args:
        title: name in sentences.
        p_value: function from two outcomes, metric, number of permutations and seed to the uncorrected p-value.
    """

    title: str
    p_value: Callable[[Outcomes, Outcomes, Metric, int, int], float]


#: `Metric.paired_test` -> the test.
PAIRED_TESTS = {
    "mcnemar": PairedTest("the exact McNemar test", _mcnemar),
    "permutation": PairedTest("a permutation test on paired predictions", _permutation),
}


def _compared_run(name: str, predictions: Predictions, resamples: int, seed: int) -> ComparedRun:
    # Rows in the run's own order, so that the intervals equal those in its metrics.json.
    outcomes = Outcomes.of(predictions)
    return ComparedRun(
        name,
        metrics={key: float(each.of(outcomes)) for key, each in METRICS.items()},
        confidence_intervals=confidence_intervals(predictions, resamples=resamples, seed=seed),
    )


def _pair(
    names: tuple[str, str], difference: float, samples: Floats, p_value: float, chosen: Metric, support: int
) -> Pair:
    low, high = percentile_interval(samples, difference)
    is_shown = (low > 0 or high < 0) and p_value < SIGNIFICANCE
    a, b = names
    p_text = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
    evidence = f"{_difference_text(difference, (low, high), chosen)}, {p_text}"
    verdict = (
        f"{a} is better than {b}: {evidence}"
        if is_shown
        else f"no difference is shown between {a} and {b}: {evidence}, {support:,} texts"
    )
    return Pair(a, b, difference, (low, high), p_value, is_shown, verdict)


def _difference_text(difference: float, interval: Interval, chosen: Metric) -> str:
    """``+1.2 points of accuracy [0.3, 2.1]``."""
    scale, digits, unit = (100, 1, "points of") if chosen.unit == "points" else (1, 4, "of")
    # Adding 0.0 turns -0.0 into 0.0.
    value, low, high = (round(scale * each, digits) + 0.0 for each in (difference, *interval))
    return f"{value:+.{digits}f} {unit} {chosen.title} [{low:.{digits}f}, {high:.{digits}f}]"


def _method(chosen: Metric, n_pairs: int) -> str:
    test = PAIRED_TESTS[chosen.paired_test].title
    corrected = f", corrected for {n_pairs} pairs by Holm's method" if n_pairs > 1 else ""
    return f"Intervals are 95% bootstrap intervals of paired differences; p-values are from {test}{corrected}."
