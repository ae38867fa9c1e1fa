"""The whole journey on embedded data and an embedded model: prepare, train three contenders, compare, ask the best.

Nothing here but calls of what every user calls; no hub is needed.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from slugline.core.hardware import choose_precision, choose_profile, detect
from slugline.evaluation.compare import Comparison, compare
from slugline.inference.load import load
from slugline.pipeline import train
from slugline.recipe.recipe import Recipe, validate
from slugline.run.run import Run

logger = logging.getLogger(__name__)

SENTENCE = "Oil prices dropped significantly today as the stock market crashed."
DATA = "bbc_news"
SEED = 13

#: Seconds that fine-tuning may take before the demo takes fewer epochs; the whole should end within six minutes.
TRAINING_SECONDS = 280.0
EPOCHS = 3
MAX_LENGTH = 256

#: Of the small decoder, which is at its best on validation after four of twelve epochs.
SCRATCH: dict[str, Any] = {"learning_rate": 1e-3, "batch_size": 32}
SCRATCH_EPOCHS = 6

#: Of both networks.
WATCHED = {"keep_checkpoints": 1, "logging_steps": 10}


@dataclass(frozen=True)
class TrainingBudget:
    """How much training this machine can do in the time.

    Args:
        epochs: of fine-tuning.
        max_length: tokens of a text.
        reason: in words, where it is less than the full effort; else empty.
    """

    epochs: int
    max_length: int
    reason: str = ""

    @property
    def scratch_epochs(self) -> int:
        """Epochs of the small decoder, by the same measure."""
        return max(1, round(SCRATCH_EPOCHS * self.epochs / EPOCHS))


@dataclass(frozen=True)
class DemoResult:
    """What the demo found.

    Args:
        runs: one for each contender and seed.
        comparisons: of the contenders' test predictions, one for each seed.
        winner: chosen on validation.
        answer: what the winner, loaded from its folder, says of `SENTENCE`: label and probability.
        effort: of fine-tuning.
    """

    runs: dict[str, list[Run]]
    comparisons: list[Comparison]
    winner: Run
    answer: tuple[str, float]
    effort: TrainingBudget

    @property
    def seeds(self) -> list[int]:
        """Of splits and trainings."""
        return [run.recipe.seed for run in next(iter(self.runs.values()))]

    def accuracies(self, contender: str) -> list[float]:
        """Test accuracy for each seed."""
        return [run.metrics["test"]["accuracy"] for run in self.runs[contender]]

    def median_accuracy(self, contender: str) -> float:
        """Median of the test accuracies over the seeds."""
        return median(self.accuracies(contender))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "accuracy": {
                name: {"each": self.accuracies(name), "median": self.median_accuracy(name)} for name in self.runs
            },
            "comparisons": [comparison.to_dict() for comparison in self.comparisons],
            "winner": str(self.winner.path),
            "answer": {"text": SENTENCE, "label": self.answer[0], "probability": self.answer[1]},
            "runs": {name: [str(run.path) for run in runs] for name, runs in self.runs.items()},
        }


def run_demo(folder: Path, *, seeds: int = 1) -> DemoResult:
    """Train all contenders on every seed, compare them, and ask the best.

    Args:
        folder: for the runs; what an earlier demo left there is replaced.
        seeds: number of splits and seeds.

    Returns:
        Runs, comparisons, and the answer.
    """
    effort = affordable_budget()
    if effort.reason:
        logger.warning("%s", effort.reason)
    runs: dict[str, list[Run]] = {}
    for seed in range(SEED, SEED + seeds):
        for recipe in contenders(effort, seed=seed):
            path = folder / recipe.name / f"seed-{seed}"
            logger.info("%s, seed %d", recipe.name, seed)
            is_unfinished = Run(path).state in ("interrupted", "failed") and Run(path).recipe == recipe
            runs.setdefault(recipe.name, []).append(
                train(recipe, run_dir=path, resume=is_unfinished, force=not is_unfinished)
            )
    comparisons = [
        compare({name: of_contender[index].predictions("test") for name, of_contender in runs.items()})
        for index in range(seeds)
    ]
    winner = max((of_contender[0] for of_contender in runs.values()), key=_on_validation)
    probabilities = (classifier := load(winner.path)).predict_proba([SENTENCE])[0]
    answer = (classifier.labels.names[int(probabilities.argmax())], float(probabilities.max()))
    return DemoResult(runs, comparisons, winner, answer, effort)


def contenders(effort: TrainingBudget, *, seed: int) -> list[Recipe]:
    """The recipes of the demo.

    Args:
        effort: of fine-tuning.
        seed: of both the split and the training.

    Returns:
        The baseline, a small decoder from scratch, and the fine-tuned encoder, on the same rows.
    """
    data = {"name": DATA, "split_seed": seed, "max_length": effort.max_length}
    return [
        validate({"name": "linear", "seed": seed, "data": data, "model": {"kind": "linear"}}),
        validate(
            {
                "name": "scratch",
                "seed": seed,
                "data": data | {"clean": ["encoding", "whitespace", "lowercase"]},
                "model": {"kind": "scratch", "size": "tiny"},
                "train": {"epochs": effort.scratch_epochs, "patience": 0} | SCRATCH | WATCHED,
            }
        ),
        validate(
            {
                "name": "encoder",
                "seed": seed,
                "data": data,
                "train": {"epochs": effort.epochs} | WATCHED,
            }
        ),
    ]


def affordable_budget(seconds: float = TRAINING_SECONDS, *, examples: int = 1_489) -> TrainingBudget:
    """Try a few updates and choose as many epochs as fit.

    Args:
        seconds: that fine-tuning may take.
        examples: in the training split.

    Returns:
        At least one epoch: a slow machine trains less, but it trains.
    """
    per_epoch = _seconds_per_example() * examples
    epochs = min(EPOCHS, int(seconds / per_epoch))
    if epochs == EPOCHS:
        return TrainingBudget(EPOCHS, MAX_LENGTH)
    if epochs:
        reason = f"an epoch takes about {per_epoch:.0f} s on this machine: training {epochs} instead of {EPOCHS}."
        return TrainingBudget(epochs, MAX_LENGTH, reason)
    half = MAX_LENGTH // 2
    reason = f"an epoch takes about {per_epoch:.0f} s on this machine: training 1 epoch on {half} tokens a text."
    return TrainingBudget(1, half, reason)


def _seconds_per_example(rows: int = 16) -> float:
    """Time forward and backward passes of the embedded encoder at the full length."""
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
    best = float("inf")
    for _ in range(3):
        started = time.monotonic()
        with autocast(torch.device(hardware.device), precision):
            loss = model(input_ids=ids.to(hardware.device)).logits.float().sum()
        loss.backward()
        loss.item()
        best = min(best, time.monotonic() - started)
    return best / rows


def _on_validation(run: Run) -> float:
    value: float = run.metrics["validation"]["f1_macro"]
    return value
