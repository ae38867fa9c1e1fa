"""A trained transformer that answers with logits: tokens in, float32 out, in constant memory.

The trainer's evaluation and every prediction go through `forward`, so that both mean the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slugline.core.hardware import Precision
from slugline.data.batching.batches import batches_by_length, collate
from slugline.data.batching.tokens import Tokens, Truncation, tokenise
from slugline.inference.predictor import windows
from slugline.models.memory import retry_with_smaller_batches

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """Matrix products in ``precision``, everything delicate in float32."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=DTYPES[precision])


def forward(
    model: PreTrainedModel, tokens: Tokens, *, pad_id: int, precision: Precision, rows: int, budget: int
) -> NDArray[np.float32]:
    """Logits of tokenised texts.

    Args:
        model: any sequence classifier; put into evaluation mode and left as it was found.
        tokens: N texts.
        pad_id: id of the padding token.
        precision: of the matrix products.
        rows: most pieces in a forward pass.
        budget: most padded tokens in a forward pass.

    Returns:
        (N, K) in the order of the texts.

    Raises:
        ModelError: a single text does not fit into memory.
    """
    device, was_training = model.device, model.training
    logits = np.zeros((len(tokens), model.config.num_labels or 0), dtype=np.float32)

    def fill(rows: int, budget: int) -> None:
        for indices in batches_by_length(tokens, rows=rows, budget=budget):
            batch = collate([tokens[index] for index in indices], pad_id=pad_id)
            some = text_logits(model, {key: value.to(device) for key, value in batch.items()}, len(indices))
            logits[indices] = some.float().cpu().numpy()

    model.train(False)
    try:
        with torch.inference_mode(), autocast(device, precision):
            retry_with_smaller_batches(fill, rows=rows, budget=budget)
    finally:
        model.train(was_training)
    return logits


def text_logits(model: torch.nn.Module, batch: Mapping[str, Tensor], count: int) -> Tensor:
    """What a model says of texts: of each the mean over its pieces.

    Args:
        model: any sequence classifier.
        batch: as `slugline.data.batching.batches.collate` gives it, without labels.
        count: B, the number of texts.

    Returns:
        (B, K).
    """
    inputs = dict(batch)
    window_of = inputs.pop("window_of", None)
    logits: Tensor = model(**inputs).logits
    if window_of is None:
        return logits
    logits = logits.float()  # of eight windows in bfloat16 the mean would lose what tells close classes apart
    sums = logits.new_zeros(count, logits.shape[1]).index_add(0, window_of, logits)
    return sums / window_of.bincount(minlength=count).unsqueeze(1)


def cast_linear_weights(model: PreTrainedModel, precision: Precision) -> None:
    """Store the weights of linear layers in ``precision``.

    ``autocast`` would convert them again for every forward pass, which for a single short text takes longer than the
    pass itself; the products are the same to the bit. For prediction only: such weights cannot be trained well.

    Args:
        model: changed in place.
        precision: as used with `forward`.
    """
    if precision == "fp32":
        return
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            module.to(DTYPES[precision])


@dataclass(frozen=True)
class TransformerPredictor:
    """Texts to logits through a transformer.

    Args:
        model: in evaluation mode, on its device.
        tokenizer: the model's.
        truncation: what of a long text is read.
        precision: of the matrix products.
        rows: most texts in a forward pass.
        budget: most padded tokens in a forward pass.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    truncation: Truncation
    precision: Precision = "fp32"
    rows: int = 64
    budget: int = 8_192

    def logits(self, texts: Iterable[str]) -> Iterator[NDArray[np.float32]]:
        """Logits in the order of the texts, a window at a time.

        Args:
            texts: cleaned; any number, read as they are needed.

        Yields:
            (b, K) for the next b texts.
        """
        for window in windows(texts):
            tokens = tokenise(window, self.tokenizer, self.truncation)
            yield forward(
                self.model,
                tokens,
                pad_id=int(self.tokenizer.pad_token_id),
                precision=self.precision,
                rows=self.rows,
                budget=self.budget,
            )
