"""The linear kind: margins equal to those of scikit-learn, exact saving, classes without rows, errors."""

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
from slugline.training.linear import SOLVER_SEED, fit_linear_models

LABELS = LabelSet(("business", "sport", "tech"))
ROWS = articles(90)
TEXTS = [row["text"] for row in ROWS]
TARGETS = LABELS.encode([(row["label"],) for row in ROWS]).astype(np.int64)


def fit(texts: list[str], targets: np.ndarray, labels: LabelSet = LABELS) -> LinearPredictor:
    return next(fit_linear_models(texts, targets, labels=labels, costs=[1.0]))


def margins(predictor: LinearPredictor, texts: list[str]) -> np.ndarray:
    return np.concatenate(list(predictor.logits(texts)))


def test_margins_are_those_of_scikit_learn() -> None:
    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit(TEXTS)
    svm = LinearSVC(C=1.0, random_state=SOLVER_SEED).fit(vectors.transform(TEXTS), TARGETS)
    expected = svm.decision_function(vectors.transform(TEXTS))
    np.testing.assert_allclose(margins(fit(TEXTS, TARGETS), TEXTS), expected, atol=1e-5)


def test_saving_changes_nothing(tmp_path: Path) -> None:
    predictor = fit(TEXTS, TARGETS)
    predictor.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["linear.json", "model.safetensors"]
    loaded = LinearPredictor.load(tmp_path)
    assert (margins(loaded, TEXTS) == margins(predictor, TEXTS)).all()
    assert loaded.settings == predictor.settings


def test_the_difference_of_two_margins_is_the_margin_of_the_svm() -> None:
    labels = LabelSet(("business", "sport"))
    selected = TARGETS < 2
    texts = [text for text, is_selected in zip(TEXTS, selected, strict=True) if is_selected]
    targets = TARGETS[selected]
    found = margins(fit(texts, targets, labels), texts)
    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit(texts)
    svm = LinearSVC(C=1.0, random_state=SOLVER_SEED).fit(vectors.transform(texts), targets)
    expected = svm.decision_function(vectors.transform(texts))
    np.testing.assert_allclose(found[:, 1] - found[:, 0], expected, atol=1e-5)


def test_a_class_without_training_texts_is_never_predicted() -> None:
    labels = LabelSet(("business", "nothing", "sport", "tech"))
    targets = np.where(TARGETS == 0, 0, TARGETS + 1)
    found = margins(fit(TEXTS, targets, labels), [*TEXTS, "", "words never seen"])
    assert np.isfinite(found).all()
    assert 1 not in found.argmax(axis=1)


def test_texts_without_classes_or_words_are_refused() -> None:
    with pytest.raises(TrainingError, match="only one class"):
        fit(TEXTS, np.zeros(len(TEXTS), dtype=np.int64))
    with pytest.raises(TrainingError, match="no words"):
        fit(["", "!"] * 5, np.array([0, 1] * 5))


def test_class_weights_favour_a_rare_class() -> None:
    rng = np.random.default_rng(0)
    words = np.array(["goal", "shares", "game", "price", "team", "bank"])
    targets = (np.arange(200) % 20 == 0).astype(np.int64)
    # Both classes have all words; the rare one has more of every second word.
    odds = np.where(targets[:, None] == 1, [1, 3] * 3, [3, 2] * 3)
    texts = [" ".join(rng.choice(words, 8, p=row / row.sum())) for row in odds]
    labels = LabelSet(("common", "rare"))
    recalls = []
    for weights in (None, np.array([1.0, 1.0]), np.array([1.0, 19.0])):
        by_row = None if weights is None else weights[targets]
        predictor = next(fit_linear_models(texts, targets, labels=labels, costs=[1.0], weights=by_row))
        recalls.append((margins(predictor, texts).argmax(axis=1)[targets == 1] == 1).mean())
    assert recalls[0] == recalls[1] < recalls[2]
