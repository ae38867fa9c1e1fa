"""Training of the linear kind: a few values of C, the best on validation."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import numpy as np

from slugline.core.storage import replacing_folder
from slugline.data.dataset import TextDataset
from slugline.evaluation.metrics import metric
from slugline.inference.classifier import Classifier, load
from slugline.inference.linear import LinearPredictor, fit_linear_models
from slugline.recipe.recipe import Recipe
from slugline.run.run import Run

logger = logging.getLogger("slugline")

#: Values of the SVM's C from which validation chooses.
LINEAR_COSTS = (0.1, 0.3, 1.0, 3.0, 10.0)


def fit_linear(recipe: Recipe, dataset: TextDataset, run: Run, checkpoint: Path | None) -> Classifier:
    """Fit the linear kind for several C and keep the best on validation.

    Args:
        recipe: complete.
        dataset: with rows in train and validation.
        run: open for writing.
        checkpoint: unused; it trains in seconds.

    Returns:
        The classifier, loaded from what was saved.
    """
    chosen_by = metric(recipe.train.select_by)
    sign = 1 if chosen_by.greater_is_better else -1
    validation = dataset["validation"]
    best: tuple[float, LinearPredictor] | None = None
    started = time.monotonic()
    predictors = fit_linear_models(
        dataset["train"]["text"][:],
        np.array(dataset["train"]["label"][:]),
        labels=dataset.labels,
        costs=LINEAR_COSTS,
        seed=recipe.seed,
    )
    for predictor in predictors:
        logits = np.concatenate(list(predictor.logits(validation["text"][:])))
        value = chosen_by.function(dataset.predictions("validation", logits))
        logger.info("C = %g: validation %s %.4f", predictor.settings["C"], chosen_by.name, value)
        if best is None or sign * value > sign * best[0]:
            best = (value, predictor)
    assert best is not None
    seconds = time.monotonic() - started
    with replacing_folder(run.layout.model) as folder:
        best[1].save(folder)
    examples = len(dataset["train"])
    run.record(
        {
            "size": best[1].size,
            "training": {
                "train_seconds": seconds,
                "seconds_per_epoch": seconds / len(LINEAR_COSTS),
                "examples_per_second": examples * len(LINEAR_COSTS) / seconds,
                "padding_share": 0.0,
            },
            "chosen": {"C": best[1].settings["C"]},
        }
    )
    return load(run.path)
