"""Prediction of the linear kind: TF-IDF of words and word pairs, then a linear support vector machine.

Its margins are its logits; temperature scaling turns them into probabilities, as for every other kind. The model is
saved as JSON and safetensors. `slugline.training.linear` fits it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from slugline.core.labels import LabelSet
from slugline.core.layouts import ModelLayout
from slugline.core.model_folders import damaged, read_json
from slugline.inference.predictor import text_chunks

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer

    from slugline.inference.load import LoadOptions

#: Settings of the vectorizer; written into ``linear.json``.
SETTINGS: dict[str, Any] = {"lowercase": True, "ngram_range": [1, 2], "sublinear_tf": True, "norm": "l2"}


@dataclass(frozen=True)
class LinearPredictor:
    """Texts to margins through TF-IDF and a linear SVM.

    Args:
        labels: the K classes.
        vocabulary: V words and word pairs, in the order of the columns.
        idf: (V,) float64, inverse document frequencies.
        weights: (V, K) float32, coefficients of the SVM.
        bias: (K,) float32, intercepts of the SVM.
        settings: `SETTINGS`, and the chosen C.
    """

    labels: LabelSet
    vocabulary: tuple[str, ...]
    idf: NDArray[np.float64]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    settings: dict[str, Any]

    @cached_property
    def vectorizer(self) -> TfidfVectorizer:
        """The vectorizer of scikit-learn with this vocabulary."""
        vectorizer = build_vectorizer(self.settings, vocabulary={term: i for i, term in enumerate(self.vocabulary)})
        vectorizer.idf_ = self.idf
        return vectorizer

    def logits(self, texts: Iterable[str]) -> Iterator[NDArray[np.float32]]:
        """Margins in the order of the texts.

        Args:
            texts: any number of cleaned texts, read as they are needed.

        Yields:
            (b, K) margins of the next b texts.
        """
        for chunk in text_chunks(texts):
            yield np.asarray(self.vectorizer.transform(chunk) @ self.weights + self.bias, dtype=np.float32)

    @property
    def size(self) -> dict[str, int]:
        """Parameter counts for ``metrics.json``."""
        count = self.weights.size + self.bias.size
        return {"parameters": count, "trainable_parameters": count, "embedding_parameters": 0}

    def save(self, folder: Path) -> None:
        """Write ``linear.json`` and ``model.safetensors``.

        Args:
            folder: existing folder.
        """
        from safetensors.numpy import save_file

        layout = ModelLayout(folder)
        values = {
            "kind": "linear",
            "label_set": self.labels.to_dict(),
            "settings": self.settings,
            "vocabulary": list(self.vocabulary),
        }
        layout.linear.write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")
        save_file({"idf": self.idf, "weights": self.weights, "bias": self.bias}, layout.weights)

    @classmethod
    def load(cls, folder: Path) -> LinearPredictor:
        """Read what `save` wrote.

        Args:
            folder: model folder.

        Returns:
            A predictor whose margins are bitwise the same.

        Raises:
            ModelError: a file is damaged.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        layout = ModelLayout(folder)
        values = read_json(layout.linear)
        try:
            arrays = load_file(layout.weights)
        except (SafetensorError, OSError) as error:
            raise damaged(layout.weights, str(error)) from error
        return cls(
            # Earlier versions wrote only the names.
            labels=LabelSet.from_dict(values.get("label_set") or {"names": values["labels"]}),
            vocabulary=tuple(values["vocabulary"]),
            settings=values["settings"],
            idf=arrays["idf"],
            weights=arrays["weights"],
            bias=arrays["bias"],
        )


def load_linear(source: str, options: LoadOptions) -> tuple[LabelSet, LinearPredictor]:
    """Load a linear model.

    Args:
        source: model folder.
        options: unused; the linear kind always computes on the CPU.

    Returns:
        Its label set and predictor.
    """
    predictor = LinearPredictor.load(Path(source))
    return predictor.labels, predictor


def build_vectorizer(settings: dict[str, Any], vocabulary: dict[str, int] | None = None) -> TfidfVectorizer:
    """Build scikit-learn's TF-IDF vectorizer.

    Args:
        settings: settings with the keys of `SETTINGS`.
        vocabulary: column of each term; None = learned by the vectorizer.

    Returns:
        The vectorizer.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        lowercase=settings["lowercase"],
        ngram_range=tuple(settings["ngram_range"]),
        sublinear_tf=settings["sublinear_tf"],
        norm=settings["norm"],
        vocabulary=vocabulary,
    )
