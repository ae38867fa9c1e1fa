"""`TextClassifier`: a recipe as an estimator of scikit-learn, trained on texts in memory."""

from __future__ import annotations

import json
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from slugline.core.errors import DataError, RecipeError, nearest
from slugline.inference.load import load
from slugline.inference.text_inputs import texts_of
from slugline.pipeline import train
from slugline.recipe.data_section import SINGLE_SOURCE_KEYS, SourceSection
from slugline.recipe.recipe import Recipe, sections, validate
from slugline.recipe.section import tables_in
from slugline.recipe.toml import read_toml
from slugline.run.run import Run

if TYPE_CHECKING:
    from sklearn.utils import Tags

    from slugline.inference.classifier import Classifier

#: Between the parts of a key of the recipe, which is a parameter here: ``model__kind``.
SEPARATOR = "__"

#: Keys of [data] that say where rows are and which columns they have: here they are given to `fit`.
SOURCE_KEYS = frozenset({*SourceSection.model_fields, *SINGLE_SOURCE_KEYS, "sources", "group", "time", "out_of_scope"})

#: Keys of [data] that describe labels and stay.
KEPT_KEYS = frozenset({"label_kind"})


class TextClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn states no types
    """A text classifier with the manners of scikit-learn.

    It works in `cross_val_score`, `GridSearchCV` and `Pipeline`. `fit` trains a run on the given texts, of which
    ``data.validation_fraction`` choose the epoch and calibrate the probabilities.

    >>> classifier = TextClassifier(model__kind="linear")  # doctest: +SKIP
    >>> classifier.fit(texts, labels).predict(["The match ended."])  # doctest: +SKIP
    array(['sport'], dtype='<U8')

    Args:
        recipe: recipe, its file, or its values; its source of data is not read. None = all defaults.
        run_dir: folder for the run and the texts, replaced by each `fit`; None = a temporary folder, which is deleted
            with the estimator.
        **keys: keys of the recipe, with two underscores in place of each dot: ``train__epochs=3``.

    Attributes:
        classes_: (K,) labels, in the order of the columns of `predict_proba`.
        run_: the run of the last `fit`, with all of its evidence.
    """

    def __init__(
        self,
        recipe: Recipe | Mapping[str, Any] | str | Path | None = None,
        *,
        run_dir: str | Path | None = None,
        **keys: Any,
    ) -> None:
        self.recipe = recipe
        self.run_dir = run_dir
        self.keys = {_checked(key): value for key, value in keys.items()}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name: those of the constructor, and the given keys of the recipe.

        Args:
            deep: has no effect.

        Returns:
            Values by name.
        """
        return {"recipe": self.recipe, "run_dir": self.run_dir, **self.keys}

    def set_params(self, **params: Any) -> Self:
        """Change parameters.

        Args:
            **params: values by name, as in the constructor.

        Returns:
            The estimator.

        Raises:
            RecipeError: the recipe has no such key.
        """
        for name, value in params.items():
            if name in ("recipe", "run_dir"):
                setattr(self, name, value)
            else:
                self.keys[_checked(name)] = value
        return self

    def fit(self, texts: Any, labels: Iterable[Any]) -> Self:
        """Train on texts.

        Args:
            texts: N texts in any form that `texts_of` reads: a list, an array, a series, a table with one column or
                with the columns ``data__text``.
            labels: N labels: names or numbers; for several labels a text, lists of them, or an (N, K) array of 0 and 1.

        Returns:
            The fitted estimator.

        Raises:
            DataError: there are more texts than labels or the reverse, or a value is no text.
            RecipeError: the recipe is invalid.
            SluglineError: the training cannot continue.
        """
        columns = self.keys.get(f"data{SEPARATOR}text", [])
        rows = list(texts_of(texts, [columns] if isinstance(columns, str) else columns))
        names, self._label_of = _named(labels)
        _check_lengths(len(rows), len(names))
        is_multi = any(isinstance(name, list) for name in names)
        folder = self._folder()
        path = folder / "texts.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for text, name in zip(rows, names, strict=True):
                file.write(json.dumps({"text": text, "label": name}, ensure_ascii=False) + "\n")
        self.run_: Run = train(self._recipe(path, is_multi=is_multi), run_dir=folder / "run", force=True)
        self._classifier: Classifier | None = None
        self.classes_ = np.array([self._label_of[name] for name in self._loaded().labels.names])
        return self

    def predict_proba(self, texts: Any) -> NDArray[np.float64]:
        """Return calibrated probabilities.

        Args:
            texts: N texts, as in `fit`.

        Returns:
            (N, K) probabilities, columns as in `classes_`.
        """
        return self._loaded().predict_proba(texts)

    def predict(self, texts: Any) -> NDArray[Any]:
        """Return the most probable label of each text, of the type that was given to `fit`.

        Args:
            texts: N texts, as in `fit`.

        Returns:
            (N,) labels; if texts have several labels, (N,) tuples of labels.
        """
        classifier = self._loaded()
        decided = classifier.decide(classifier.predict_proba(texts))
        if not classifier.labels.is_multi:
            return np.array([self._label_of[name] for (name,) in decided], dtype=self.classes_.dtype)
        predicted = np.empty(len(decided), dtype=object)
        predicted[:] = [tuple(self._label_of[name] for name in names) for names in decided]
        return predicted

    def score(self, texts: Any, labels: Iterable[Any], sample_weight: Any = None) -> float:
        """Return the accuracy: the share of texts whose label, or whose set of labels, is predicted.

        Args:
            texts: N texts, as in `fit`.
            labels: N labels, as in `fit`.
            sample_weight: (N,) weights of the texts; None = equal ones.

        Returns:
            A share.
        """
        names, _ = _named(labels)
        classifier = self._loaded()
        decided = classifier.decide(classifier.predict_proba(texts))
        _check_lengths(len(decided), len(names))
        true = [set(name) if isinstance(name, list) else {name} for name in names]
        correct = [set(found) == expected for found, expected in zip(decided, true, strict=True)]
        return float(np.average(correct, weights=sample_weight))

    def __sklearn_is_fitted__(self) -> bool:
        """True after `fit`."""
        return hasattr(self, "run_")

    def __sklearn_tags__(self) -> Tags:
        """Return the tags of scikit-learn: the input is a list of texts."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.one_d_array, tags.input_tags.two_d_array = True, True, False
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """State without the loaded model, which is read again from the run."""
        return {name: value for name, value in vars(self).items() if name != "_finalizer"} | {"_classifier": None}

    def _loaded(self) -> Classifier:
        if not self.__sklearn_is_fitted__():
            from sklearn.exceptions import NotFittedError

            raise NotFittedError("this TextClassifier is not fitted yet: call fit(texts, labels) first.")
        if self._classifier is None:
            self._classifier = load(self.run_)
        return self._classifier

    def _folder(self) -> Path:
        if self.run_dir is not None:
            folder = Path(self.run_dir)
            folder.mkdir(parents=True, exist_ok=True)
            return folder
        folder = Path(tempfile.mkdtemp(prefix="slugline-"))
        if "_finalizer" in vars(self):
            vars(self)["_finalizer"]()
        self._finalizer = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder

    def _recipe(self, path: Path, *, is_multi: bool) -> Recipe:
        """The recipe with the given keys, and the texts as its data."""
        values = _values(self.recipe)
        for key, value in self.keys.items():
            *tables, last = key.split(SEPARATOR)
            table = values
            for name in tables:
                table = table.setdefault(name, {})
            table[last] = value
        data = {key: value for key, value in values.get("data", {}).items() if key not in SOURCE_KEYS - KEPT_KEYS}
        data |= {"path": str(path), "text": "text", "label": "label", "test_fraction": 0.0}
        if is_multi:
            data["label_kind"] = "multi"
        elif data.get("label_kind") != "hierarchical":
            data["label_kind"] = "single"
        evaluation = {"bootstrap": 0} | values.get("evaluation", {}) | {"splits": ["validation"]}
        name = values.get("name") or "text-classifier"
        return validate({**values, "name": name, "data": data, "evaluation": evaluation})


def _values(recipe: Recipe | Mapping[str, Any] | str | Path | None) -> dict[str, Any]:
    """The values of a recipe by section, without those of its defaults as far as they are known."""
    if recipe is None:
        return {}
    if isinstance(recipe, Recipe):
        values: dict[str, Any] = recipe.model_dump()
        return values
    if isinstance(recipe, Mapping):
        return {key: dict(value) if isinstance(value, Mapping) else value for key, value in recipe.items()}
    return read_toml(Path(recipe))[0]


def _checked(key: str) -> str:
    """Refuse a key that no recipe has."""
    parts = key.split(SEPARATOR)
    section: Any = Recipe
    for number, part in enumerate(parts):
        known = list(section.model_fields) if section is not None else []
        if part not in known:
            raise RecipeError(
                f"TextClassifier has no parameter {key!r}.{nearest(part, known)}",
                hint="Keys of the recipe have two underscores in place of a dot: train__epochs. See docs/recipe.md.",
            )
        tables = sections() if number == 0 else tables_in(section)
        section = tables.get(part)
    return key


def _check_lengths(n_texts: int, n_labels: int) -> None:
    if n_texts != n_labels:
        raise DataError(f"there are {n_texts:,} texts and {n_labels:,} labels.", hint="Give one label a text.")


def _named(labels: Iterable[Any]) -> tuple[list[Any], dict[str, Any]]:
    """Names of labels, lists of names for several a text; and the given label of each name."""
    values = labels.to_numpy() if hasattr(labels, "to_numpy") else labels
    if getattr(values, "ndim", 1) == 2:
        values = [np.flatnonzero(row).tolist() for row in np.asarray(values)]
    label_of: dict[str, Any] = {}

    def name(label: Any) -> str:
        plain = label.item() if isinstance(label, np.generic) else label
        label_of.setdefault(str(plain), plain)
        return str(plain)

    named = [
        [name(each) for each in row] if isinstance(row, (list, tuple, set, frozenset, np.ndarray)) else name(row)
        for row in values
    ]
    return named, label_of
