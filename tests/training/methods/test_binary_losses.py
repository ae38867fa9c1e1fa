"""Losses of texts with any number of labels: equal to torch's, or to the formula for two classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from slugline.core.errors import RecipeError
from slugline.recipe.train_section import BINARY_LOSSES, LOSSES
from slugline.training.methods.class_weights import log_odds_adjustment
from slugline.training.methods.losses import binary_cross_entropy, binary_focal_loss, build_loss, focal_loss

WEIGHTS = torch.tensor([0.2, 1.0, 3.0, 0.7])


def batch(rows: int = 32, *, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 3.0 * torch.randn(rows, 4, generator=generator)
    return logits.to(dtype), torch.rand(rows, 4, generator=generator) < 0.4


def test_positive_weights_are_those_of_torch() -> None:
    logits, targets = batch()
    expected = functional.binary_cross_entropy_with_logits(logits, targets.float(), pos_weight=WEIGHTS)
    torch.testing.assert_close(binary_cross_entropy(logits, targets, weights=WEIGHTS).mean(), expected)
    torch.testing.assert_close(
        binary_cross_entropy(logits, targets),
        functional.binary_cross_entropy_with_logits(logits, targets.float(), reduction="none").mean(dim=1),
    )


def test_smoothing_moves_targets_towards_one_half() -> None:
    logits, targets = batch()
    smoothed = 0.9 * targets.float() + 0.05
    expected = functional.binary_cross_entropy_with_logits(logits, smoothed, reduction="none").mean(dim=1)
    torch.testing.assert_close(binary_cross_entropy(logits, targets, smoothing=0.1), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_each_label_is_a_single_label_problem_with_two_classes(gamma: float, smoothing: float) -> None:
    logits, targets = batch()
    two_classes = torch.stack([torch.zeros_like(logits), logits], dim=-1).reshape(-1, 2)
    losses = focal_loss(two_classes, targets.long().reshape(-1), gamma=gamma, smoothing=smoothing).reshape(32, 4)
    expected = (losses * torch.where(targets, WEIGHTS, 1.0)).mean(dim=1)
    found = binary_focal_loss(logits, targets, gamma=gamma, weights=WEIGHTS, smoothing=smoothing)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_gradients_equal_finite_differences(gamma: float) -> None:
    logits, targets = batch(4, dtype=torch.float64)
    logits.requires_grad_()
    weights = WEIGHTS.double()
    assert torch.autograd.gradcheck(
        lambda given: binary_focal_loss(given, targets, gamma=gamma, weights=weights, smoothing=0.1), (logits,)
    )


@pytest.mark.parametrize("gamma", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_huge_logits_give_finite_losses_and_gradients(gamma: float, smoothing: float) -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]], requires_grad=True)
    targets = torch.tensor([[True, False, True], [True, False, False]])
    losses = binary_focal_loss(logits, targets, gamma=gamma, smoothing=smoothing)
    (gradient,) = torch.autograd.grad(losses.sum(), logits)
    assert losses.isfinite().all()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_computed_in_single_precision(dtype: torch.dtype) -> None:
    logits, targets = batch(dtype=dtype)
    losses = binary_focal_loss(logits, targets, gamma=2.0)
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, binary_focal_loss(logits.float(), targets, gamma=2.0))


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=4, max_size=4), st.floats(0, 4))
def test_presence_and_absence_are_symmetric(labels: list[bool], gamma: float) -> None:
    logits, _ = batch(1)
    targets = torch.tensor([labels])
    mirrored = binary_focal_loss(-logits, ~targets, gamma=gamma, smoothing=0.1)
    torch.testing.assert_close(binary_focal_loss(logits, targets, gamma=gamma, smoothing=0.1), mirrored)


def test_losses_are_built_by_name_with_adjusted_log_odds() -> None:
    logits, targets = batch()
    adjustment = log_odds_adjustment(np.array([1, 2, 5, 0]), rows=10, tau=0.5)
    loss = build_loss(
        "focal",
        losses=BINARY_LOSSES,
        options={"gamma": 1.5, "epochs": 3},
        weights=WEIGHTS.double().numpy(),
        adjustment=adjustment,
        smoothing=0.1,
    )
    shifted = logits + 0.5 * torch.tensor([1 / 9, 2 / 8, 1.0, 1 / 10]).log()
    expected = binary_focal_loss(shifted, targets, gamma=1.5, weights=WEIGHTS, smoothing=0.1)
    torch.testing.assert_close(loss(logits, targets), expected)


def test_a_loss_without_a_binary_form_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOSSES, "hinge", focal_loss)
    with pytest.raises(RecipeError, match=r"'hinge' has no form for texts with any number of labels"):
        build_loss("hinge", losses=BINARY_LOSSES)


def test_every_loss_has_a_binary_form() -> None:
    assert BINARY_LOSSES.keys() == LOSSES.keys()
