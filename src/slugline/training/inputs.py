"""Inputs of fine-tuning: the tokens of texts, or the cached features of a frozen base.

Both provide updates for the trainer and logits on validation behind one protocol, `TrainingInputs`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset

from slugline.core.hardware import Precision
from slugline.core.labels import Targets
from slugline.data.batching.loaders import UpdateLoader, UpdateSampler, build_loader, label_tensor, update_loader
from slugline.data.batching.planning import BatchLimits
from slugline.data.batching.tokens import Tokens
from slugline.models.adaptation.frozen_features import Features, FrozenBase
from slugline.models.forward import evaluation_mode, predict_logits, text_logits
from slugline.training.loop.method import ForwardFunction, forward_texts

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class TrainingInputs(Protocol):
    """Training and validation rows in the form that the model reads."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) tokens of each training row."""

    @property
    def forward(self) -> ForwardFunction:
        """Computes logits and targets of a batch."""

    def loader(self, targets: Targets, sampler: UpdateSampler, workers: int) -> UpdateLoader:
        """Build the loader of the training rows.

        Args:
            targets: (N,) class indices, or (N, K) bool in a ``multi`` set.
            sampler: sampler of the same N rows.
            workers: processes that prepare batches.

        Returns:
            The loader.
        """

    def validation_logits(
        self, model: PreTrainedModel, *, precision: Precision, limits: BatchLimits
    ) -> NDArray[np.float32]:
        """Compute the logits of the validation rows.

        Args:
            model: model to evaluate.
            precision: precision of the matrix products.
            limits: limits of one forward pass.

        Returns:
            (N, K).
        """


@dataclass(frozen=True)
class TokenInputs:
    """Tokens; every epoch runs the whole model.

    Args:
        tokens: tokens of the rows in train and validation.
        pad_id: id of the padding token.
    """

    tokens: Mapping[str, Tokens]
    pad_id: int

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) tokens of each training row, summed over its pieces."""
        return self.tokens["train"].lengths * self.tokens["train"].pieces

    @property
    def forward(self) -> ForwardFunction:
        """Logits and labels of texts."""
        return forward_texts

    def loader(self, targets: Targets, sampler: UpdateSampler, workers: int) -> UpdateLoader:
        """Loader of the training rows."""
        return update_loader(self.tokens["train"], targets, sampler=sampler, pad_id=self.pad_id, workers=workers)

    def validation_logits(
        self, model: PreTrainedModel, *, precision: Precision, limits: BatchLimits
    ) -> NDArray[np.float32]:
        """(N, K) logits of the validation rows."""
        return predict_logits(model, self.tokens["validation"], pad_id=self.pad_id, precision=precision, limits=limits)


@dataclass(frozen=True)
class FeatureInputs:
    """Features of a frozen base, computed once; an epoch runs only the head.

    Args:
        frozen_base: frozen base of the model.
        features: features of the rows in train and validation.
    """

    frozen_base: FrozenBase
    features: Mapping[str, Features]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) pieces of each training row."""
        return self.features["train"].pieces

    @property
    def forward(self) -> ForwardFunction:
        """Logits and labels of features."""
        return self._forward

    def loader(self, targets: Targets, sampler: UpdateSampler, workers: int) -> UpdateLoader:
        """Loader of the training rows, without workers, because features need no preparation."""
        return build_loader(_Rows(self.features["train"], targets), sampler, self._collate)

    def validation_logits(
        self, model: PreTrainedModel, *, precision: Precision, limits: BatchLimits
    ) -> NDArray[np.float32]:
        """(N, K) logits of the validation rows."""
        features, rows = self.features["validation"], limits.max_pieces
        logits: list[NDArray[np.float32]] = []
        with evaluation_mode(model, precision):
            for start in range(0, len(features), rows):
                # The targets are unused.
                examples = [(features[index], np.int64(0)) for index in range(start, min(start + rows, len(features)))]
                batch = {key: value.to(model.device) for key, value in self._collate(examples).items()}
                logits.append(self._forward(model, batch)[0].float().cpu().numpy())
        return np.concatenate(logits)

    def _forward(self, model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        inputs = dict(batch)
        labels = inputs.pop("labels")
        with self.frozen_base.returning(inputs.pop("features")):
            return text_logits(model, inputs, len(labels)), labels

    def _collate(self, rows: Sequence[tuple[NDArray[np.float32], Any]]) -> dict[str, Tensor]:
        """``FrozenBase.batch``, ``features`` (P, 1, H), ``labels``, and ``window_of`` (P,) if there are windows."""
        vectors = torch.from_numpy(np.concatenate([pieces for pieces, _ in rows]))
        batch = self.frozen_base.batch(len(vectors)) | {"features": vectors.unsqueeze(1)}
        if len(vectors) > len(rows):
            batch["window_of"] = torch.tensor([index for index, (pieces, _) in enumerate(rows) for _ in pieces])
        return batch | {"labels": label_tensor([targets for _, targets in rows])}


class _Rows(Dataset[tuple[NDArray[np.float32], Any]]):
    """Features and targets of each row."""

    def __init__(self, features: Features, targets: Targets) -> None:
        self.features, self.targets = features, targets

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], Any]:
        return self.features[index], self.targets[index]
