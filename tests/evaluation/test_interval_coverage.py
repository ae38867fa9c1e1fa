"""Coverage of the 95% intervals by simulation: the share of intervals that contain the true value.

``pytest -m slow -s tests/evaluation/test_interval_coverage.py`` prints the table of docs/intervals.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from slugline.core.labels import LabelSet
from slugline.core.predictions import Predictions
from slugline.evaluation.metrics import METRICS
from slugline.evaluation.outcomes.outcomes import outcomes_of
from slugline.evaluation.score import ROWS_PER_CLASS, confidence_intervals

SHOWN = ("accuracy", "precision_macro", "recall_macro", "f1_macro", "precision_weighted", "f1_weighted")

SIMULATIONS, RESAMPLES = 1000, 300

#: Coverage that every metric reaches with enough rows per class.
LOWEST = 0.93


@dataclass(frozen=True)
class Shape:
    """A population: shares and recalls of its classes; errors are divided evenly over the other classes."""

    name: str
    shares: tuple[float, ...]
    recalls: tuple[float, ...]
    rows: int

    def draw(self, rng: np.random.Generator, *, stratified: bool) -> Predictions:
        """Draw a split with class counts as in the population, or with random counts."""
        shares, width = np.array(self.shares), len(self.shares)
        counts = np.round(shares * self.rows).astype(int) if stratified else rng.multinomial(self.rows, shares)
        targets = np.repeat(np.arange(width), counts)
        is_correct = rng.random(len(targets)) < np.array(self.recalls)[targets]
        predicted = np.where(is_correct, targets, (targets + rng.integers(1, width, len(targets))) % width)
        return predictions_of(targets, predicted, width)

    def truth(self) -> dict[str, float]:
        """True values: the metrics of rows whose weights are the probabilities of the confusion matrix."""
        width = len(self.shares)
        targets, predicted = (axis.ravel() for axis in np.indices((width, width)))
        recalls = np.array(self.recalls)[:, None]
        cells = np.where(np.eye(width, dtype=bool), recalls, (1 - recalls) / (width - 1))
        weights = (np.array(self.shares)[:, None] * cells).ravel() * width**2
        outcomes = outcomes_of(predictions_of(targets, predicted, width)).take(np.arange(width**2), weights)
        return {name: float(METRICS[name].of(outcomes)) for name in SHOWN}


def predictions_of(targets: NDArray[np.int64], predicted: NDArray[np.int64], width: int) -> Predictions:
    return Predictions(
        ids=np.arange(len(targets)).astype(np.str_),
        targets=targets,
        logits=np.eye(width, dtype=np.float32)[predicted],
        labels=LabelSet(tuple(f"class {index}" for index in range(width))),
        split="test",
    )


ENOUGH_ROWS = [
    Shape("4 balanced classes, recall 85%, 200 rows", (0.25,) * 4, (0.85,) * 4, 200),
    Shape("70/20/7/3%, recall 95/85/70/50%, 200 rows", (0.7, 0.2, 0.07, 0.03), (0.95, 0.85, 0.7, 0.5), 200),
    Shape("80/20%, recall 99/50%, 200 rows", (0.8, 0.2), (0.99, 0.5), 200),
    Shape("98/2%, recall 99.5/60%, 500 rows", (0.98, 0.02), (0.995, 0.6), 500),
    Shape("4 balanced classes, recall 99%, 200 rows", (0.25,) * 4, (0.99,) * 4, 200),
    Shape("5 balanced classes, chance, 200 rows", (0.2,) * 5, (0.2,) * 5, 200),
    Shape("50 classes, recall 80%, 1,500 rows", (0.02,) * 50, (0.8,) * 50, 1500),
]
FEW_ROWS = [
    Shape("50 classes, recall 80%, 1,000 rows", (0.02,) * 50, (0.8,) * 50, 1000),
    Shape("3 balanced classes, recall 99%, 30 rows", (1 / 3,) * 3, (0.99,) * 3, 30),
    Shape("40 classes, recall 80%, 120 rows", (0.025,) * 40, (0.8,) * 40, 120),
    Shape("50 classes, recall 80%, 500 rows", (0.02,) * 50, (0.8,) * 50, 500),
    Shape("2 classes, recall 80%, 2 rows", (0.5, 0.5), (0.8, 0.8), 2),
]


def coverage(shape: Shape, *, stratified: bool) -> dict[str, float]:
    """Share of intervals that contain the true value, by metric."""
    rng, truth = np.random.default_rng(1), shape.truth()
    covered = dict.fromkeys(SHOWN, 0)
    for _ in range(SIMULATIONS):
        intervals = confidence_intervals(shape.draw(rng, stratified=stratified), resamples=RESAMPLES)
        for name in SHOWN:
            low, high = intervals[name]
            covered[name] += low - 1e-9 <= truth[name] <= high + 1e-9
    shares = {name: count / SIMULATIONS for name, count in covered.items()}
    drawn = "stratified" if stratified else "random"
    print(f"\n| {shape.name} | {drawn} | " + " | ".join(f"{share:.1%}" for share in shares.values()) + " |")  # noqa: T201
    return shares


@pytest.mark.slow
@pytest.mark.parametrize("stratified", [True, False], ids=["stratified", "random"])
@pytest.mark.parametrize("shape", ENOUGH_ROWS, ids=lambda shape: shape.name)
def test_intervals_contain_the_true_value(shape: Shape, *, stratified: bool) -> None:
    assert shape.rows >= ROWS_PER_CLASS * len(shape.shares)
    shares = coverage(shape, stratified=stratified)
    assert min(shares.values()) >= LOWEST, shares


@pytest.mark.slow
@pytest.mark.parametrize("stratified", [True, False], ids=["stratified", "random"])
@pytest.mark.parametrize("shape", FEW_ROWS, ids=lambda shape: shape.name)
def test_with_few_rows_per_class_intervals_of_accuracy_and_recall_hold(shape: Shape, *, stratified: bool) -> None:
    assert shape.rows < ROWS_PER_CLASS * len(shape.shares)
    shares = coverage(shape, stratified=stratified)
    assert shares["accuracy"] >= LOWEST
    assert min(shares["recall_macro"], shares["f1_weighted"]) >= 0.8


def test_true_values() -> None:
    truth = ENOUGH_ROWS[2].truth()
    assert truth["accuracy"] == pytest.approx(0.8 * 0.99 + 0.2 * 0.5)
    assert truth["recall_macro"] == pytest.approx((0.99 + 0.5) / 2)
