"""What a classifier learns from: the tokens of texts, or what a frozen base once said of them.

Both give updates to the trainer and logits on validation; nobody else needs to know which of them it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset

from slugline.core.hardware import Precision
from slugline.data.batching.batches import UpdateLoader, UpdateSampler, update_loader
from slugline.data.batching.tokens import Tokens
from slugline.models.adaptation.frozen_features import Features, FrozenBase
from slugline.models.forward import autocast, forward, text_logits
from slugline.training.loop.trainer import ForwardFunction, forward_texts

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class TrainingInputs(Protocol):
    """Training and validation rows as the model reads them."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) tokens of each training row."""

    @property
    def forward(self) -> ForwardFunction:
        """How the model is asked about a batch."""

    def loader(self, targets: NDArray[np.int64], sampler: UpdateSampler, workers: int) -> UpdateLoader:
        """Updates of the training rows.

        Args:
            targets: (N,) class indices.
            sampler: over the same N rows.
            workers: processes that prepare batches, where there is something to prepare.

        Returns:
            The loader.
        """

    def validation_logits(
        self, model: PreTrainedModel, *, precision: Precision, rows: int, budget: int
    ) -> NDArray[np.float32]:
        """What the model says of the validation rows.

        Args:
            model: that is trained.
            precision: of the matrix products.
            rows: most pieces in a forward pass.
            budget: most padded tokens in a forward pass.

        Returns:
            (N, K).
        """


@dataclass(frozen=True)
class TokenInputs:
    """Tokens, read anew in every pass.

    Args:
        tokens: of train and validation.
        pad_id: id of the padding token.
    """

    tokens: Mapping[str, Tokens]
    pad_id: int

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) tokens of each training row, those of all its pieces together."""
        return self.tokens["train"].lengths * self.tokens["train"].pieces

    @property
    def forward(self) -> ForwardFunction:
        """What the model says of texts."""
        return forward_texts

    def loader(self, targets: NDArray[np.int64], sampler: UpdateSampler, workers: int) -> UpdateLoader:
        """Updates of the training rows."""
        return update_loader(self.tokens["train"], targets, sampler=sampler, pad_id=self.pad_id, workers=workers)

    def validation_logits(
        self, model: PreTrainedModel, *, precision: Precision, rows: int, budget: int
    ) -> NDArray[np.float32]:
        """(N, K) what the model says of the validation rows."""
        tokens = self.tokens["validation"]
        return forward(model, tokens, pad_id=self.pad_id, precision=precision, rows=rows, budget=budget)


@dataclass(frozen=True)
class FeatureInputs:
    """What a frozen base says of texts, computed once: an epoch costs the head alone.

    Args:
        frozen_base: of the model.
        features: of train and validation.
    """

    frozen_base: FrozenBase
    features: Mapping[str, Features]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) pieces of each training row."""
        return self.features["train"].pieces

    @property
    def forward(self) -> ForwardFunction:
        """What the head says of features."""
        return self._forward

    def loader(self, targets: NDArray[np.int64], sampler: UpdateSampler, workers: int) -> UpdateLoader:
        """Updates of the training rows."""
        return UpdateLoader(
            _Rows(self.features["train"], targets),
            batch_sampler=sampler,
            collate_fn=self._collate,
            # Its own generator: the global random state belongs to dropout, and to exact resumption.
            generator=torch.Generator(),
        )

    def validation_logits(
        self, model: PreTrainedModel, *, precision: Precision, rows: int, budget: int
    ) -> NDArray[np.float32]:
        """(N, K) what the model says of the validation rows."""
        features, was_training = self.features["validation"], model.training
        model.train(False)
        logits: list[NDArray[np.float32]] = []
        with torch.inference_mode(), autocast(model.device, precision):
            for start in range(0, len(features), rows):
                some = [(features[index], 0) for index in range(start, min(start + rows, len(features)))]
                batch = {key: value.to(model.device) for key, value in self._collate(some).items()}
                logits.append(self._forward(model, batch)[0].float().cpu().numpy())
        model.train(was_training)
        return np.concatenate(logits)

    def _forward(self, model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        inputs = dict(batch)
        labels = inputs.pop("labels")
        with self.frozen_base.of(inputs.pop("features")):
            return text_logits(model, inputs, len(labels)), labels

    def _collate(self, rows: Sequence[tuple[NDArray[np.float32], int]]) -> dict[str, Tensor]:
        """Rows to what `FrozenBase.batch` gives, ``features`` (P, 1, H), ``labels`` and, if need be, ``window_of`` (P,)."""
        vectors = torch.from_numpy(np.concatenate([pieces for pieces, _ in rows]))
        batch = self.frozen_base.batch(len(vectors)) | {"features": vectors.unsqueeze(1)}
        if len(vectors) > len(rows):
            batch["window_of"] = torch.tensor([index for index, (pieces, _) in enumerate(rows) for _ in pieces])
        return batch | {"labels": torch.tensor([label for _, label in rows], dtype=torch.int64)}


class _Rows(Dataset[tuple[NDArray[np.float32], int]]):
    """Features and label of each row."""

    def __init__(self, features: Features, targets: NDArray[np.int64]) -> None:
        self.features, self.targets = features, targets

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], int]:
        return self.features[index], int(self.targets[index])
