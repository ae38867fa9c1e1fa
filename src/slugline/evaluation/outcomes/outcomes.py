"""`Outcomes`: what metrics read, for every kind of label set; and the table `KINDS`.

Outcomes may have leading axes, one entry for each resample, so that the same code scores one sample and a thousand
bootstrap samples. Only numpy is needed here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, Self

from slugline.core.errors import DataError
from slugline.core.labels import Kind
from slugline.core.predictions import Predictions
from slugline.evaluation.outcomes.class_counts import ClassCounts
from slugline.evaluation.outcomes.multi_label import MultiLabelOutcomes
from slugline.evaluation.outcomes.single_label import SingleLabelOutcomes
from slugline.evaluation.outcomes.statistics import Bools, Floats, Ints


class Outcomes(Protocol):
    """The outcome of each row. Leading axes (...) hold resamples."""

    @property
    def n_rows(self) -> int:
        """Number of rows N."""

    @property
    def strata(self) -> Ints:
        """(N,) stratum of each row, from which the bootstrap draws."""

    @property
    def correct(self) -> Bools:
        """(N,), True where every label of the row is predicted and no other."""

    @property
    def accuracy(self) -> Floats:
        """(...), share of the rows that are correct."""

    @property
    def class_counts(self) -> ClassCounts:
        """Counts (..., K) of each class."""

    @property
    def confusions(self) -> Ints:
        """(K, K), counts of a true class in the row and another predicted class in the column; 0 on the diagonal."""

    @property
    def main_share(self) -> tuple[Floats, Floats]:
        """A share (1,) and its number of trials (1,), which limit the precision of averages over classes."""

    @property
    def loss(self) -> Floats:
        """(...), mean negative log-likelihood before calibration."""

    @property
    def calibrated_loss(self) -> Floats:
        """(...), mean negative log-likelihood after calibration."""

    @property
    def calibration_error(self) -> Floats:
        """(...), expected calibration error."""

    def take(self, rows: Ints, weights: Floats | None = None) -> Self:
        """Select rows, for one resample or for many.

        Args:
            rows: (..., M), row numbers below N.
            weights: (..., M), of sum M; None = each row counts once.

        Returns:
            Outcomes with the leading axes of ``rows``.
        """


#: Kind of a label set -> how its predictions become outcomes. The leaves of a hierarchy are classes like any others.
KINDS: Mapping[Kind, Callable[[Predictions], Outcomes]] = {
    "single": SingleLabelOutcomes.of,
    "hierarchical": SingleLabelOutcomes.of,
    "multi": MultiLabelOutcomes.of,
}


def outcomes_of(predictions: Predictions) -> Outcomes:
    """Return the outcomes of predictions.

    Args:
        predictions: N rows.

    Returns:
        Outcomes without leading axes.

    Raises:
        DataError: there are no rows.
    """
    if not len(predictions):
        raise DataError(f"the {predictions.split} split has no rows to score.")
    return KINDS[predictions.labels.kind](predictions)
