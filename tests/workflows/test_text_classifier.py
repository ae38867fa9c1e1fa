"""`TextClassifier`: a recipe as an estimator of scikit-learn."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from conftest import articles
from slugline import TextClassifier, train
from slugline.core.errors import DataError, RecipeError
from slugline.recipe.recipe import validate

ROWS = articles(90)
TEXTS, LABELS = [row["text"] for row in ROWS], [row["label"] for row in ROWS]
OTHERS = articles(30, seed=9)
OTHER_TEXTS, OTHER_LABELS = [row["text"] for row in OTHERS], [row["label"] for row in OTHERS]


@pytest.fixture(scope="module")
def fitted() -> TextClassifier:
    return TextClassifier(model__kind="linear").fit(TEXTS, LABELS)


def test_it_predicts_labels_and_probabilities(fitted: TextClassifier) -> None:
    assert is_classifier(fitted)
    assert fitted.classes_.tolist() == ["business", "sport", "tech"]
    probabilities = fitted.predict_proba(OTHER_TEXTS)
    assert probabilities.shape == (30, 3)
    predicted = fitted.predict(OTHER_TEXTS)
    assert predicted.tolist() == fitted.classes_[probabilities.argmax(axis=1)].tolist()
    assert fitted.score(OTHER_TEXTS, OTHER_LABELS) == accuracy_score(OTHER_LABELS, predicted) > 0.9
    assert fitted.run_.metrics["validation"]["accuracy"] > 0.5


def test_it_predicts_like_the_run_of_the_same_recipe(fitted: TextClassifier, tmp_path: Path) -> None:
    run = train(fitted.run_.recipe, run_dir=tmp_path / "run")
    assert run.metrics["validation"] == fitted.run_.metrics["validation"]


@pytest.mark.parametrize(("labels", "kind"), [([3, 7, 11], "i"), ([True, False, True], "b"), (["x", "y", "z"], "U")])
def test_labels_come_back_with_their_type(labels: list[Any], kind: str) -> None:
    topics = sorted(set(LABELS))
    given = np.array([labels[topics.index(label)] for label in LABELS])
    classifier = TextClassifier(model__kind="linear").fit(np.array(TEXTS, dtype=object), given)
    predicted = classifier.predict(TEXTS)
    assert predicted.dtype.kind == kind
    assert accuracy_score(given, predicted) == classifier.score(TEXTS, given) > 0.9


def test_tables_and_series_are_read() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"title": [text[:20] for text in TEXTS], "body": TEXTS, "topic": LABELS})
    one = TextClassifier(model__kind="linear").fit(frame["body"], frame["topic"])
    assert one.score(frame["body"], frame["topic"]) > 0.9
    several = TextClassifier(model__kind="linear", data__text=["title", "body"]).fit(frame, frame["topic"])
    assert several.score([f"{a} {b}" for a, b in zip(frame["title"], frame["body"], strict=True)], LABELS) > 0.9


def test_texts_may_have_several_labels() -> None:
    lists = [[label, "long"] if len(text) > 150 else [label] for text, label in zip(TEXTS, LABELS, strict=True)]
    classifier = TextClassifier(model__kind="linear").fit(TEXTS, lists)
    assert set(classifier.classes_) == {*LABELS, "long"} if any(len(row) > 1 for row in lists) else set(LABELS)
    assert all(isinstance(row, tuple) for row in classifier.predict(TEXTS))
    assert 0 <= classifier.score(TEXTS, lists) <= 1
    indicators = np.array([[label == name for name in ("business", "sport", "tech")] for label in LABELS], dtype=int)
    by_number = TextClassifier(model__kind="linear").fit(TEXTS, indicators)
    assert sorted(by_number.classes_.tolist()) == [0, 1, 2]


def test_cross_validation_and_grid_search() -> None:
    scores = cross_val_score(TextClassifier(model__kind="linear"), TEXTS, LABELS, cv=3)
    assert scores.shape == (3,)
    assert scores.min() > 0.8
    pipeline = Pipeline(
        [
            ("lower", FunctionTransformer(lambda texts: [text.lower() for text in texts])),
            ("classifier", TextClassifier(model__kind="linear")),
        ]
    )
    search = GridSearchCV(pipeline, {"classifier__data__min_words": [0, 2]}, cv=2).fit(TEXTS, LABELS)
    assert search.best_estimator_.score(OTHER_TEXTS, OTHER_LABELS) > 0.8


def test_clones_have_the_same_parameters_and_are_not_fitted(fitted: TextClassifier) -> None:
    copied = clone(fitted.set_params(seed=5))
    assert copied.get_params() == {"recipe": None, "run_dir": None, "model__kind": "linear", "seed": 5}
    with pytest.raises(NotFittedError):
        copied.predict(TEXTS)


def test_a_recipe_gives_the_keys(tmp_path: Path) -> None:
    file = tmp_path / "linear.toml"
    file.write_text('name = "mine"\n[data]\nname = "bbc_news"\nmin_words = 2\n[model]\nkind = "linear"\n')
    values = {"name": "mine", "data": {"name": "bbc_news", "min_words": 2}, "model": {"kind": "linear"}}
    for recipe in (file, str(file), values, validate(values)):
        used = TextClassifier(recipe, seed=7).fit(TEXTS, LABELS).run_.recipe
        assert (used.name, used.seed, used.data.min_words, used.data.name) == ("mine", 7, 2, "")
        assert used.data.path.endswith("texts.jsonl")


def test_temporary_runs_are_deleted_and_named_ones_stay(tmp_path: Path) -> None:
    temporary = TextClassifier(model__kind="linear").fit(TEXTS, LABELS)
    folder = temporary.run_.path
    assert folder.is_dir()
    del temporary
    assert not folder.exists()
    kept = TextClassifier(model__kind="linear", run_dir=tmp_path / "kept").fit(TEXTS, LABELS)
    again = pickle.loads(pickle.dumps(kept))
    assert again.predict(OTHER_TEXTS).tolist() == kept.predict(OTHER_TEXTS).tolist()
    kept.fit(TEXTS[:60], LABELS[:60])  # the run of the first fit is replaced
    assert kept.run_.manifest["data"]["rows"]["train"] < 60


def test_mistakes_are_named() -> None:
    with pytest.raises(DataError, match="there are 90 texts and 89 labels"):
        TextClassifier(model__kind="linear").fit(TEXTS, LABELS[1:])
    with pytest.raises(RecipeError, match=r"no parameter 'train__epoch'. Did you mean 'epochs'"):
        TextClassifier(train__epoch=3)
    with pytest.raises(RecipeError, match=r"no parameter 'modle__kind'. Did you mean 'model'"):
        TextClassifier().set_params(modle__kind="linear")
    with pytest.raises(DataError, match="row 1"):
        TextClassifier(model__kind="linear").fit(["a", None], ["x", "y"])
    with pytest.raises(DataError, match="one text was given"):
        TextClassifier(model__kind="linear").fit("text", ["x"])
