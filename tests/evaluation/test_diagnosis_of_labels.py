"""Diagnosis of runs with any number of labels a text: simulated predictions, good and at random."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from slugline.core.labels import LabelSet
from slugline.core.predictions import Predictions
from slugline.evaluation.calibration import calibrate
from slugline.evaluation.diagnosis.diagnose import diagnose
from slugline.evaluation.diagnosis.evidence import Diagnosis
from slugline.evaluation.score import Evaluation, score
from slugline.recipe.recipe import validate

SHARES = np.array([0.5, 0.2, 0.1, 0.05])

#: Mean binary entropy of these shares: the loss of a model that only knows how frequent each label is.
GUESSING = float(-(SHARES * np.log(SHARES) + (1 - SHARES) * np.log(1 - SHARES)).mean())


def metrics_of(margin: float, *, rows: int = 400, bootstrap: int = 100, seed: int = 0) -> dict[str, Any]:
    """Metrics of a model whose log-odds separate the labels by a margin; 0 does not read the texts."""
    rng = np.random.default_rng(seed)
    targets = rng.random((rows, 4)) < SHARES
    predictions = Predictions(
        ids=np.arange(rows).astype(np.str_),
        targets=targets,
        logits=(margin * (targets - 0.5) - 1 + rng.normal(size=targets.shape)).astype(np.float32),
        labels=LabelSet(("a", "b", "c", "d"), kind="multi"),
        split="validation",
    )
    evaluation = Evaluation(predictions, {}, {}).calibrated(calibrate(predictions), bootstrap=bootstrap)
    assert evaluation.metrics == score(evaluation.predictions, bootstrap=bootstrap).metrics
    return evaluation.metrics


def found(metrics: dict[str, Any], losses: tuple[float, ...] = (), rate: float = 2e-5) -> dict[str, Diagnosis]:
    recipe = validate(
        {
            "name": "invented",
            "data": {"name": "any"},
            "model": {"base": "any/encoder"},
            "train": {"learning_rate": rate},
        }
    )
    history: list[dict[str, Any]] = []
    for epoch, loss in enumerate(losses, start=1):
        position = {"step": 100 * epoch, "epoch": float(epoch)}
        history.append(position | {"loss": loss, "accuracy": 0.3, "f1_macro": 0.3, "grad_norm": 1.0})
        history.append(position | {"validation": {"loss": metrics["loss"], "accuracy": 0.3, "f1_macro": 0.3}})
    manifest: dict[str, Any] = {}
    diagnoses = diagnose(recipe, history=history, metrics={"validation": metrics}, data={}, manifest=manifest)
    return {each.kind: each for each in diagnoses}


@pytest.mark.parametrize("bootstrap", [0, 100])
@pytest.mark.parametrize("seed", range(5))
def test_a_model_at_random_has_learned_nothing(seed: int, bootstrap: int) -> None:
    diagnosis = found(metrics_of(0.0, seed=seed, bootstrap=bootstrap))["not_learned"]
    assert diagnosis.message.startswith("Mean average precision of ")
    assert "is not significantly better than sorting the texts at random (2" in diagnosis.message
    assert diagnosis.evidence["mean_label_share"] == pytest.approx(SHARES.mean(), abs=0.03)


@pytest.mark.parametrize("margin", [1.0, 3.0, 8.0])
def test_a_model_that_has_learned_is_not_reported(margin: float) -> None:
    assert not {"not_learned", "never_predicted"} & found(metrics_of(margin)).keys()


def test_the_loss_of_guessing_is_that_of_the_label_shares() -> None:
    losses = (GUESSING, 0.99 * GUESSING, 0.98 * GUESSING)
    high = found(metrics_of(0.0), losses, rate=1e-2)["learning_rate_too_high"]
    assert f"random guessing has a loss of {GUESSING:.2f}"[:-1] in high.message
    assert "learning_rate_too_low" in found(metrics_of(0.0), losses, rate=1e-7)
