"""The linear kind: comes back to the bit, knows all classes, forgets nothing of a binary problem."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from conftest import articles
from slugline.core.errors import TrainingError
from slugline.core.labels import LabelSet
from slugline.inference.linear import LinearPredictor
from slugline.training.linear import fit_linear_models

LABELS = LabelSet(("business", "sport", "tech"))
ROWS = articles(90)
TEXTS = [row["text"] for row in ROWS]
TARGETS = LABELS.encode([row["label"] for row in ROWS]).astype(np.int64)


def fit(texts: list[str], targets: np.ndarray, labels: LabelSet = LABELS) -> LinearPredictor:
    return next(fit_linear_models(texts, targets, labels=labels, costs=[1.0], seed=0))


def margins(predictor: LinearPredictor, texts: list[str]) -> np.ndarray:
    return np.concatenate(list(predictor.logits(texts)))


def test_margins_are_those_of_scikit_learn() -> None:
    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit(TEXTS)
    machine = LinearSVC(C=1.0, random_state=0).fit(vectors.transform(TEXTS), TARGETS)
    expected = machine.decision_function(vectors.transform(TEXTS))
    np.testing.assert_allclose(margins(fit(TEXTS, TARGETS), TEXTS), expected, atol=1e-5)


def test_saved_and_loaded_it_is_the_same_to_the_bit(tmp_path: Path) -> None:
    predictor = fit(TEXTS, TARGETS)
    predictor.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["linear.json", "model.safetensors"]
    loaded = LinearPredictor.load(tmp_path)
    assert (margins(loaded, TEXTS) == margins(predictor, TEXTS)).all()
    assert loaded.settings == predictor.settings


def test_two_classes_get_two_margins_whose_difference_is_the_svms() -> None:
    labels = LabelSet(("business", "sport"))
    rows = TARGETS < 2
    texts, targets = [text for text, is_in in zip(TEXTS, rows, strict=True) if is_in], TARGETS[rows]
    found = margins(fit(texts, targets, labels), texts)
    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit(texts)
    machine = LinearSVC(C=1.0, random_state=0).fit(vectors.transform(texts), targets)
    expected = machine.decision_function(vectors.transform(texts))
    np.testing.assert_allclose(found[:, 1] - found[:, 0], expected, atol=1e-5)


def test_a_class_without_training_texts_is_never_the_answer() -> None:
    labels = LabelSet(("business", "nothing", "sport", "tech"))
    targets = np.where(TARGETS == 0, 0, TARGETS + 1)
    found = margins(fit(TEXTS, targets, labels), [*TEXTS, "", "words never seen"])
    assert np.isfinite(found).all()
    assert 1 not in found.argmax(axis=1)


def test_what_cannot_be_learned_is_said() -> None:
    with pytest.raises(TrainingError, match="only one class"):
        fit(TEXTS, np.zeros(len(TEXTS), dtype=np.int64))
    with pytest.raises(TrainingError, match="no words"):
        fit(["", "!"] * 5, np.array([0, 1] * 5))
