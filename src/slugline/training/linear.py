"""Training of the linear kind for each of several values of C, of which validation chooses one.

With one label per text it is a linear SVM (Joachims 1998), with any number of labels one logistic regression a label.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import TrainingError
from slugline.core.labels import Kind, LabelSet, Targets
from slugline.core.storage import replacing_folder
from slugline.data.dataset import TextDataset
from slugline.evaluation.metrics import metric
from slugline.inference.linear import SETTINGS, LinearPredictor, build_vectorizer
from slugline.inference.load import load
from slugline.recipe.recipe import Recipe
from slugline.run.run import Run
from slugline.training.label_kinds import TrainingTargets
from slugline.training.result import FitResult

logger = logging.getLogger(__name__)

#: Parts of the training rows in `teacher_losses`.
TEACHER_PARTS = 3

#: Limit of the iterations of a logistic regression, which usually takes fewer than 100.
MOST_ITERATIONS = 1_000

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
        TrainingError: the texts contain no words, or there is nothing to tell apart.
    """
    selected_by = metric(recipe.train.select_by, dataset.labels)
    validation = dataset["validation"]
    best: tuple[tuple[float, float], LinearPredictor] | None = None
    started = time.monotonic()
    targets = TrainingTargets(dataset.labels, dataset.targets("train"))
    costs = LINEAR_MODELS[dataset.labels.kind].costs
    predictors = fit_linear_models(
        dataset["train"]["text"][:],
        targets.targets,
        labels=dataset.labels,
        costs=costs,
        weights=_weights(recipe, targets),
    )
    for predictor in predictors:
        logits = np.concatenate(list(predictor.logits(validation["text"][:])))
        predictions = dataset.predictions("validation", logits)
        value = selected_by.value(predictions)
        logger.info("C = %g: validation %s %.4f", predictor.settings["C"], selected_by.name, value)
        # The loss breaks ties, which are common on few validation rows.
        rank = (value if selected_by.greater_is_better else -value, -metric("loss", dataset.labels).value(predictions))
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
            "seconds_per_epoch": seconds / len(costs),
            "examples_per_second": len(dataset["train"]) * len(costs) / seconds,
            "padding_share": 0.0,
        },
        size=best[1].size,
        selected={"C": best[1].settings["C"]},
    )


def _weights(recipe: Recipe, targets: TrainingTargets) -> NDArray[np.float64]:
    """Weights of `fit_linear_models`: ``train.class_weights``, times the frequency of a row in balanced sampling."""
    weights = targets.kind.spread_weights(targets.targets, targets.class_weights(recipe.train))
    if recipe.data.sampling != "balanced":
        return weights
    drawn = targets.balanced_weights()
    return np.asarray((weights.T * drawn / drawn.mean()).T)


def fit_linear_models(
    texts: Sequence[str],
    targets: Targets,
    *,
    labels: LabelSet,
    costs: Sequence[float],
    weights: NDArray[np.float64] | None = None,
) -> Iterator[LinearPredictor]:
    """Fit one model for each cost; the TF-IDF vectors are computed once.

    Args:
        texts: N cleaned texts.
        targets: (N,) class indices, or (N, K) bool in a ``multi`` set.
        labels: the K classes. One without a text gets a margin that is never the largest, or the log-odds of its share.
        costs: values of C.
        weights: (N,) weight of each row in the loss; (N, K), of each row and label, in a ``multi`` set; None = 1.

    Yields:
        A predictor for each cost, in order.

    Raises:
        TrainingError: the texts contain no words, or there is nothing to tell apart.
    """
    model = LINEAR_MODELS[labels.kind]
    if not model.is_learnable(targets):
        raise TrainingError(model.not_learnable, hint="Check data.label and the class filters.")
    vectorizer = build_vectorizer(SETTINGS)
    try:
        vectors = vectorizer.fit_transform(texts)
    except ValueError as error:
        raise TrainingError(f"the training texts contain no words: {error}.", hint="Check data.text.") from error
    vocabulary = tuple(vectorizer.get_feature_names_out().tolist())
    weights = np.ones(targets.shape) if weights is None else weights
    for cost in costs:
        coefficients, bias = model.solve(vectors, targets, weights, cost=cost, n_classes=len(labels))
        yield LinearPredictor(labels, vocabulary, vectorizer.idf_, coefficients, bias, SETTINGS | {"C": cost})


def teacher_losses(texts: Sequence[str], targets: TrainingTargets, *, seed: int) -> NDArray[np.float64]:
    """Return the loss of each text under a linear model that was not fitted on it (Weinshall et al. 2018).

    Args:
        texts: N cleaned texts.
        targets: their classes.
        seed: seed of the division into parts, each of which is scored by the model of the others.

    Returns:
        (N,) cross entropy, or its binary form in a ``multi`` set.

    Raises:
        TrainingError: the texts contain no words, or there is nothing to tell apart.
    """
    model, labels = LINEAR_MODELS[targets.labels.kind], targets.labels
    logits = np.zeros((len(texts), len(labels)), dtype=np.float32)
    shuffled = np.random.default_rng(seed).permutation(len(texts))
    for part in np.array_split(shuffled, TEACHER_PARTS):
        others = np.setdiff1d(shuffled, part)
        (predictor,) = fit_linear_models(
            [texts[row] for row in others], targets.targets[others], labels=labels, costs=model.costs[2:3]
        )
        logits[part] = np.concatenate(list(predictor.logits([texts[row] for row in part])))
    return targets.plain_losses(logits)


#: Weights (V, K) and bias (K,) of a linear model.
Solution = tuple[NDArray[np.float32], NDArray[np.float32]]


def _solve_one_label(
    vectors: Any, targets: Targets, weights: NDArray[np.float64], *, cost: float, n_classes: int
) -> Solution:
    """A linear SVM: one against the rest, or the only margin of two classes."""
    from sklearn.svm import LinearSVC

    model = LinearSVC(C=cost, random_state=SOLVER_SEED)
    model.fit(vectors, targets, sample_weight=weights)
    coefficients, intercepts = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        # One margin m for two classes becomes -m/2 and m/2, whose difference is m.
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    solution = np.zeros((coefficients.shape[1], n_classes), dtype=np.float32)
    # Margins of absent classes: smaller than any margin of a present class, yet finite.
    bias = np.full(n_classes, -10.0, dtype=np.float32)
    solution[:, model.classes_] = coefficients.T
    bias[model.classes_] = intercepts
    return solution, bias


def _solve_any_labels(
    vectors: Any, targets: Targets, weights: NDArray[np.float64], *, cost: float, n_classes: int
) -> Solution:
    """A logistic regression for each label, whose scores are log-odds; without examples of both sides, a constant."""
    from sklearn.linear_model import LogisticRegression

    counts = targets.sum(axis=0)
    solution = np.zeros((vectors.shape[1], n_classes), dtype=np.float32)
    bias = np.log((counts + 0.5) / (len(targets) - counts + 0.5)).astype(np.float32)
    for label in np.flatnonzero((counts > 0) & (counts < len(targets))):
        # The dual problem of liblinear: ten times faster on texts than lbfgs, which also stops early on rare labels.
        model = LogisticRegression(
            C=cost, solver="liblinear", dual=True, max_iter=MOST_ITERATIONS, random_state=SOLVER_SEED
        )
        model.fit(vectors, targets[:, label], sample_weight=weights[:, label])
        solution[:, label], bias[label] = model.coef_[0], model.intercept_[0]
    return solution, bias


@dataclass(frozen=True)
class LinearModel:
    """The linear model of one kind of label set.

    Args:
        solve: function from vectors, targets, weights, C and K to the weights of the model.
        costs: values of C; validation chooses one.
        is_learnable: function from targets to True if they are not all the same.
        not_learnable: message if they are.
    """

    solve: Callable[..., Solution]
    costs: tuple[float, ...]
    is_learnable: Callable[[Targets], bool]
    not_learnable: str


_ONE_LABEL = LinearModel(
    _solve_one_label,
    costs=(0.1, 0.3, 1.0, 3.0, 10.0),
    is_learnable=lambda targets: len(np.unique(targets)) > 1,
    not_learnable="the training rows have only one class.",
)

#: Kind of a label set -> its model.
LINEAR_MODELS: dict[Kind, LinearModel] = {
    "single": _ONE_LABEL,
    "hierarchical": _ONE_LABEL,
    "multi": LinearModel(
        _solve_any_labels,
        # The logistic loss needs less regularisation than the hinge loss for the same margins.
        costs=(1.0, 3.0, 10.0, 30.0, 100.0),
        is_learnable=lambda targets: bool((targets.any(axis=0) & ~targets.all(axis=0)).any()),
        not_learnable="all training rows have the same labels.",
    ),
}
