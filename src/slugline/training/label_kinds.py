"""`LABEL_KINDS`: what training does differently for each kind of label set.

The leaves of a hierarchy are classes like any others; the probabilities of upper levels are sums over them. Importing
this module does not import torch, which the linear kind does not need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from slugline.core.labels import Kind, LabelSet, Targets
from slugline.recipe.kinds import resolve
from slugline.recipe.train_section import BINARY_LOSSES, LOSSES, TrainSection
from slugline.training.methods.class_weights import (
    class_weights,
    log_odds_adjustment,
    logit_adjustment,
    positive_weights,
)

if TYPE_CHECKING:
    from slugline.training.loop.train_metrics import RunningMetrics
    from slugline.training.methods.losses import Loss

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class LabelKind:
    """The functions of one kind of label set.

    Args:
        losses: functions of the losses by name.
        count: function from targets and K to the number of rows of each class (K,).
        sum_over_labels: function from targets and a value for each class (K,) to the sum over each row's labels (N,).
        spread_weights: function from targets and weights (K,) to those of each row (N,), or row and label (N, K).
        weights: function from counts (K,), number of rows and options to the weights of the loss (K,).
        adjustment: function from counts (K,), number of rows and strength to terms to add to the logits, or None.
        metrics: ``module:class`` of the running metrics, or a function from K to them.
    """

    losses: Mapping[str, str | Callable[..., Any]]
    count: Callable[[Targets, int], Counts]
    sum_over_labels: Callable[[Targets, Floats], Floats]
    spread_weights: Callable[[Targets, Floats], Floats]
    weights: Callable[..., Floats]
    adjustment: Callable[..., Floats | None]
    metrics: str | Callable[[int], RunningMetrics]


def _without_rows(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of counts that does not depend on the number of rows, because the counts add up to it."""

    def without_rows(counts: Counts, *, rows: int, **options: Any) -> Any:
        return function(counts, **options)

    return without_rows


_ONE_LABEL = LabelKind(
    losses=LOSSES,
    count=lambda targets, n_classes: np.bincount(targets, minlength=n_classes),
    sum_over_labels=lambda targets, values: values[targets],
    spread_weights=lambda targets, weights: weights[targets],
    weights=_without_rows(class_weights),
    adjustment=_without_rows(logit_adjustment),
    metrics="slugline.training.loop.train_metrics:RunningConfusion",
)

#: Kind of a label set -> what its training needs.
LABEL_KINDS: dict[Kind, LabelKind] = {
    "single": _ONE_LABEL,
    "hierarchical": _ONE_LABEL,
    "multi": LabelKind(
        losses=BINARY_LOSSES,
        count=lambda targets, n_classes: targets.sum(axis=0),
        sum_over_labels=lambda targets, values: np.asarray(targets @ values),
        spread_weights=lambda targets, weights: np.where(targets, weights, 1.0),
        weights=positive_weights,
        adjustment=log_odds_adjustment,
        metrics="slugline.training.loop.train_metrics:RunningLabels",
    ),
}


@dataclass(frozen=True)
class TrainingTargets:
    """The true classes of the training rows.

    Args:
        labels: the K classes.
        targets: (N,) class indices, or (N, K) bool in a ``multi`` set.
    """

    labels: LabelSet
    targets: Targets

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def kind(self) -> LabelKind:
        """The functions of the kind of the label set."""
        return LABEL_KINDS[self.labels.kind]

    @property
    def counts(self) -> Counts:
        """(K,) rows of each class."""
        return np.asarray(self.kind.count(self.targets, len(self.labels)), dtype=np.int64)

    def class_weights(self, section: TrainSection) -> Floats:
        """Return the weights (K,) of ``train.class_weights``; see `class_weights` and `positive_weights`."""
        return self.kind.weights(
            self.counts,
            rows=len(self),
            scheme=section.class_weights,
            bounds=section.class_weight_bounds,
            names=self.labels.names,
        )

    def balanced_weights(self) -> Floats:
        """Return the weights with which rows are drawn, so that every class is drawn equally often.

        A class is drawn, then one of its rows. Rows without a label are a class of their own.

        Returns:
            (N,).
        """
        inverse = self.kind.sum_over_labels(self.targets, 1 / np.maximum(self.counts, 1))
        has_none = inverse == 0
        return np.asarray(np.where(has_none, 1 / max(1, int(has_none.sum())), inverse))

    def running_metrics(self) -> RunningMetrics:
        """Return metrics on the training rows, without counts."""
        metrics: RunningMetrics = resolve(self.kind.metrics)(len(self.labels))
        return metrics

    def plain_losses(self, logits: NDArray[np.float32]) -> Floats:
        """Return the cross entropy of each row, or its binary form.

        Args:
            logits: (N, K).

        Returns:
            (N,).
        """
        import torch

        from slugline.training.methods.losses import build_loss

        loss = build_loss("cross_entropy", losses=self.kind.losses)
        return np.asarray(loss(torch.from_numpy(logits), torch.from_numpy(self.targets)).double().numpy())

    def loss(self, section: TrainSection) -> Loss:
        """Build the loss of a recipe.

        Args:
            section: [train] section of the recipe.

        Returns:
            Logits (B, K) and targets to losses (B,).

        Raises:
            RecipeError: the loss, its arguments or the class weights do not fit the label set.
        """
        from slugline.training.methods.losses import build_loss

        return build_loss(
            section.loss,
            losses=self.kind.losses,
            options=dict(section),
            arguments=section.loss_arguments,
            weights=self.class_weights(section),
            adjustment=self.kind.adjustment(self.counts, rows=len(self), tau=section.logit_adjustment),
            smoothing=section.label_smoothing,
        )
