"""Class weights and logit adjustment: figures of papers and of scikit-learn; errors for invalid settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor
from torch.nn import functional

from conftest import GOLDEN
from slugline.core.errors import DataError, RecipeError
from slugline.training.methods.class_weights import EFFECTIVE_BETA, class_weights, logit_adjustment
from slugline.training.methods.losses import build_loss, focal_loss


def batch(rows: int = 32) -> tuple[Tensor, Tensor]:
    """Logits (rows, 4) and targets (rows,)."""
    generator = torch.Generator().manual_seed(0)
    logits = 3.0 * torch.randn(rows, 4, generator=generator)
    return logits, torch.randint(0, 4, (rows,), generator=generator)


def test_inverse_weights_equal_those_of_the_reuters_system() -> None:
    weights = class_weights(np.array(GOLDEN["train_counts"]), scheme="inverse")
    assert np.round(weights, 2).tolist() == GOLDEN["class_weights"]
    assert weights.mean() == pytest.approx(1)


def test_balanced_weights_equal_those_of_scikit_learn() -> None:
    counts = np.array([30, 5, 65])
    targets = np.repeat([0, 1, 2], counts)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=targets)
    assert class_weights(counts, scheme="balanced") == pytest.approx(expected)


def test_effective_weights_are_between_equal_and_balanced() -> None:
    counts = np.array([50, 500, 5000])
    weights = class_weights(counts, scheme="effective")
    assert (weights * counts).sum() == pytest.approx(counts.sum())
    balanced = class_weights(counts, scheme="balanced")
    assert 1 < weights[0] / weights[2] < balanced[0] / balanced[2]
    # Cui et al., eq. 2: the effective number is the sum of the powers of beta.
    effective = [sum(EFFECTIVE_BETA**power for power in range(count)) for count in counts]
    assert weights[0] / weights[1] == pytest.approx(effective[1] / effective[0])


@pytest.mark.parametrize("scheme", ["none", "inverse", "balanced", "effective", {"a": 2.0}])
def test_a_class_without_rows_is_left_out(scheme: Any) -> None:
    weights = class_weights(np.array([10, 0, 30]), scheme=scheme, names=("a", "b", "c"), bounds=(0.1, 0.0))
    without = class_weights(np.array([10, 30]), scheme=scheme, names=("a", "c"), bounds=(0.1, 0.0))
    assert weights.tolist() == [without[0], 0.0, without[1]]


def test_bounds_are_applied_last() -> None:
    counts = np.array([10, 100, 1000])
    unbounded = class_weights(counts, scheme="inverse")
    assert class_weights(counts, scheme="inverse", bounds=(0.1, 1.5)).tolist() == [1.5, unbounded[1], 0.1]
    assert class_weights(counts, scheme="inverse", bounds=(0.1, 0.0)).tolist() == [unbounded[0], unbounded[1], 0.1]
    with pytest.raises(RecipeError, match="lowest is above the highest"):
        class_weights(counts, scheme="inverse", bounds=(2.0, 1.0))


def test_a_table_has_weights_by_class_name() -> None:
    counts, names = np.array([5, 5, 5]), ("sport", "politics", "tech")
    assert class_weights(counts, scheme={"tech": 2.5}, names=names).tolist() == [1.0, 1.0, 2.5]
    with pytest.raises(RecipeError, match=r"names 'sports', which is not a class. Did you mean 'sport'\?"):
        class_weights(counts, scheme={"sports": 2.0}, names=names)
    for weight in (-1.0, float("nan"), float("inf")):
        with pytest.raises(RecipeError, match="a number of at least 0"):
            class_weights(counts, scheme={"sport": weight}, names=names)


def test_zero_weights_for_all_classes_are_refused() -> None:
    counts, names = np.array([5, 5, 0]), ("sport", "politics", "tech")
    with pytest.raises(RecipeError, match="nothing would be learned"):
        class_weights(counts, scheme={"sport": 0.0, "politics": 0.0}, names=names)
    bounded = class_weights(counts, scheme={"sport": 0.0, "politics": 0.0}, names=names, bounds=(0.1, 0.0))
    assert bounded.tolist() == [0.1, 0.1, 0.0]


def test_unknown_schemes_and_empty_training_sets_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"Did you mean 'balanced'\?"):
        class_weights(np.array([1, 2]), scheme="balancd")
    with pytest.raises(DataError, match="no training rows"):
        class_weights(np.array([0, 0]), scheme="inverse")


@pytest.mark.parametrize("tau", [0.5, 1.0, 2.0])
def test_logit_adjustment_equals_that_of_the_paper(tau: float) -> None:
    """Menon et al. 2021, eq. 10: cross entropy of the logits plus tau times the logarithm of the priors."""
    logits, targets = batch()
    counts = np.array([600, 300, 90, 10])
    priors = torch.tensor([0.6, 0.3, 0.09, 0.01])
    loss = build_loss("cross_entropy", adjustment=logit_adjustment(counts, tau=tau))
    expected = functional.cross_entropy(logits + tau * priors.log(), targets, reduction="none")
    torch.testing.assert_close(loss(logits, targets), expected)
    # Equal to a pairwise margin: log(sum over classes k of (prior[k] / prior[y])^tau * e^(logit[k] - logit[y])).
    terms = (priors / priors[targets].unsqueeze(1)) ** tau * (logits - logits.gather(1, targets.unsqueeze(1))).exp()
    torch.testing.assert_close(loss(logits, targets), terms.sum(dim=1).log())


def test_adjustment_has_no_effect_if_tau_is_0_or_classes_are_equally_frequent() -> None:
    logits, targets = batch()
    assert logit_adjustment(np.array([5, 50]), tau=0.0) is None
    loss = build_loss("focal", options={"gamma": 2.0}, adjustment=logit_adjustment(np.array([7, 7, 7, 7]), tau=1.0))
    torch.testing.assert_close(loss(logits, targets), focal_loss(logits, targets, gamma=2.0))


def test_the_adjustment_of_a_class_without_rows_is_finite() -> None:
    adjustment = logit_adjustment(np.array([99, 0]), tau=1.0)
    assert adjustment is not None
    assert adjustment == pytest.approx(np.log([0.99, 0.01]))
