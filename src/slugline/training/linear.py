"""Training of the linear kind: one SVM for each of several values of C, the best one on validation (Joachims 1998)."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import TrainingError
from slugline.core.labels import LabelSet
from slugline.core.storage import replacing_folder
from slugline.data.dataset import TextDataset
from slugline.evaluation.metrics import metric
from slugline.inference.linear import SETTINGS, LinearPredictor, build_vectorizer
from slugline.inference.load import load
from slugline.recipe.recipe import Recipe
from slugline.run.run import Run
from slugline.training.methods.class_weights import class_weights
from slugline.training.result import FitResult

logger = logging.getLogger(__name__)

#: Values of the SVM's C; validation chooses one.
LINEAR_COSTS = (0.1, 0.3, 1.0, 3.0, 10.0)

#: Seed of the solver's order of rows. The optimum does not depend on it, so that the seed of the recipe is not used.
SOLVER_SEED = 13


def fit_linear(recipe: Recipe, dataset: TextDataset, run: Run, checkpoint: Path | None) -> FitResult:
    """Fit the linear kind for several values of C and keep the best model on validation.

    Args:
        recipe: recipe of the training.
        dataset: data set with training and validation rows.
        run: run in which the model is saved.
        checkpoint: unused; training takes seconds.

    Returns:
        The classifier, loaded from the run, and statistics of its training.

    Raises:
        TrainingError: the texts contain no words, or only one class.
    """
    selected_by = metric(recipe.train.select_by)
    validation = dataset["validation"]
    best: tuple[tuple[float, float], LinearPredictor] | None = None
    started = time.monotonic()
    targets = dataset.targets("train").astype(np.int64)
    predictors = fit_linear_models(
        dataset["train"]["text"][:],
        targets,
        labels=dataset.labels,
        costs=LINEAR_COSTS,
        weights=_class_weights(recipe, dataset, targets),
    )
    for predictor in predictors:
        logits = np.concatenate(list(predictor.logits(validation["text"][:])))
        predictions = dataset.predictions("validation", logits)
        value = selected_by.value(predictions)
        logger.info("C = %g: validation %s %.4f", predictor.settings["C"], selected_by.name, value)
        # The loss breaks ties, which are common on few validation rows.
        rank = (value if selected_by.greater_is_better else -value, -metric("loss").value(predictions))
        if best is None or rank > best[0]:
            best = (rank, predictor)
    assert best is not None
    seconds = time.monotonic() - started
    with replacing_folder(run.layout.model) as folder:
        best[1].save(folder)
    return FitResult(
        load(run.path),
        timing={
            "train_seconds": seconds,
            "seconds_per_epoch": seconds / len(LINEAR_COSTS),
            "examples_per_second": len(dataset["train"]) * len(LINEAR_COSTS) / seconds,
            "padding_share": 0.0,
        },
        size=best[1].size,
        selected={"C": best[1].settings["C"]},
    )


def _class_weights(recipe: Recipe, dataset: TextDataset, targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """(K,) weights from ``train.class_weights``; balanced sampling is the same as weights of equal sum per class."""
    section, counts = recipe.train, np.bincount(targets, minlength=len(dataset.labels))
    weights = class_weights(
        counts, scheme=section.class_weights, bounds=section.class_weight_bounds, names=dataset.labels.names
    )
    return weights * class_weights(counts, scheme="balanced" if recipe.data.sampling == "balanced" else "none")


def fit_linear_models(
    texts: Sequence[str],
    targets: NDArray[np.int64],
    *,
    labels: LabelSet,
    costs: Sequence[float],
    weights: NDArray[np.float64] | None = None,
) -> Iterator[LinearPredictor]:
    """Fit one model for each cost; the TF-IDF vectors are computed once.

    Args:
        texts: N cleaned texts.
        targets: (N,) class indices.
        labels: the K classes; a class without a text gets a margin that is never the largest.
        costs: values of the SVM's C.
        weights: (K,) weight of the rows of each class in the loss; None = 1.

    Yields:
        A predictor for each cost, in order.

    Raises:
        TrainingError: the texts contain no words, or only one class.
    """
    from sklearn.svm import LinearSVC

    if len(np.unique(targets)) < 2:
        raise TrainingError("the training rows have only one class.", hint="Check data.label and the class filters.")
    vectorizer = build_vectorizer(SETTINGS)
    try:
        vectors = vectorizer.fit_transform(texts)
    except ValueError as error:
        raise TrainingError(f"the training texts contain no words: {error}.", hint="Check data.text.") from error
    vocabulary = tuple(vectorizer.get_feature_names_out().tolist())
    for cost in costs:
        model = LinearSVC(C=cost, random_state=SOLVER_SEED)
        model.fit(vectors, targets, sample_weight=None if weights is None else weights[targets])
        coefficients, bias = _all_classes(model, len(labels))
        yield LinearPredictor(labels, vocabulary, vectorizer.idf_, coefficients, bias, SETTINGS | {"C": cost})


def _all_classes(model: Any, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights (V, K) and bias (K,) for all classes of the label set, from one-vs-rest or binary coefficients."""
    coefficients, intercepts = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        # One margin m for two classes becomes -m/2 and m/2, whose difference is m.
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    weights = np.zeros((coefficients.shape[1], width), dtype=np.float32)
    # Margins of absent classes: smaller than any margin of a present class, yet finite.
    bias = np.full(width, -10.0, dtype=np.float32)
    weights[:, model.classes_] = coefficients.T
    bias[model.classes_] = intercepts
    return weights, bias
