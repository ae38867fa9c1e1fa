"""What a frozen base says of texts, computed once: training then costs the head alone.

Heads look at one vector of a text: the state of its first or last token, their mean or maximum. `FrozenBase` finds out
which by trying, keeps that one instead of all states, and answers with it in the base's place.
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
from slugline.data.batching.batches import batches_by_length, collate
from slugline.data.batching.tokens import Tokens
from slugline.models.architectures.blocks import base_of
from slugline.models.architectures.pooled import pool
from slugline.models.forward import autocast
from slugline.models.memory import retry_with_smaller_batches

if TYPE_CHECKING:
    from transformers import PreTrainedModel

#: Largest difference between logits that count as the same, relative to the largest of them.
SAME = 1e-4

#: Token states (P, T, H) and mask (P, T) to one vector a piece (P, H).
PoolingFunction = Callable[[Tensor, Tensor], Tensor]


def _pooled(name: Any) -> PoolingFunction:
    return lambda states, mask: pool(states, mask, name)


#: What a head may look at.
POOLINGS: dict[str, PoolingFunction] = {name: _pooled(name) for name in ("cls", "last", "mean", "max")}


@dataclass(frozen=True)
class Features:
    """One vector for each piece of N texts.

    Args:
        vectors: (pieces of all texts, H) float32.
        offsets: (N + 1,) where each text's pieces begin.
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
    """Answers in a frozen base's place with what it said before.

    Args:
        model: with a frozen base and a head.

    Raises:
        ValueError: the head looks at more than one vector of a text.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model, self.base = model, base_of(model)
        self.look = self._find_pooling()

    def encode(self, tokens: Tokens, *, pad_id: int, precision: Precision, rows: int, budget: int) -> Features:
        """Ask the base about texts.

        Args:
            tokens: N texts.
            pad_id: id of the padding token.
            precision: of the matrix products.
            rows: most pieces in a forward pass.
            budget: most padded tokens in a forward pass.

        Returns:
            Their features.
        """
        device, offsets = self.model.device, np.concatenate([[0], np.cumsum(tokens.pieces)]).astype(np.int64)
        vectors = np.zeros((int(offsets[-1]), int(self.base.config.hidden_size)), dtype=np.float32)

        def fill(rows: int, budget: int) -> None:
            with track("features", len(tokens), unit="texts") as advance:
                for indices in batches_by_length(tokens, rows=rows, budget=budget):
                    batch = collate([tokens[index] for index in indices], pad_id=pad_id)
                    ids, mask = batch["input_ids"].to(device), batch["attention_mask"].to(device)
                    seen = self.look(self.base(input_ids=ids, attention_mask=mask).last_hidden_state, mask)
                    places = np.concatenate([np.arange(offsets[index], offsets[index + 1]) for index in indices])
                    vectors[places] = seen.float().cpu().numpy()
                    advance(len(indices))

        with torch.inference_mode(), autocast(device, precision):
            retry_with_smaller_batches(fill, rows=rows, budget=budget)
        return Features(vectors, offsets)

    @contextmanager
    def of(self, vectors: Tensor) -> Iterator[None]:
        """Inside, the base answers with these vectors, each as the only token of a piece.

        Args:
            vectors: (P, 1, H).
        """
        # BERT's pooler lies inside its base, and is frozen with it.
        pooler = getattr(self.base, "pooler", None)
        # The most general of transformers' outputs: heads ask for this or that part of it.
        output = BaseModelOutputWithPoolingAndCrossAttentions(
            last_hidden_state=vectors, pooler_output=None if pooler is None else pooler(vectors)
        )
        self.base.forward = lambda *_, **__: output
        try:
            yield
        finally:
            del self.base.forward

    def batch(self, pieces: int) -> dict[str, Tensor]:
        """``input_ids`` and ``attention_mask`` (P, 1) of pieces of a single token, which is no padding."""
        pad = self.model.config.pad_token_id
        ids = torch.full((pieces, 1), 1 if pad == 0 else 0, dtype=torch.int64)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    def _find_pooling(self) -> PoolingFunction:
        """Try on two little texts of any tokens, of different lengths."""
        ids = torch.arange(12, device=self.model.device).reshape(2, 6) % int(self.base.config.vocab_size)
        pad = self.model.config.pad_token_id
        ids[ids == pad] = 1 if pad == 0 else 0
        mask = torch.ones_like(ids)
        if pad is not None:
            ids[1, 4:], mask[1, 4:] = pad, 0
        was_training = self.model.training
        self.model.train(False)
        try:
            with torch.inference_mode():
                expected = self.model(input_ids=ids, attention_mask=mask).logits
                states = self.base(input_ids=ids, attention_mask=mask).last_hidden_state
                for look in POOLINGS.values():
                    with self.of(look(states, mask).unsqueeze(1)):
                        batch = {key: value.to(ids.device) for key, value in self.batch(2).items()}
                        found = self.model(**batch).logits
                    if torch.allclose(found, expected, rtol=0.0, atol=SAME * float(expected.abs().max())):
                        return look
        finally:
            self.model.train(was_training)
        raise ValueError("the head looks at more than one vector of a text")
