"""Comparison of runs on the same rows: intervals, paired tests, and a verdict for every pair.

`Predictions` of several runs go in, a `Comparison` comes out; nothing is read or printed here. A run is better than
another only if two conditions hold: the confidence interval of the paired difference excludes 0, and the p-value of a
paired test, corrected for the number of pairs, is below 0.05. Otherwise no difference is shown, which does not mean
that the runs are equal.

Runs that differ only in their seed are compared as one setting, by the mean of their metrics. Its interval covers other
rows and other seeds. The spread over the seeds enters as Student's t distribution: with two seeds, hardly any
difference is shown. A setting with one seed gets the common spread of the others. Without any setting with several
seeds the spread is unknown, and intervals cover other rows only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from slugline.core.errors import DataError
from slugline.core.predictions import Predictions
from slugline.evaluation.alignment import align
from slugline.evaluation.intervals import Interval, Spread, bootstrap, interval_of_mean, percentile_interval
from slugline.evaluation.metrics import Metric, metrics_of, summary
from slugline.evaluation.metrics import metric as find_metric
from slugline.evaluation.outcomes.outcomes import Outcomes, outcomes_of
from slugline.evaluation.outcomes.statistics import Floats, Ints
from slugline.evaluation.paired_tests import holm, mcnemar, permutation_test, sign_p_value
from slugline.evaluation.score import confidence_intervals, interval_note

#: A p-value below this level is significant.
SIGNIFICANCE = 0.05

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
    """

    name: str
    metrics: dict[str, float]
    confidence_intervals: dict[str, Interval]
    seeds: int = 1


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
                    "seeds": run.seeds,
                    **run.metrics,
                    "confidence_intervals": {k: list(v) for k, v in run.confidence_intervals.items()},
                }
                for run in self.runs
            ],
            "pairs": [asdict(pair) | {"interval": list(pair.interval)} for pair in self.pairs],
            "summary": self.summary,
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
        metric: name of the metric to compare by; it also names the paired test (`Metric.paired_test`).
        without_seed: names of runs whose training does not depend on a seed, so that they have no spread.
        resamples: minimum number of bootstrap resamples and of permutations.
        seed: seed of the resamples and permutations.

    Returns:
        Metrics of all runs, differences of all pairs, verdicts. P-values are corrected by Holm's method.

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
    # Enough draws that the smallest possible p-value stays significant after correction.
    draws = max(resamples, 2 * len(pairs) * round(1 / SIGNIFICANCE))
    spreads = _spreads(values, [name in without_seed for name in named])
    samples = _samples(outcomes, spreads, chosen, draws, seed)

    def p_value(i: int, j: int) -> float:
        if not spreads[i].freedom and not spreads[j].freedom:
            return PAIRED_TESTS[chosen.paired_test].p_value(outcomes[i][0], outcomes[j][0], chosen, draws, seed)
        return sign_p_value(samples[:, i] - samples[:, j])

    p_values = holm([p_value(i, j) for i, j in pairs])
    first, names = next(iter(named.values()))[0], list(named)
    return Comparison(
        metric=metric,
        dataset=first.dataset,
        split=first.split,
        support=len(first),
        runs=_compared_runs(named, without_seed, resamples, seed),
        pairs=tuple(
            _pair((names[i], names[j]), means[i] - means[j], samples[:, i] - samples[:, j], p_value, chosen, len(first))
            for (i, j), p_value in zip(pairs, p_values, strict=True)
        ),
        method=" ".join(
            filter(
                None,
                [_method(chosen, len(pairs), spreads, set(named) - set(without_seed)), interval_note(summary(first))],
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


def _samples(
    outcomes: Sequence[Sequence[Outcomes]], spreads: Sequence[Spread], chosen: Metric, draws: int, seed: int
) -> Floats:
    """Bootstrap samples (draws, runs) of a metric: means over the seeds, for other rows and other seeds.

    All runs are scored on the same rows and weights, so that differences are paired.
    """

    def means_on(rows: Ints, weights: Floats) -> Floats:
        means = [np.mean([chosen.of(each.take(rows, weights)) for each in group], axis=0) for group in outcomes]
        return np.stack(means, axis=-1)

    samples = bootstrap(outcomes[0][0].strata, means_on, resamples=draws, seed=seed)
    noise = [
        spread.noise(len(group), draws=draws, seed=seed + number)
        for number, (spread, group) in enumerate(zip(spreads, outcomes, strict=True), start=1)
    ]
    return samples + np.stack(noise, axis=-1)


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


def _method(chosen: Metric, n_pairs: int, spreads: Sequence[Spread], with_seed: Collection[str]) -> str:
    test, known = PAIRED_TESTS[chosen.paired_test].title, [bool(spread.freedom) for spread in spreads]
    if any(known):
        # Only pairs without any seed have a paired test.
        test = f"the resamples, or {test} for pairs without seeds" if known.count(False) > 1 else "the resamples"
    corrected = f", corrected for {n_pairs} pairs by Holm's method" if n_pairs > 1 else ""
    method = f"Intervals are 95% bootstrap intervals of paired differences; p-values are from {test}{corrected}."
    if any(known):
        return f"{method} Metrics are means over the seeds; the intervals cover other rows and other seeds."
    return f"{method} They do not cover other seeds." if with_seed else method
