"""Which contender is better, and is that shown? `compare`: predictions of several runs on the same rows to a judgement.

Pure: takes `Predictions`, not paths, and renders nothing. "Better" is said only where two things agree: the confidence
interval of the paired difference excludes 0, and the p-value of a paired test stays below 0.05 after correction for
all pairs. Everything else is "no difference is shown", which is not the same as "equal".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from slugline.core.errors import DataError
from slugline.core.labels import Predictions
from slugline.evaluation.evaluate import confidence_intervals
from slugline.evaluation.intervals import Interval, bootstrap, holm, mcnemar, percentile_interval, permutation_test
from slugline.evaluation.metrics import METRICS, Floats, Ints, Metric, Outcomes
from slugline.evaluation.metrics import metric as find_metric

#: A p-value below it counts as evidence.
SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class ComparedRun:
    """One line of the table.

    Args:
        name: of the run.
        metrics: value of every metric of `METRICS`.
        confidence_intervals: 95%, for each of them.
    """

    name: str
    metrics: dict[str, float]
    confidence_intervals: dict[str, Interval]


@dataclass(frozen=True)
class Pair:
    """Two contenders on the same rows; ``a`` is the one that scored better.

    Args:
        a: name of the better scored contender.
        b: name of the other.
        difference: the metric of ``a`` minus that of ``b``, not in points but in the metric's own unit.
        interval: 95%, of the difference.
        p_value: of a paired test, corrected for the number of pairs.
        is_shown: whether interval and test both say that the difference is no accident.
        verdict: all of this as a sentence.
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
    """What is known about several contenders on the same rows.

    Args:
        metric: that the pairs are compared by.
        dataset: name of the data set.
        split: name of the split.
        support: number of rows.
        runs: in the order given.
        pairs: every two of them.
        method: how intervals and p-values were made, as a sentence.
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
        """The verdicts, a sentence for each pair."""
        return [pair.verdict for pair in self.pairs]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; contenders hold their metrics as ``metrics.json`` does."""
        return {
            **asdict(self),
            "contenders": [
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
    """Compare contenders that answered the same rows.

    Accuracies are tested by the exact McNemar test, other metrics by random exchange of answers; p-values are
    corrected after Holm.

    Args:
        predictions: by the contender's name, or unnamed; rows in any order.
        metric: that decides.
        resamples: of the bootstrap; at least as many random exchanges.
        seed: of the draws.

    Returns:
        Table, pairs, verdicts.

    Raises:
        DataError: fewer than two contenders, or they did not answer the same rows with the same labels.
        RecipeError: the metric is unknown.
    """
    named = _named(predictions)
    chosen = find_metric(metric)
    outcomes = [Outcomes.of(each) for each in _aligned(named)]
    values = [float(chosen.of(each)) for each in outcomes]

    def score(rows: Ints) -> Floats:
        """(b, N) row numbers to (b, contenders). All see the same rows: that makes differences paired."""
        return np.stack([chosen.of(each.take(rows)) for each in outcomes], axis=-1)

    samples = bootstrap(outcomes[0].targets, score, resamples=resamples, seed=seed)
    pairs = [_better_first(pair, values, chosen) for pair in combinations(range(len(named)), 2)]
    # Enough exchanges for the least possible p-value to stay small after correction.
    permutations = max(resamples, 40 * len(pairs))
    p_values = holm([_p_value(outcomes[i], outcomes[j], chosen, permutations, seed) for i, j in pairs])
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
        method=_method(chosen, len(pairs)),
    )


def _named(predictions: Mapping[str, Predictions] | Sequence[Predictions]) -> dict[str, Predictions]:
    if isinstance(predictions, Mapping):
        named = dict(predictions)
    else:
        named = {f"run {number}": each for number, each in enumerate(predictions, start=1)}
    if len(named) < 2:
        raise DataError(f"{len(named)} contender cannot be compared; it takes two or more.")
    return named


def _aligned(named: dict[str, Predictions]) -> list[Predictions]:
    """Everyone's predictions, with rows and classes in the order of the first; refuses what does not match."""
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
    """Refuse what would compare apples with pears, and say how many."""
    refused = f"{first_name!r} and {name!r} are not comparable"
    if set(first.labels.names) != set(other.labels.names):
        odd = sorted(set(first.labels.names) ^ set(other.labels.names))
        raise DataError(
            f"{refused}: {len(odd)} classes are known to one of them only, such as {odd[0]!r}.",
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
    gain = values[second] - values[first] if chosen.greater_is_better else values[first] - values[second]
    return (second, first) if gain > 0 else (first, second)


def _p_value(a: Outcomes, b: Outcomes, chosen: Metric, permutations: int, seed: int) -> float:
    """Uncorrected p-value of a paired test."""
    if chosen.name == "accuracy":
        return mcnemar(a.correct, b.correct)
    both, n_rows = a.followed_by(b), len(a.cells)

    def difference(rows: Ints) -> Floats:
        return chosen.of(both.take(rows[:, :n_rows])) - chosen.of(both.take(rows[:, n_rows:]))

    return permutation_test(difference, n_rows, permutations=permutations, seed=seed)


def _compared_run(name: str, predictions: Predictions, resamples: int, seed: int) -> ComparedRun:
    # From the rows in their own order: the same draws, and so the same figures, as in the run's metrics.json.
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
    """``+1.2 points of accuracy [0.3, 2.1]``: shares in percentage points, the loss as it is."""
    scale, digits, unit = (1, 4, "of") if chosen.name == "loss" else (100, 1, "points of")
    # Adding 0.0 turns -0.0 into 0.0.
    value, low, high = (round(scale * each, digits) + 0.0 for each in (difference, *interval))
    return f"{value:+.{digits}f} {unit} {chosen.title} [{low:.{digits}f}, {high:.{digits}f}]"


def _method(chosen: Metric, n_pairs: int) -> str:
    test = "the exact McNemar test" if chosen.name == "accuracy" else "random exchange of paired answers"
    corrected = f", corrected for {n_pairs} pairs after Holm" if n_pairs > 1 else ""
    return f"Intervals are 95%, of paired bootstrap differences; p-values are of {test}{corrected}."
