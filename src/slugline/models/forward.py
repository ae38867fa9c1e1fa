"""Forward passes of torch classifiers: tokens in, float32 logits out.

Evaluation during training and prediction with a trained model both call `predict_logits`, so that they agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slugline.core.hardware import Precision
from slugline.data.batching.planning import BatchForward, BatchLimits, batched_logits
from slugline.data.batching.tokens import Tokens
from slugline.models.architectures.blocks import base_of
from slugline.models.memory import retry_with_smaller_batches

if TYPE_CHECKING:
    from transformers import PreTrainedModel

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """Matrix products in ``precision``, numerically sensitive operations in float32."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=DTYPES[precision])


@contextmanager
def evaluation_mode(model: PreTrainedModel, precision: Precision) -> Iterator[None]:
    """Evaluation mode without gradients inside; afterwards the model's previous mode.

    Args:
        model: model to switch to evaluation mode; restored afterwards.
        precision: precision of the matrix products.

    Yields:
        Nothing.
    """
    was_training = model.training
    model.train(False)
    try:
        with torch.inference_mode(), autocast(model.device, precision):
            yield
    finally:
        model.train(was_training)


def predict_logits(
    model: PreTrainedModel, tokens: Tokens, *, pad_id: int, precision: Precision, limits: BatchLimits
) -> NDArray[np.float32]:
    """Return the logits of tokenised texts.

    Args:
        model: any sequence classifier.
        tokens: tokens of N texts.
        pad_id: id of the padding token.
        precision: precision of the matrix products.
        limits: limits of one forward pass.

    Returns:
        (N, K) in the order of the texts.

    Raises:
        ModelError: a single text does not fit into memory.
    """

    def compute(limits: BatchLimits) -> NDArray[np.float32]:
        n_labels = model.config.num_labels or 0
        return batched_logits(_batch_forward(model), tokens, n_labels=n_labels, pad_id=pad_id, limits=limits)

    with evaluation_mode(model, precision):
        return retry_with_smaller_batches(compute, limits=limits)


def _batch_forward(model: PreTrainedModel) -> BatchForward:
    def forward(batch: Mapping[str, NDArray[np.int64]], count: int) -> NDArray[np.float32]:
        tensors = {name: torch.from_numpy(array).to(model.device) for name, array in batch.items()}
        return text_logits(model, tensors, count).cpu().numpy()

    return forward


def text_logits(model: torch.nn.Module, batch: Mapping[str, Tensor], count: int) -> Tensor:
    """Return the logits of texts; the logits of a text are the mean of the logits of its pieces.

    Args:
        model: any sequence classifier.
        batch: batch from `slugline.data.batching.planning.pad`, as tensors.
        count: number of texts, B.

    Returns:
        (B, K) in float32.
    """
    inputs = dict(batch)
    window_of = inputs.pop("window_of", None)
    logits: Tensor = model(**inputs).logits.float()
    if window_of is None:
        return logits
    sums = logits.new_zeros(count, logits.shape[1]).index_add(0, window_of, logits)
    return sums / window_of.bincount(minlength=count).unsqueeze(1)


def cast_linear_weights(model: PreTrainedModel, precision: Precision) -> None:
    """Store the weights of the linear layers of the base in ``precision``.

    ``autocast`` would convert them in every forward pass, which takes longer than the pass itself for a single short
    text; the products are bitwise the same. For prediction only: such weights cannot be trained well.

    Args:
        model: model for prediction; changed in place.
        precision: precision of the matrix products in `predict_logits`.
    """
    if precision == "fp32":
        return
    for module in base_of(model).modules():
        if isinstance(module, torch.nn.Linear):
            module.to(DTYPES[precision])


def two_texts(model: PreTrainedModel) -> dict[str, Tensor]:
    """Return a small batch to try a model on.

    Args:
        model: model of any architecture.

    Returns:
        ``input_ids`` and ``attention_mask`` (2, 6) on the model's device; the second text has padding if the model has
        a padding token.
    """
    ids = torch.arange(12, device=model.device).reshape(2, 6) % int(base_of(model).config.vocab_size)
    pad = model.config.pad_token_id
    ids[ids == pad] = 1 if pad == 0 else 0
    mask = torch.ones_like(ids)
    if pad is not None:
        ids[1, 4:], mask[1, 4:] = pad, 0
    return {"input_ids": ids, "attention_mask": mask}
