"""The precision in which a model works: not every architecture runs in every precision that the hardware is fast at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from slugline.core.errors import ModelError
from slugline.core.hardware import Precision, PrecisionChoice
from slugline.core.memory import is_out_of_memory
from slugline.models.forward import autocast, two_texts

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def working_precision(model: PreTrainedModel, choice: PrecisionChoice, *, is_trained: bool) -> PrecisionChoice:
    """Try a reduced precision on two short texts.

    Args:
        model: model on its device; its weights, gradients and mode are unchanged afterwards.
        choice: precision that the hardware is fast at, or that was requested.
        is_trained: True to try the backward pass too.

    Returns:
        The choice; float32 with the reason if the model works only in float32.

    Raises:
        ModelError: the precision was requested, and the model works only in float32.
    """
    if choice.precision == "fp32":
        return choice
    fault = _fault(model, choice.precision, is_trained=is_trained)
    # If the model fails in float32 too, then because of the texts.
    if not fault or _fault(model, "fp32", is_trained=is_trained):
        return choice
    reason = f"{type(model).__name__} does not work in {choice.precision}: {fault}"
    if choice.is_requested:
        raise ModelError(f"{reason}.", hint='Choose the precision "auto" or "fp32" (in a recipe: train.precision).')
    return PrecisionChoice("fp32", reason)


def _fault(model: PreTrainedModel, precision: Precision, *, is_trained: bool) -> str:
    """Problem of a forward pass, and of its backward pass; empty if there is none."""
    was_training = model.training
    model.train(False)
    try:
        with torch.set_grad_enabled(is_trained):
            with autocast(model.device, precision):
                logits = model(**two_texts(model)).logits.float()
            if is_trained:
                logits.mean().backward()
    except Exception as error:
        if is_out_of_memory(error):
            raise
        return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    finally:
        model.train(was_training)
        model.zero_grad(set_to_none=True)
    return "" if bool(torch.isfinite(logits).all()) else "the logits are not finite"
