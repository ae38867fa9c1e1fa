"""Losses against torch where it agrees with the contract, and against the formula where it does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor
from torch.nn import functional

from conftest import GOLDEN
from slugline.core.errors import DataError, RecipeError
from slugline.training.methods.losses import (
    EFFECTIVE_BETA,
    LOSSES,
    build_loss,
    class_weights,
    cross_entropy,
    focal_loss,
    logit_adjustment,
)

WEIGHTS = torch.tensor([0.2, 1.0, 3.0, 0.7])


def batch(rows: int = 32, *, scale: float = 3.0, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = scale * torch.randn(rows, 4, generator=generator)
    return logits.to(dtype), torch.randint(0, 4, (rows,), generator=generator)


def by_the_book(logits: Tensor, targets: Tensor, *, gamma: float, weights: Tensor, smoothing: float) -> Tensor:
    """The contract's formula, term by term, in double precision."""
    p = torch.softmax(logits.double(), dim=-1)
    t = (1 - smoothing) * functional.one_hot(targets, 4).double() + smoothing / 4
    p_true = p[torch.arange(len(targets)), targets]
    return weights.double()[targets] * (1 - p_true) ** gamma * (t * -p.log()).sum(dim=-1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_options_combine_as_the_contract_says(gamma: float, smoothing: float) -> None:
    logits, targets = batch()
    found = focal_loss(logits, targets, gamma=gamma, weights=WEIGHTS, smoothing=smoothing)
    expected = by_the_book(logits, targets, gamma=gamma, weights=WEIGHTS, smoothing=smoothing)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)


def test_focal_loss_without_focus_is_cross_entropy() -> None:
    logits, targets = batch()
    expected = functional.cross_entropy(logits, targets, reduction="none")
    torch.testing.assert_close(focal_loss(logits, targets, gamma=0.0), expected, rtol=0, atol=1e-6)


def test_weights_alone_agree_with_torch() -> None:
    logits, targets = batch()
    expected = functional.cross_entropy(logits, targets, weight=WEIGHTS, reduction="none")
    torch.testing.assert_close(cross_entropy(logits, targets, weights=WEIGHTS), expected)


def test_smoothing_alone_agrees_with_torch() -> None:
    logits, targets = batch()
    expected = functional.cross_entropy(logits, targets, label_smoothing=0.1, reduction="none")
    torch.testing.assert_close(cross_entropy(logits, targets, smoothing=0.1), expected)


def test_weights_and_smoothing_weigh_by_the_true_class_unlike_torch() -> None:
    logits, targets = batch()
    found = cross_entropy(logits, targets, weights=WEIGHTS, smoothing=0.1)
    torch.testing.assert_close(found, WEIGHTS[targets] * cross_entropy(logits, targets, smoothing=0.1))
    torchs = functional.cross_entropy(logits, targets, weight=WEIGHTS, label_smoothing=0.1, reduction="none")
    assert (found - torchs).abs().max() > 0.05


def test_focus_fades_out_what_is_known() -> None:
    logits = torch.tensor([[4.0, 0.0], [0.0, 0.0], [0.0, 4.0]])
    targets = torch.zeros(3, dtype=torch.long)
    ratio = focal_loss(logits, targets, gamma=2.0) / cross_entropy(logits, targets)
    assert ratio.tolist() == pytest.approx([(1 - 0.98201) ** 2, 0.25, 0.98201**2], abs=1e-4)


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_huge_logits_give_finite_losses_and_gradients(gamma: float, smoothing: float) -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]], requires_grad=True)
    losses = focal_loss(logits, torch.tensor([0, 0]), gamma=gamma, smoothing=smoothing)
    (gradient,) = torch.autograd.grad(losses.sum(), logits)
    assert losses.isfinite().all()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_gradients_are_those_of_the_loss(gamma: float) -> None:
    logits, targets = batch(4, dtype=torch.float64)
    logits.requires_grad_()
    weights = WEIGHTS.double()
    assert torch.autograd.gradcheck(
        lambda given: focal_loss(given, targets, gamma=gamma, weights=weights, smoothing=0.1), (logits,)
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_reduced_precision_is_computed_in_single(dtype: torch.dtype) -> None:
    logits, targets = batch(dtype=dtype)
    losses = focal_loss(logits, targets, gamma=2.0)
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, focal_loss(logits.float(), targets, gamma=2.0))


@settings(deadline=None)
@given(st.floats(-50, 50), st.floats(0, 4))
def test_a_constant_added_to_all_logits_changes_nothing(constant: float, gamma: float) -> None:
    logits, targets = batch(8, dtype=torch.float64)
    shifted = focal_loss(logits + constant, targets, gamma=gamma)
    torch.testing.assert_close(shifted, focal_loss(logits, targets, gamma=gamma))


def test_losses_are_built_by_name() -> None:
    logits, targets = batch()
    weights = WEIGHTS.double().numpy()
    plain = build_loss("cross_entropy", gamma=2.0, weights=weights, smoothing=0.1)
    focal = build_loss("focal", gamma=1.5)
    torch.testing.assert_close(plain(logits, targets), cross_entropy(logits, targets, weights=WEIGHTS, smoothing=0.1))
    torch.testing.assert_close(focal(logits, targets), focal_loss(logits, targets, gamma=1.5))
    assert list(LOSSES) == ["cross_entropy", "focal"]


def test_unknown_loss_is_answered_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"train.loss is 'focl'; it can be .* or 'focal'. Did you mean 'focal'\?"):
        build_loss("focl")


def test_inverse_weights_are_those_of_the_reuters_system() -> None:
    weights = class_weights(np.array(GOLDEN["train_counts"]), scheme="inverse")
    assert np.round(weights, 2).tolist() == GOLDEN["class_weights"]
    assert weights.mean() == pytest.approx(1)


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    counts = np.array([30, 5, 65])
    targets = np.repeat([0, 1, 2], counts)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=targets)
    assert class_weights(counts, scheme="balanced") == pytest.approx(expected)


def test_effective_weights_lie_between_equal_and_balanced() -> None:
    counts = np.array([50, 500, 5000])
    weights = class_weights(counts, scheme="effective")
    assert (weights * counts).sum() == pytest.approx(counts.sum())
    balanced = class_weights(counts, scheme="balanced")
    assert 1 < weights[0] / weights[2] < balanced[0] / balanced[2]
    # Cui et al., eq. 2: the effective number is the sum of the powers of beta.
    effective = [sum(EFFECTIVE_BETA**power for power in range(count)) for count in counts]
    assert weights[0] / weights[1] == pytest.approx(effective[1] / effective[0])


@pytest.mark.parametrize("scheme", ["none", "inverse", "balanced", "effective", {"a": 2.0}])
def test_a_class_without_rows_takes_no_part(scheme: Any) -> None:
    weights = class_weights(np.array([10, 0, 30]), scheme=scheme, names=("a", "b", "c"), bounds=(0.1, 0.0))
    without = class_weights(np.array([10, 30]), scheme=scheme, names=("a", "c"), bounds=(0.1, 0.0))
    assert weights.tolist() == [without[0], 0.0, without[1]]


def test_bounds_cut_last() -> None:
    counts = np.array([10, 100, 1000])
    free = class_weights(counts, scheme="inverse")
    assert class_weights(counts, scheme="inverse", bounds=(0.1, 1.5)).tolist() == [1.5, free[1], 0.1]
    assert class_weights(counts, scheme="inverse", bounds=(0.1, 0.0)).tolist() == [free[0], free[1], 0.1]
    with pytest.raises(RecipeError, match="lowest is above the highest"):
        class_weights(counts, scheme="inverse", bounds=(2.0, 1.0))


def test_a_table_names_classes() -> None:
    counts, names = np.array([5, 5, 5]), ("sport", "politics", "tech")
    assert class_weights(counts, scheme={"tech": 2.5}, names=names).tolist() == [1.0, 1.0, 2.5]
    with pytest.raises(RecipeError, match=r"names 'sports', which is no class. Did you mean 'sport'\?"):
        class_weights(counts, scheme={"sports": 2.0}, names=names)
    for weight in (-1.0, float("nan"), float("inf")):
        with pytest.raises(RecipeError, match="a number of at least 0"):
            class_weights(counts, scheme={"sport": weight}, names=names)


def test_weights_of_nothing_are_refused() -> None:
    counts, names = np.array([5, 5, 0]), ("sport", "politics", "tech")
    with pytest.raises(RecipeError, match="nothing would be learnt"):
        class_weights(counts, scheme={"sport": 0.0, "politics": 0.0}, names=names)
    bounded = class_weights(counts, scheme={"sport": 0.0, "politics": 0.0}, names=names, bounds=(0.1, 0.0))
    assert bounded.tolist() == [0.1, 0.1, 0.0]


def test_unknown_schemes_and_empty_training_sets_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"Did you mean 'balanced'\?"):
        class_weights(np.array([1, 2]), scheme="balancd")
    with pytest.raises(DataError, match="no training rows"):
        class_weights(np.array([0, 0]), scheme="inverse")


@pytest.mark.parametrize("tau", [0.5, 1.0, 2.0])
def test_logit_adjustment_is_that_of_the_paper(tau: float) -> None:
    """Menon et al. 2021, eq. 10: cross entropy of the logits plus tau times the logarithm of the priors."""
    logits, targets = batch()
    counts = np.array([600, 300, 90, 10])
    priors = torch.tensor([0.6, 0.3, 0.09, 0.01])
    loss = build_loss("cross_entropy", adjustment=logit_adjustment(counts, tau=tau))
    expected = functional.cross_entropy(logits + tau * priors.log(), targets, reduction="none")
    torch.testing.assert_close(loss(logits, targets), expected)
    # The same as a pairwise margin: log(1 + sum over the others of (their prior / ours)^tau * e^(their logit - ours)).
    others = (priors / priors[targets].unsqueeze(1)) ** tau * (logits - logits.gather(1, targets.unsqueeze(1))).exp()
    torch.testing.assert_close(loss(logits, targets), others.sum(dim=1).log())


def test_without_strength_or_with_equal_classes_adjustment_changes_nothing() -> None:
    logits, targets = batch()
    assert logit_adjustment(np.array([5, 50]), tau=0.0) is None
    even = build_loss("focal", adjustment=logit_adjustment(np.array([7, 7, 7, 7]), tau=1.0))
    torch.testing.assert_close(even(logits, targets), focal_loss(logits, targets, gamma=2.0))


def test_a_class_without_rows_is_adjusted_by_a_finite_amount() -> None:
    adjustment = logit_adjustment(np.array([99, 0]), tau=1.0)
    assert adjustment is not None
    assert adjustment == pytest.approx(np.log([0.99, 0.01]))


def test_adjustment_joins_weights_and_smoothing() -> None:
    logits, targets = batch()
    adjustment = logit_adjustment(np.array([4, 3, 2, 1]), tau=1.0)
    weights = WEIGHTS.double().numpy()
    found = build_loss("focal", gamma=0.5, weights=weights, smoothing=0.05, adjustment=adjustment)(logits, targets)
    shifted = logits + torch.tensor([0.4, 0.3, 0.2, 0.1]).log()
    torch.testing.assert_close(found, focal_loss(shifted, targets, gamma=0.5, weights=WEIGHTS, smoothing=0.05))
