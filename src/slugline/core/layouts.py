"""Names of all files in the folders that Slugline writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slugline.core.storage import is_temporary


class Inside:
    """Path of one file or folder inside the ``root`` of a layout.

    Args:
        name: path relative to ``root``.
        title: description of the file or folder.
    """

    def __init__(self, name: str, title: str) -> None:
        self.name = name
        self.__doc__ = title

    def __get__(self, layout: Any, owner: type) -> Path:
        """Return the path in the folder of ``layout``."""
        return Path(layout.root) / self.name


@dataclass(frozen=True)
class RunLayout:
    """Paths in a run folder.

    >>> RunLayout(Path("runs/bbc")).predictions("test").as_posix()
    'runs/bbc/predictions/test.parquet'
    """

    root: Path

    recipe = Inside("recipe.toml", "Resolved recipe; the first file of a run.")
    manifest = Inside("manifest.json", "State, versions, hardware, fingerprint, durations.")
    heartbeat = Inside("heartbeat", "Time of the last sign of life of the process that trains; deleted at its end.")
    history = Inside("history.jsonl", "Training history: one line per logged update and per evaluation.")
    metrics = Inside("metrics.json", "Metrics of every scored split, with confidence intervals.")
    data = Inside("data.json", "Description of the data: counts, lengths, findings.")
    learned = Inside("learned.parquet", "Ids and hashes of the texts that the run has learned from.")
    calibration = Inside("calibration.json", "Temperature, and the split that it was fitted on.")
    errors = Inside("errors.json", "Most confused pairs of classes, and most confident errors.")
    diagnosis = Inside("diagnosis.json", "Problems that the run shows, each with the setting to change.")
    tracking = Inside(
        "tracking", "Files of trackers, unless their own environment variables name another folder or server."
    )
    log = Inside("log.txt", "Messages of the terminal, without progress bars.")
    model = Inside("model", "Folder of the trained model, see `ModelLayout`.")
    adapter = Inside(
        "adapter", "Adapter in PEFT's format, if the recipe trains one with PEFT; ``model`` holds the merged weights."
    )
    tokenizer = Inside(
        "tokenizer", "The tokenizer, if this run trains one; saved before training starts, and again in ``model``."
    )
    checkpoints = Inside("checkpoints", "Checkpoints, see `CheckpointLayout`.")
    later = Inside(
        "checkpoints/.later",
        "Checkpoints after the one from which training resumes, and their history, until a new one is complete.",
    )
    plots = Inside("plots", "Curves and confusion matrix, PNG and SVG.")

    def fold(self, number: int) -> Path:
        """Return the run folder of one fold of a cross-validation, counted from 1."""
        return self.root / "folds" / str(number)

    @property
    def folds(self) -> list[Path]:
        """Run folders of the folds that were started, in order."""
        started = (path for path in (self.root / "folds").glob("*") if path.name.isdigit())
        return sorted(started, key=lambda path: int(path.name))

    def predictions(self, split: str) -> Path:
        """Return the path of the predictions of one split."""
        return self.root / "predictions" / f"{split}.parquet"

    def leftovers(self) -> list[Path]:
        """Temporary files and folders that a killed process has left."""
        folders = (self.root, self.root / "predictions", self.checkpoints)
        return [path for folder in folders for path in folder.glob(".*") if is_temporary(path)]

    def foreign_files(self) -> list[str]:
        """Names in the folder that no run writes, in order; empty if the folder does not exist."""
        own = {path.name for path in vars(type(self)).values() if isinstance(path, Inside)} | {"folds", "predictions"}
        paths = self.root.iterdir() if self.root.is_dir() else ()
        return sorted(path.name for path in paths if path.name not in own and not is_temporary(path))

    def is_run(self) -> bool:
        """Return True if the folder is a run, in any state."""
        return self.manifest.is_file() and self.recipe.is_file()


@dataclass(frozen=True)
class StudyLayout:
    """Paths in the folder of a study.

    >>> StudyLayout(Path("runs/rates")).member("warm", "warmup=0.1,seed=13").as_posix()
    'runs/rates/warm/warmup=0.1,seed=13'
    """

    root: Path

    summary = Inside("study.json", "State and metrics of every member and setting, and the chosen setting.")
    plots = Inside("plots", "Learning curves, if the number of training rows varies.")

    def member(self, step: str, name: str) -> Path:
        """Return the run folder of one member."""
        return self.root / step / name


@dataclass(frozen=True)
class ModelLayout:
    """Paths in a model folder."""

    root: Path

    config = Inside("config.json", "Configuration in the Hugging Face format; names the architecture.")
    weights = Inside("model.safetensors", "Weights in safetensors.")
    linear = Inside("linear.json", "Vocabulary and settings of the linear kind.")
    classifier = Inside("slugline.json", "Cleaning, text columns, lengths and calibration, see `ClassifierConfig`.")
    pooling = Inside("1_Pooling/config.json", "Pooling of a sentence-transformers model.")


@dataclass(frozen=True)
class AdapterLayout:
    """Paths in a folder with an adapter of PEFT."""

    root: Path

    config = Inside("adapter_config.json", "Kind of the adapter, its base, and its layers.")
    weights = Inside("adapter_model.safetensors", "Weights of the adapter in safetensors.")


@dataclass(frozen=True)
class CheckpointLayout:
    """Paths in a checkpoint of transformers' ``Trainer``, with the files that Slugline adds."""

    root: Path

    progress = Inside("progress.json", "Best evaluation so far, patience, micro-batch size, seconds.")
    seal = Inside(
        "seal.json", "Checksums of all files; written last, so that a checkpoint without this file is incomplete."
    )
    averaged = Inside(
        "averaged.safetensors", "Averaged weights, if the recipe averages; these are the weights that were evaluated."
    )
    arguments = Inside("training_args.bin", "Pickle written by ``Trainer``; deleted, never read.")
    weights = Inside("model.safetensors", "Weights in safetensors.")
