"""Losses: equal to torch's, or to the formula in the module's docstring if torch differs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from slugline.core.errors import RecipeError
from slugline.training.methods.class_weights import logit_adjustment
from slugline.training.methods.losses import build_loss, cross_entropy, focal_loss

WEIGHTS = torch.tensor([0.2, 1.0, 3.0, 0.7])


def batch(rows: int = 32, *, scale: float = 3.0, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = scale * torch.randn(rows, 4, generator=generator)
    return logits.to(dtype), torch.randint(0, 4, (rows,), generator=generator)


def formula(logits: Tensor, targets: Tensor, *, gamma: float, weights: Tensor, smoothing: float) -> Tensor:
    """The formula of the module's docstring, in double precision."""
    p = torch.softmax(logits.double(), dim=-1)
    t = (1 - smoothing) * functional.one_hot(targets, 4).double() + smoothing / 4
    p_true = p[torch.arange(len(targets)), targets]
    return weights.double()[targets] * (1 - p_true) ** gamma * (t * -p.log()).sum(dim=-1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_combined_options_equal_the_formula(gamma: float, smoothing: float) -> None:
    logits, targets = batch()
    found = focal_loss(logits, targets, gamma=gamma, weights=WEIGHTS, smoothing=smoothing)
    expected = formula(logits, targets, gamma=gamma, weights=WEIGHTS, smoothing=smoothing)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)


def test_focal_loss_with_gamma_0_is_cross_entropy() -> None:
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


def test_combined_with_smoothing_the_weight_is_that_of_the_true_class_unlike_torch() -> None:
    logits, targets = batch()
    found = cross_entropy(logits, targets, weights=WEIGHTS, smoothing=0.1)
    torch.testing.assert_close(found, WEIGHTS[targets] * cross_entropy(logits, targets, smoothing=0.1))
    torch_losses = functional.cross_entropy(logits, targets, weight=WEIGHTS, label_smoothing=0.1, reduction="none")
    assert (found - torch_losses).abs().max() > 0.05


def test_focal_loss_reduces_the_loss_of_confident_examples() -> None:
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
def test_gradients_equal_finite_differences(gamma: float) -> None:
    logits, targets = batch(4, dtype=torch.float64)
    logits.requires_grad_()
    weights = WEIGHTS.double()
    assert torch.autograd.gradcheck(
        lambda given: focal_loss(given, targets, gamma=gamma, weights=weights, smoothing=0.1), (logits,)
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_computed_in_single_precision(dtype: torch.dtype) -> None:
    logits, targets = batch(dtype=dtype)
    losses = focal_loss(logits, targets, gamma=2.0)
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, focal_loss(logits.float(), targets, gamma=2.0))


@settings(deadline=None)
@given(st.floats(-50, 50), st.floats(0, 4))
def test_a_constant_added_to_all_logits_has_no_effect(constant: float, gamma: float) -> None:
    logits, targets = batch(8, dtype=torch.float64)
    shifted = focal_loss(logits + constant, targets, gamma=gamma)
    torch.testing.assert_close(shifted, focal_loss(logits, targets, gamma=gamma))


def test_losses_are_built_by_name() -> None:
    logits, targets = batch()
    weights = WEIGHTS.double().numpy()
    plain = build_loss("cross_entropy", options={"gamma": 2.0}, weights=weights, smoothing=0.1)
    focal = build_loss("focal", options={"gamma": 1.5, "epochs": 3})
    torch.testing.assert_close(plain(logits, targets), cross_entropy(logits, targets, weights=WEIGHTS, smoothing=0.1))
    torch.testing.assert_close(focal(logits, targets), focal_loss(logits, targets, gamma=1.5))


def test_the_error_for_an_unknown_loss_suggests_the_nearest_name() -> None:
    with pytest.raises(RecipeError, match=r"train.loss is 'focl'; it can be .* or 'focal'. Did you mean 'focal'\?"):
        build_loss("focl")


def test_adjustment_combines_with_weights_and_smoothing() -> None:
    logits, targets = batch()
    adjustment = logit_adjustment(np.array([4, 3, 2, 1]), tau=1.0)
    weights = WEIGHTS.double().numpy()
    found = build_loss("focal", options={"gamma": 0.5}, weights=weights, smoothing=0.05, adjustment=adjustment)(
        logits, targets
    )
    shifted = logits + torch.tensor([0.4, 0.3, 0.2, 0.1]).log()
    torch.testing.assert_close(found, focal_loss(shifted, targets, gamma=0.5, weights=WEIGHTS, smoothing=0.05))
