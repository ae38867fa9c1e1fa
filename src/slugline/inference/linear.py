"""The linear kind: TF-IDF of words and word pairs, a linear support vector machine on top.

A strong baseline that trains in seconds (Joachims 1998). Its margins are its logits; a temperature fitted on
validation makes probabilities of them, as for every other kind. Saved as JSON and safetensors, never as a pickle.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import TrainingError
from slugline.core.labels import LabelSet
from slugline.core.layouts import ModelLayout
from slugline.inference.predictor import windows

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer

#: Everything that decides how a text becomes a vector; written into ``linear.json``.
SETTINGS: dict[str, Any] = {"lowercase": True, "ngram_range": [1, 2], "sublinear_tf": True, "norm": "l2"}


@dataclass(frozen=True)
class LinearPredictor:
    """Texts to margins.

    Args:
        labels: the K classes.
        vocabulary: V words and word pairs, in the order of the columns.
        idf: (V,) float64, inverse document frequencies.
        weights: (V, K) float32.
        bias: (K,) float32.
        settings: as in `SETTINGS`, and the C that was chosen.
    """

    labels: LabelSet
    vocabulary: tuple[str, ...]
    idf: NDArray[np.float64]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    settings: dict[str, Any]

    @cached_property
    def vectorizer(self) -> TfidfVectorizer:
        """scikit-learn's vectorizer with this vocabulary."""
        vectorizer = _vectorizer(self.settings, vocabulary={term: i for i, term in enumerate(self.vocabulary)})
        vectorizer.idf_ = self.idf
        return vectorizer

    def logits(self, texts: Iterable[str]) -> Iterator[NDArray[np.float32]]:
        """Margins in the order of the texts, a window at a time.

        Args:
            texts: cleaned; any number, read as they are needed.

        Yields:
            (b, K) for the next b texts.
        """
        for window in windows(texts):
            yield np.asarray(self.vectorizer.transform(window) @ self.weights + self.bias, dtype=np.float32)

    @property
    def size(self) -> dict[str, int]:
        """Parameter counts for ``metrics.json``."""
        count = self.weights.size + self.bias.size
        return {"parameters": count, "trainable_parameters": count, "embedding_parameters": 0}

    def save(self, folder: Path) -> None:
        """Write ``linear.json`` and ``model.safetensors``.

        Args:
            folder: exists already.
        """
        from safetensors.numpy import save_file

        layout = ModelLayout(folder)
        facts = {
            "kind": "linear",
            "labels": list(self.labels.names),
            "settings": self.settings,
            "vocabulary": list(self.vocabulary),
        }
        layout.linear.write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")
        save_file({"idf": self.idf, "weights": self.weights, "bias": self.bias}, layout.weights)

    @classmethod
    def load(cls, folder: Path) -> LinearPredictor:
        """Read what `save` wrote.

        Args:
            folder: of the model.

        Returns:
            A scorer that gives the same margins to the bit.
        """
        from safetensors.numpy import load_file

        layout = ModelLayout(folder)
        facts = json.loads(layout.linear.read_text(encoding="utf-8"))
        arrays = load_file(layout.weights)
        return cls(
            labels=LabelSet(tuple(facts["labels"])),
            vocabulary=tuple(facts["vocabulary"]),
            settings=facts["settings"],
            idf=arrays["idf"],
            weights=arrays["weights"],
            bias=arrays["bias"],
        )


def fit_linear_models(
    texts: Sequence[str], targets: NDArray[np.int64], *, labels: LabelSet, costs: Sequence[float], seed: int
) -> Iterator[LinearPredictor]:
    """Fit one scorer for each cost, the vectors computed once.

    Args:
        texts: N cleaned texts.
        targets: (N,) class indices.
        labels: the K classes; a class without a text gets a margin that never wins.
        costs: values of the SVM's C.
        seed: of the solver.

    Yields:
        A scorer for each cost, in order.

    Raises:
        TrainingError: the texts hold no word, or only one class.
    """
    from sklearn.svm import LinearSVC

    if len(np.unique(targets)) < 2:
        raise TrainingError("the training rows hold only one class.", hint="Check data.label and the class filters.")
    vectorizer = _vectorizer(SETTINGS)
    try:
        vectors = vectorizer.fit_transform(texts)
    except ValueError as error:
        raise TrainingError(f"the training texts hold no words: {error}.", hint="Check data.text.") from error
    vocabulary = tuple(vectorizer.get_feature_names_out().tolist())
    for cost in costs:
        machine = LinearSVC(C=cost, random_state=seed).fit(vectors, targets)
        weights, bias = _all_classes(machine, len(labels))
        yield LinearPredictor(labels, vocabulary, vectorizer.idf_, weights, bias, SETTINGS | {"C": cost})


def _vectorizer(settings: dict[str, Any], vocabulary: dict[str, int] | None = None) -> TfidfVectorizer:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        lowercase=settings["lowercase"],
        ngram_range=tuple(settings["ngram_range"]),
        sublinear_tf=settings["sublinear_tf"],
        norm=settings["norm"],
        vocabulary=vocabulary,
    )


def _all_classes(machine: Any, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights (V, K) and bias (K,) over all classes of the label set, from one-against-rest or the binary form."""
    coefficients, intercepts = machine.coef_, machine.intercept_
    if len(machine.classes_) == 2:
        # One margin m for two classes: -m/2 and m/2 give it back as their difference.
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    weights = np.zeros((coefficients.shape[1], width), dtype=np.float32)
    # Margins of absent classes: below any margin of a present one, yet finite.
    bias = np.full(width, -10.0, dtype=np.float32)
    weights[:, machine.classes_] = coefficients.T
    bias[machine.classes_] = intercepts
    return weights, bias
