"""Texts to logits through a transformer: tokenise, then one function from tokens to logits.

The function runs the forward pass of one runtime: torch (`slugline.models.forward`); ONNX may follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from slugline.data.batching.tokens import Tokens, tokenise
from slugline.data.batching.truncation import Truncation
from slugline.inference.predictor import text_chunks

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class TransformerPredictor:
    """Texts to logits through a transformer.

    Args:
        tokenizer: tokenizer of the model.
        truncation: policy for texts that are longer than the model's input.
        predict: function from N tokenised texts to logits (N, K).
    """

    tokenizer: PreTrainedTokenizerBase
    truncation: Truncation
    predict: Callable[[Tokens], NDArray[np.float32]]

    def logits(self, texts: Iterable[str]) -> Iterator[NDArray[np.float32]]:
        """Logits in the order of the texts.

        Args:
            texts: any number of cleaned texts, read as they are needed.

        Yields:
            (b, K) logits of the next b texts.
        """
        for chunk in text_chunks(texts):
            yield self.predict(tokenise(chunk, self.tokenizer, self.truncation))
