"""Simultaneous intervals of differences: agreement with p-values, golden values, coverage in simulations.

``pytest -m slow -s tests/evaluation/test_simultaneous.py`` prints the table of docs/intervals.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, studentized_range

from slugline.core.labels import LabelSet
from slugline.core.predictions import Predictions
from slugline.evaluation.comparison.compare import compare
from slugline.evaluation.comparison.simultaneous import simultaneous
from slugline.evaluation.metrics import METRICS

SIMULATIONS = 2_000


@given(
    st.integers(1, 6),
    st.sampled_from([100, 399, 999, 1000, 2000]),
    st.integers(0, 2**32 - 1),
    st.floats(0.0, 4.0),
)
def test_an_interval_excludes_zero_exactly_if_its_p_value_is_significant(
    width: int, samples: int, seed: int, size: float
) -> None:
    rng = np.random.default_rng(seed)
    errors = rng.random(width) + 0.1
    found = simultaneous(size * errors * rng.normal(size=width), rng.normal(size=(samples, width)) * errors, errors)
    for (low, high), p_value in zip(found.intervals, found.p_values, strict=True):
        assert (low > 0 or high < 0) == (p_value < 0.05)
        assert 1 / (samples + 1) <= p_value <= 1


def test_one_difference_has_the_interval_and_p_value_of_the_normal_distribution() -> None:
    deviations = 2 * np.random.default_rng(0).normal(size=(200_000, 1))
    found = simultaneous(np.array([3.0]), deviations, np.array([2.0]))
    assert found.intervals[0] == pytest.approx((3 - 2 * 1.95996, 3 + 2 * 1.95996), abs=0.03)
    assert found.p_values[0] == pytest.approx(2 * norm.sf(1.5), abs=0.003)


@pytest.mark.parametrize("groups", [3, 5, 10])
def test_all_pairs_of_independent_means_have_the_intervals_of_tukey(groups: int) -> None:
    means = np.random.default_rng(1).normal(size=(100_000, groups))
    first, second = np.triu_indices(groups, 1)
    deviations, errors = means[:, first] - means[:, second], np.full(len(first), np.sqrt(2))
    estimates = np.linspace(0, 5, len(first))
    found = simultaneous(estimates, deviations, errors)
    half = (found.intervals[0][1] - found.intervals[0][0]) / 2
    assert half == pytest.approx(studentized_range.ppf(0.95, groups, np.inf), rel=0.01)
    expected = studentized_range.sf(estimates, groups, np.inf)
    assert np.array(found.p_values) == pytest.approx(expected, abs=0.005)


def test_a_difference_without_error_is_certain() -> None:
    found = simultaneous(np.array([0.0, 1.0]), np.zeros((100, 2)), np.array([0.0, 0.0]))
    assert found.intervals == ((0, 0), (1, 1))
    assert found.p_values == (1, 0)


@dataclass(frozen=True)
class Population:
    """Runs with true accuracies; a row has one difficulty for all runs with a probability, else one for each run."""

    rows: int
    classes: int
    accuracies: tuple[float, ...]
    shared: float

    def draw(self, rng: np.random.Generator) -> dict[str, Predictions]:
        """Draw a test split and the predictions of all runs."""
        targets, common = rng.integers(0, self.classes, self.rows), rng.random(self.rows)
        runs = {}
        for number, accuracy in enumerate(self.accuracies):
            own = np.where(rng.random(self.rows) < self.shared, common, rng.random(self.rows))
            wrong = (targets + rng.integers(1, self.classes, self.rows)) % self.classes
            predicted = np.where(own < accuracy, targets, wrong)
            runs[str(number)] = Predictions(
                ids=np.arange(self.rows).astype(np.str_),
                targets=targets,
                logits=np.eye(self.classes, dtype=np.float32)[predicted],
                labels=LabelSet(tuple(f"class {number}" for number in range(self.classes))),
                split="test",
            )
        return runs

    def truth(self, metric: str) -> list[float]:
        """True values: with balanced classes and evenly divided errors, accuracy and macro F1 are equal."""
        assert metric in ("accuracy", "f1_macro")
        return list(self.accuracies)


POPULATIONS = [
    Population(100, 2, (0.9, 0.85), 0.5),
    Population(100, 2, (0.97, 0.97), 0.8),
    Population(426, 5, (0.98, 0.97, 0.96), 0.8),
    Population(400, 4, (0.9, 0.9, 0.9, 0.9), 0.7),
    Population(1000, 4, (0.9, 0.92, 0.85, 0.8, 0.9), 0.6),
]


def joint_coverage(population: Population, metric: str, simulations: int) -> float:
    """Share of simulations in which the intervals of all pairs contain the true differences."""
    rng, truth, covered = np.random.default_rng(2), population.truth(metric), 0
    for _ in range(simulations):
        pairs = compare(population.draw(rng), metric=metric, resamples=100).pairs
        covered += all(
            pair.interval[0] - 1e-9 <= truth[int(pair.a)] - truth[int(pair.b)] <= pair.interval[1] + 1e-9
            for pair in pairs
        )
    share = covered / simulations
    described = f"{population.rows:,} rows, {population.classes} classes, accuracies {population.accuracies}"
    print(f"\n| {described} | {len(pairs)} | {METRICS[metric].title} | {share:.1%} |")  # noqa: T201
    return share


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["accuracy", "f1_macro"])
@pytest.mark.parametrize("population", POPULATIONS, ids=str)
def test_intervals_of_all_pairs_contain_the_true_differences_together(population: Population, metric: str) -> None:
    share = joint_coverage(population, metric, SIMULATIONS)
    assert share >= 0.93
    if population.accuracies != (0.97, 0.97):  # about five rows differ: the intervals are wider than needed
        assert share <= 0.97


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["accuracy", "f1_macro", "loss"]))
def test_verdict_interval_and_p_value_of_a_comparison_agree(seed: int, metric: str) -> None:
    runs = Population(80, 3, (0.95, 0.9, 0.8), 0.7).draw(np.random.default_rng(seed))
    for pair in compare(runs, metric=metric, resamples=100).pairs:
        low, high = pair.interval
        assert pair.is_shown == (low > 0 or high < 0) == (pair.p_value < 0.05) == ("is better than" in pair.verdict)
