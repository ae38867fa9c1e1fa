"""The demo: train three classifiers on BBC News, compare them, predict with the best one.

Data set and encoder are Python packages, so that no network is needed.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from slugline.core.hardware import choose_precision, choose_profile, detect
from slugline.core.messages import visible_messages
from slugline.evaluation.comparison.compare import Comparison, compare
from slugline.inference.load import load
from slugline.pipeline import train
from slugline.recipe.recipe import Recipe, validate
from slugline.run.run import Run

logger = logging.getLogger(__name__)

SENTENCE = "Oil prices dropped significantly today as the stock market crashed."
DATA = "bbc_news"
SEED = 13

#: Maximum seconds of fine-tuning, so that the demo ends within six minutes; slow machines train fewer epochs.
TRAINING_SECONDS = 280.0
EPOCHS = 3
MAX_LENGTH = 256

#: Settings of the small decoder. Of twelve epochs, the fourth had the best validation score.
SCRATCH: dict[str, Any] = {"learning_rate": 1e-3, "batch_size": 32}
SCRATCH_EPOCHS = 6


@dataclass(frozen=True)
class TrainingBudget:
    """Amount of training that this machine can do in `TRAINING_SECONDS`.

    Args:
        epochs: number of fine-tuning epochs.
        max_length: maximum number of tokens of a text.
        reason: reason for less than the full training; empty for the full training.
    """

    epochs: int
    max_length: int
    reason: str = ""

    @property
    def scratch_epochs(self) -> int:
        """Epochs of the small decoder, reduced by the same factor."""
        return max(1, round(SCRATCH_EPOCHS * self.epochs / EPOCHS))


@dataclass(frozen=True)
class DemoResult:
    """Results of the demo.

    Args:
        runs: runs by name of the recipe, one for each seed.
        comparisons: comparisons of the test predictions, one for each seed.
        best: the run with the best score on validation.
        prediction: label and probability of `SENTENCE`, from the saved model of the best run.
        budget: training budget of this machine.
    """

    runs: dict[str, list[Run]]
    comparisons: list[Comparison]
    best: Run
    prediction: tuple[str, float]
    budget: TrainingBudget

    @property
    def seeds(self) -> list[int]:
        """Seeds of splits and trainings."""
        return [run.recipe.seed for run in next(iter(self.runs.values()))]

    def accuracies(self, name: str) -> list[float]:
        """Return the test accuracy of a recipe for each seed."""
        return [run.metrics["test"]["accuracy"] for run in self.runs[name]]

    def median_accuracy(self, name: str) -> float:
        """Return the median of the test accuracies over the seeds."""
        return median(self.accuracies(name))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "accuracy": {
                name: {"each": self.accuracies(name), "median": self.median_accuracy(name)} for name in self.runs
            },
            "comparisons": [comparison.to_dict() for comparison in self.comparisons],
            "best": str(self.best.path),
            "prediction": {"text": SENTENCE, "label": self.prediction[0], "probability": self.prediction[1]},
            "runs": {name: [str(run.path) for run in runs] for name, runs in self.runs.items()},
        }


@visible_messages()
def run_demo(folder: str | Path, *, seeds: int = 1) -> DemoResult:
    """Train all recipes on every seed, compare them, and predict with the best run.

    Args:
        folder: folder of the runs; unfinished runs with the same recipe are resumed, other existing runs are replaced.
        seeds: number of seeds; each one determines a split and its trainings.

    Returns:
        Runs, comparisons, and the prediction.
    """
    budget = affordable_budget()
    if budget.reason:
        logger.warning("%s", budget.reason)
    runs: dict[str, list[Run]] = {}
    for seed in range(SEED, SEED + seeds):
        for recipe in recipes(budget, seed=seed):
            path = Path(folder) / recipe.name / f"seed-{seed}"
            logger.info("%s, seed %d", recipe.name, seed)
            is_unfinished = Run(path).state in ("interrupted", "failed") and Run(path).recipe == recipe
            runs.setdefault(recipe.name, []).append(
                train(recipe, run_dir=path, resume=is_unfinished, force=not is_unfinished)
            )
    comparisons = [
        compare({name: seed_runs[index].predictions("test") for name, seed_runs in runs.items()})
        for index in range(seeds)
    ]
    best = max((seed_runs[0] for seed_runs in runs.values()), key=_validation_score)
    probabilities = (classifier := load(best.path)).predict_proba([SENTENCE])[0]
    prediction = (classifier.labels.names[int(probabilities.argmax())], float(probabilities.max()))
    return DemoResult(runs, comparisons, best, prediction, budget)


def recipes(budget: TrainingBudget, *, seed: int) -> list[Recipe]:
    """The recipes of the demo.

    Args:
        budget: training budget of this machine.
        seed: seed of both the split and the training.

    Returns:
        A linear baseline, a small decoder from scratch, and a fine-tuned encoder, with the same rows.
    """
    data = {"name": DATA, "split_seed": seed, "max_length": budget.max_length}
    return [
        validate({"name": "linear", "seed": seed, "data": data, "model": {"kind": "linear"}}),
        validate(
            {
                "name": "scratch",
                "seed": seed,
                "data": data | {"clean": ["encoding", "whitespace", "lowercase"]},
                "model": {"kind": "scratch", "size": "tiny"},
                "train": {"epochs": budget.scratch_epochs, "patience": 0} | SCRATCH,
            }
        ),
        validate(
            {
                "name": "encoder",
                "seed": seed,
                "data": data,
                "train": {"epochs": budget.epochs},
            }
        ),
    ]


def affordable_budget(seconds: float = TRAINING_SECONDS, *, examples: int = 1_489) -> TrainingBudget:
    """Time a few updates and choose the number of epochs that fits.

    Args:
        seconds: maximum duration of fine-tuning.
        examples: number of training rows.

    Returns:
        At least one epoch, with shorter texts if the machine is too slow for one epoch.
    """
    per_epoch = _seconds_per_example() * examples
    epochs = min(EPOCHS, int(seconds / per_epoch))
    if epochs == EPOCHS:
        return TrainingBudget(EPOCHS, MAX_LENGTH)
    if epochs:
        reason = f"an epoch takes about {per_epoch:.0f} s on this machine: training {epochs} of {EPOCHS} epochs."
        return TrainingBudget(epochs, MAX_LENGTH, reason)
    half = MAX_LENGTH // 2
    reason = f"an epoch takes about {per_epoch:.0f} s on this machine: training 1 epoch with {half} tokens per text."
    return TrainingBudget(1, half, reason)


def _seconds_per_example(rows: int = 16) -> float:
    """Measure a forward and backward pass of the embedded encoder, in seconds per text of `MAX_LENGTH` tokens."""
    import torch
    from torch import nn

    from slugline.core.labels import LabelSet
    from slugline.models.build import build_pretrained
    from slugline.models.forward import autocast
    from slugline.recipe.model_section import ModelSection

    hardware = detect()
    precision = choose_precision(hardware, autocast=choose_profile(hardware).autocast).precision
    torch.set_num_threads(hardware.cores)
    model: nn.Module = build_pretrained(ModelSection(attention_dropout=0.0), LabelSet(("a", "b")), hardware.device)
    model.to(hardware.device).train()
    ids = torch.randint(1_000, 20_000, (rows, MAX_LENGTH), generator=torch.Generator().manual_seed(0))
    fastest = float("inf")
    for _ in range(3):
        started = time.monotonic()
        with autocast(torch.device(hardware.device), precision):
            loss = model(input_ids=ids.to(hardware.device)).logits.float().sum()
        loss.backward()
        loss.item()
        fastest = min(fastest, time.monotonic() - started)
    return fastest / rows


def _validation_score(run: Run) -> float:
    value: float = run.metrics["validation"]["f1_macro"]
    return value
