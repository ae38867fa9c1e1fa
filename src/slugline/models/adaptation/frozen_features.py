"""Features of a frozen base, computed once, so that training runs only the head.

A classification head reads one vector per text: the state of its first or last token, or the mean or maximum of the
states. `FrozenBase` finds out which by comparing logits, and keeps that vector instead of all states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndCrossAttentions

from slugline.core.hardware import Precision
from slugline.core.progress import track
from slugline.data.batching.planning import BatchLimits, padded_batches
from slugline.data.batching.tokens import Tokens
from slugline.models.architectures.blocks import base_of
from slugline.models.architectures.pooled import pool
from slugline.models.forward import autocast, two_texts
from slugline.models.memory import retry_with_smaller_batches

if TYPE_CHECKING:
    from transformers import PreTrainedModel

#: Largest difference between logits that count as equal, relative to the largest of them.
TOLERANCE = 1e-4

#: Token states (P, T, H) and mask (P, T) to one vector per piece (P, H).
PoolingFunction = Callable[[Tensor, Tensor], Tensor]


def _pooling(name: Any) -> PoolingFunction:
    return lambda states, mask: pool(states, mask, name)


#: Poolings that a head may use.
POOLINGS: dict[str, PoolingFunction] = {name: _pooling(name) for name in ("cls", "last", "mean", "max")}


@dataclass(frozen=True)
class Features:
    """One vector for each piece of N texts.

    Args:
        vectors: (pieces of all texts, H) float32.
        offsets: (N + 1,) first piece of each text.
    """

    vectors: NDArray[np.float32]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        """(pieces, H) of one text."""
        return self.vectors[int(self.offsets[index]) : int(self.offsets[index + 1])]

    @property
    def pieces(self) -> NDArray[np.int64]:
        """(N,) pieces of each text."""
        return np.diff(self.offsets)


class FrozenBase:
    """A frozen base that computes features once and returns them in place of its forward pass.

    Args:
        model: model with a frozen base and a head.

    Raises:
        ValueError: the head reads more than one vector per text.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model, self.base = model, base_of(model)
        self.pooling = self._find_pooling()

    def encode(self, tokens: Tokens, *, pad_id: int, precision: Precision, limits: BatchLimits) -> Features:
        """Compute the features of texts.

        Args:
            tokens: tokens of N texts.
            pad_id: id of the padding token.
            precision: precision of the matrix products.
            limits: limits of one forward pass.

        Returns:
            Their features.
        """
        device, offsets = self.model.device, np.concatenate([[0], np.cumsum(tokens.pieces)]).astype(np.int64)
        vectors = np.zeros((int(offsets[-1]), int(self.base.config.hidden_size)), dtype=np.float32)

        def compute(limits: BatchLimits) -> None:
            with track("features", len(tokens), unit="texts") as advance:
                for indices, batch in padded_batches(tokens, pad_id=pad_id, limits=limits):
                    ids, mask = (torch.from_numpy(batch[name]).to(device) for name in ("input_ids", "attention_mask"))
                    states = self.base(input_ids=ids, attention_mask=mask).last_hidden_state
                    rows = np.concatenate([np.arange(offsets[index], offsets[index + 1]) for index in indices])
                    vectors[rows] = self.pooling(states, mask).float().cpu().numpy()
                    advance(len(indices))

        with torch.inference_mode(), autocast(device, precision):
            retry_with_smaller_batches(compute, limits=limits)
        return Features(vectors, offsets)

    @contextmanager
    def returning(self, vectors: Tensor) -> Iterator[None]:
        """Inside the block the base returns these vectors, each as the state of the only token of a piece.

        Args:
            vectors: (P, 1, H).

        Yields:
            Nothing.
        """
        # BERT's pooler is part of its base and frozen with it.
        pooler = getattr(self.base, "pooler", None)
        # The most general output class of transformers; heads read different parts of it.
        output = BaseModelOutputWithPoolingAndCrossAttentions(
            last_hidden_state=vectors, pooler_output=None if pooler is None else pooler(vectors)
        )
        self.base.forward = lambda *_, **__: output
        try:
            yield
        finally:
            del self.base.forward

    def batch(self, pieces: int) -> dict[str, Tensor]:
        """Return ``input_ids`` and ``attention_mask`` (P, 1): pieces of one token that is not padding."""
        pad = self.model.config.pad_token_id
        ids = torch.full((pieces, 1), 1 if pad == 0 else 0, dtype=torch.int64)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    def _find_pooling(self) -> PoolingFunction:
        """Compare the poolings on two short texts of different lengths."""
        texts = two_texts(self.model)
        mask = texts["attention_mask"]
        was_training = self.model.training
        self.model.train(False)
        try:
            with torch.inference_mode():
                expected = self.model(**texts).logits
                states = self.base(**texts).last_hidden_state
                for pooling in POOLINGS.values():
                    with self.returning(pooling(states, mask).unsqueeze(1)):
                        batch = {key: value.to(mask.device) for key, value in self.batch(2).items()}
                        found = self.model(**batch).logits
                    if torch.allclose(found, expected, rtol=0.0, atol=TOLERANCE * float(expected.abs().max())):
                        return pooling
        finally:
            self.model.train(was_training)
        raise ValueError("the head reads more than one vector per text")
