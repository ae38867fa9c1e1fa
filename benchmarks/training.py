"""Training speed of Slugline, compared with transformers' ``Trainer`` as in common tutorials.

Both train the embedded encoder on the same 256 texts of AG News, in one process, one after the other, three times. The
tutorial pads every text to 256 tokens and trains in float32 with 32 texts per batch. Slugline trains the recipe
`recipes/agnews-embedded.toml`. Only the time of updates is measured, after a warm-up of both.

    SLUGLINE_DATA=folder python benchmarks/training.py
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from slugline.data.dataset import TextDataset
from slugline.data.load import load_dataset
from slugline.models.pretrained import EMBEDDED, quietly, resolve_base
from slugline.recipe.recipe import Recipe, read
from slugline.run.lifecycle import open_run
from slugline.training.fit import fit

RECIPE = Path(__file__).parents[1] / "recipes" / "agnews-embedded.toml"
EXAMPLES = 256
ROUNDS = 3


class Stopwatch(TrainerCallback):
    """Seconds spent in updates."""

    def __init__(self) -> None:
        self.seconds = self.started = 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Start the stopwatch."""
        self.started = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Stop the stopwatch."""
        self.seconds += time.perf_counter() - self.started


def tutorial(dataset: TextDataset, *, examples: int) -> float:
    """Return the examples per second of transformers' ``Trainer``."""
    place = resolve_base(EMBEDDED)
    tokenizer = AutoTokenizer.from_pretrained(place)
    rows = dataset["train"].select(range(examples))
    encoded = rows.map(
        lambda batch: tokenizer(batch["text"], padding="max_length", truncation=True, max_length=256), batched=True
    )
    with quietly(), tempfile.TemporaryDirectory() as folder:
        model = AutoModelForSequenceClassification.from_pretrained(
            place, num_labels=len(dataset.labels), dtype=torch.float32
        )
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=1,
            per_device_train_batch_size=32,
            learning_rate=2e-5,
            use_cpu=not torch.cuda.is_available(),
            save_strategy="no",
            disable_tqdm=True,
            report_to="none",
        )
        watch = Stopwatch()
        trainer = Trainer(model, arguments, train_dataset=encoded, callbacks=[watch])
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return examples / watch.seconds


def slugline(dataset: TextDataset, recipe: Recipe) -> float:
    """Return the examples per second of `fit`."""
    with tempfile.TemporaryDirectory() as folder, open_run(Path(folder) / "run", recipe) as run:
        run.write_json(run.layout.data, {})
        fit(recipe, dataset, run)
        speed: float = run.manifest["training"]["examples_per_second"]
        return speed


def main() -> None:
    """Measure and print the results."""
    recipe = read(RECIPE, [f"data.max_train_examples={EXAMPLES}", "train.epochs=1", "train.keep_checkpoints=1"])
    dataset = load_dataset(recipe.data)
    few = dict(dataset.splits) | {"validation": dataset["validation"].select(range(32))}
    dataset = TextDataset(few, dataset.labels, dataset.source, dataset.fingerprint + "-few")
    slugline(dataset, recipe)
    tutorial(dataset, examples=32)
    ours, stock = [], []
    for round_number in range(1, ROUNDS + 1):
        ours.append(slugline(dataset, recipe))
        stock.append(tutorial(dataset, examples=EXAMPLES))
        print(f"round {round_number}: slugline {ours[-1]:.1f}, tutorial {stock[-1]:.1f} examples/s")
    ratio = statistics.median(ours) / statistics.median(stock)
    print(f"median: slugline {statistics.median(ours):.1f}, tutorial {statistics.median(stock):.1f} examples/s")
    print(f"ratio: {ratio:.1f}")


if __name__ == "__main__":
    main()
