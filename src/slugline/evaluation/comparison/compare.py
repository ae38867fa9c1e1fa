"""Comparison of runs on the same rows: intervals, paired tests, and a verdict for every pair.

`Predictions` of several runs go in, a `Comparison` comes out; nothing is read or printed here. A run is better than
another if the interval of their paired difference excludes 0. The intervals of all pairs hold together, and their
p-values are from the same resamples (`simultaneous`), so that an interval excludes 0 exactly if its p-value is below
0.05. Otherwise no difference is shown, which does not mean that the runs are equal.

Runs that differ only in their seed are compared as one setting, by the mean of their metrics. Its interval covers other
rows and other seeds. The spread over the seeds enters as Student's t distribution: with two seeds, hardly any
difference is shown. A setting with one seed gets the common spread of the others. Without any setting with several
seeds the spread is unknown, and intervals cover other rows only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from slugline.core.errors import DataError
from slugline.core.predictions import Predictions
from slugline.evaluation.comparison.alignment import align
from slugline.evaluation.comparison.simultaneous import simultaneous
from slugline.evaluation.comparison.slices import Slice
from slugline.evaluation.intervals import Interval, Spread, bootstrap, interval_of_mean
from slugline.evaluation.metrics import Metric, metrics_of, summary
from slugline.evaluation.metrics import metric as find_metric
from slugline.evaluation.outcomes.outcomes import Outcomes, outcomes_of
from slugline.evaluation.outcomes.statistics import Floats, Ints
from slugline.evaluation.score import confidence_intervals, interval_note

#: Smallest number of resamples for intervals and p-values of differences.
RESAMPLES = 2_000

#: Predictions by name of the run or setting, one for each seed.
Groups = dict[str, list[Predictions]]


@dataclass(frozen=True)
class ComparedRun:
    """One run in a comparison, or several runs that differ only in their seed: metrics and their intervals.

    Args:
        name: name of the run or setting.
        metrics: values of all metrics of `metrics_of`; means over the seeds.
        confidence_intervals: 95% confidence interval of each metric.
        seeds: number of seeds.
        costs: seconds, milliseconds, bytes and parameters by name; means over the seeds. Empty if they are not known.
    """

    name: str
    metrics: dict[str, float]
    confidence_intervals: dict[str, Interval]
    seeds: int = 1
    costs: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """The difference between two runs on the same rows; ``a`` is the run with the better value.

    Args:
        a: name of the run with the better value.
        b: name of the other run.
        difference: metric of ``a`` minus metric of ``b``, as a fraction and not in percentage points.
        interval: interval of the difference; the intervals of all pairs hold together with a confidence of 95%.
        p_value: p-value of the difference, corrected for the number of pairs; below 0.05 if the interval excludes 0.
        is_shown: True if the interval excludes 0.
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
        slices: rows with something in common, on which the runs may differ otherwise.
    """

    metric: str
    dataset: str
    split: str
    support: int
    runs: tuple[ComparedRun, ...]
    pairs: tuple[Pair, ...]
    method: str
    slices: tuple[Slice, ...] = ()

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
                    "seeds": run.seeds,
                    **run.metrics,
                    "confidence_intervals": {k: list(v) for k, v in run.confidence_intervals.items()},
                    "costs": run.costs,
                }
                for run in self.runs
            ],
            "pairs": [asdict(pair) | {"interval": list(pair.interval)} for pair in self.pairs],
            "summary": self.summary,
            "slices": [asdict(each) for each in self.slices],
        }


def compare(
    predictions: Mapping[str, Predictions | Sequence[Predictions]] | Sequence[Predictions],
    *,
    metric: str = "accuracy",
    without_seed: Collection[str] = (),
    resamples: int = 1000,
    seed: int = 13,
) -> Comparison:
    """Compare runs, or settings with several seeds, that were evaluated on the same rows.

    Args:
        predictions: predictions of each run by its name, or unnamed; for a setting, predictions of each seed. Rows may
            have any order.
        metric: name of the metric to compare by.
        without_seed: names of runs whose training does not depend on a seed, so that they have no spread.
        resamples: number of bootstrap resamples; differences have at least `RESAMPLES`.
        seed: seed of the resamples.

    Returns:
        Metrics of all runs, differences of all pairs, verdicts.

    Raises:
        DataError: there are fewer than two runs, or their rows or labels differ.
        RecipeError: the label set has no such metric.
    """
    named = _named(predictions)
    chosen = find_metric(metric, next(iter(named.values()))[0].labels)
    outcomes = _aligned(named)
    values = [np.array([float(chosen.of(each)) for each in group]) for group in outcomes]
    means = [float(each.mean()) for each in values]
    pairs = [_better_first(pair, means, chosen) for pair in combinations(range(len(named)), 2)]
    spreads = _spreads(values, [name in without_seed for name in named])
    differences = np.array([means[i] - means[j] for i, j in pairs])
    deviations, errors = _deviations(outcomes, spreads, pairs, chosen, max(resamples, RESAMPLES), seed)
    found = simultaneous(differences, deviations, errors)
    first, names = next(iter(named.values()))[0], list(named)
    return Comparison(
        metric=metric,
        dataset=first.dataset,
        split=first.split,
        support=len(first),
        runs=_compared_runs(named, without_seed, resamples, seed),
        pairs=tuple(
            _pair((names[i], names[j]), means[i] - means[j], interval, p_value, chosen, len(first))
            for (i, j), interval, p_value in zip(pairs, found.intervals, found.p_values, strict=True)
        ),
        method=" ".join(
            filter(
                None,
                [_method(len(pairs), spreads, set(named) - set(without_seed)), interval_note(summary(first))],
            )
        ),
    )


def _spreads(values: Sequence[Floats], is_without_seed: Sequence[bool]) -> list[Spread]:
    """The spread over the seeds of each run; that of a run with one seed is the common spread of the others."""
    common = Spread.of(values)
    return [
        Spread() if is_fixed else common if len(each) == 1 else Spread.of([each])
        for each, is_fixed in zip(values, is_without_seed, strict=True)
    ]


def _deviations(
    outcomes: Sequence[Sequence[Outcomes]],
    spreads: Sequence[Spread],
    pairs: Sequence[tuple[int, int]],
    chosen: Metric,
    draws: int,
    seed: int,
) -> tuple[Floats, Floats]:
    """Deviations (draws, pairs) of paired differences for other rows and other seeds, and their standard errors.

    All runs are scored on the same rows and weights, so that differences are paired. Two standard errors of the
    bootstrap are too small, and are enlarged. If two runs differ in n rows, by the root of (n + 1) / n, which for
    accuracy is the adjustment of Agresti & Min (2005) of half a row for either run. For unweighted means over classes,
    see `_few_rows_factor`.
    """

    def means_on(rows: Ints, weights: Floats) -> Floats:
        means = [np.mean([chosen.of(each.take(rows, weights)) for each in group], axis=0) for group in outcomes]
        return np.stack(means, axis=-1)

    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    samples = bootstrap(outcomes[0][0].strata, means_on, resamples=draws, seed=seed)
    samples = samples[:, first] - samples[:, second]
    n_differing = np.array([_n_differing(outcomes[i], outcomes[j]) for i, j in pairs])
    enlarged = 1 + 1 / np.maximum(n_differing, 1)
    if chosen.weighs_classes_alike:
        enlarged *= _few_rows_factor(outcomes[0][0].class_counts.support)
    of_rows = (samples - samples.mean(axis=0)) * np.sqrt(enlarged)
    noise = np.stack(
        [
            spread.noise(len(group), draws=draws, seed=seed + number)
            for number, (spread, group) in enumerate(zip(spreads, outcomes, strict=True), start=1)
        ],
        axis=-1,
    )
    squares = np.array([spread.deviation**2 / len(group) for spread, group in zip(spreads, outcomes, strict=True)])
    errors = np.sqrt(of_rows.var(axis=0) + squares[first] + squares[second])
    return of_rows + noise[:, first] - noise[:, second], errors


def _few_rows_factor(support: Floats) -> float:
    """Return the factor of the variance of an unweighted mean over classes.

    Rows are drawn within each class, so that the variance of a class of n rows is (n - 1) / n times too small. The
    variances of classes are taken as proportional to 1 / n.

    Args:
        support: (K,) rows of each class.

    Returns:
        The factor, at least 1.
    """
    present = support[support > 0].astype(np.float64)
    return float((1 / np.maximum(present - 1, 0.5)).sum() / (1 / present).sum())


def _n_differing(a: Sequence[Outcomes], b: Sequence[Outcomes]) -> int:
    """Number of rows that two settings do not answer correctly equally often."""
    shares = [np.mean([each.correct for each in group], axis=0) for group in (a, b)]
    return int((shares[0] != shares[1]).sum())


def _named(predictions: Mapping[str, Predictions | Sequence[Predictions]] | Sequence[Predictions]) -> Groups:
    """Predictions of each setting by its name, one for each seed."""
    if isinstance(predictions, Mapping):
        named = {name: [each] if isinstance(each, Predictions) else list(each) for name, each in predictions.items()}
    else:
        named = {f"run {number}": [each] for number, each in enumerate(predictions, start=1)}
    if len(named) < 2:
        raise DataError(f"{len(named)} of at least two runs to compare.", hint="Give two or more runs.")
    return named


def _aligned(named: Groups) -> list[list[Outcomes]]:
    """Outcomes of each setting and seed, with rows and classes in the order of the first."""
    flat = [(name, each) for name, group in named.items() for each in group]
    outcomes = iter([outcomes_of(each) for each in align(flat)])
    return [[next(outcomes) for _ in group] for group in named.values()]


def _better_first(pair: tuple[int, int], values: list[float], chosen: Metric) -> tuple[int, int]:
    first, second = pair
    return (second, first) if chosen.is_better(values[second], values[first]) else (first, second)


def _compared_runs(named: Groups, without_seed: Collection[str], resamples: int, seed: int) -> tuple[ComparedRun, ...]:
    # Rows in the run's own order, so that the intervals equal those in its metrics.json.
    outcomes = [[outcomes_of(predictions) for predictions in group] for group in named.values()]
    metrics = metrics_of(next(iter(named.values()))[0].labels)
    values = {
        key: [np.array([float(metric.of(each)) for each in group]) for group in outcomes]
        for key, metric in metrics.items()
    }
    is_fixed = [name in without_seed for name in named]
    spreads = {key: _spreads(groups, is_fixed) for key, groups in values.items()}
    runs = []
    for index, (name, group) in enumerate(named.items()):
        intervals = [confidence_intervals(predictions, resamples=resamples, seed=seed) for predictions in group]
        runs.append(
            ComparedRun(
                name,
                metrics={key: float(groups[index].mean()) for key, groups in values.items()},
                confidence_intervals={
                    key: interval_of_mean(
                        values[key][index],
                        [each[key] for each in intervals],
                        spreads[key][index],
                        limits=metric.limits,
                    )
                    for key, metric in metrics.items()
                },
                seeds=len(group),
            )
        )
    return tuple(runs)


def _pair(
    names: tuple[str, str], difference: float, interval: Interval, p_value: float, chosen: Metric, support: int
) -> Pair:
    low, high = interval
    is_shown = low > 0 or high < 0
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


def _method(n_pairs: int, spreads: Sequence[Spread], with_seed: Collection[str]) -> str:
    together = f", and hold for all {n_pairs} pairs together" if n_pairs > 1 else ""
    method = (
        f"Intervals of paired differences are 95% bootstrap intervals{together}; p-values are from the same resamples."
    )
    if any(spread.freedom for spread in spreads):
        return f"{method} Metrics are means over the seeds; the intervals cover other rows and other seeds."
    return f"{method} They do not cover other seeds." if with_seed else method
