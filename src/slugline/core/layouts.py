"""Names of all files in the folders that Slugline writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunLayout:
    """Paths in a run folder.

    >>> RunLayout(Path("runs/bbc")).predictions("test").as_posix()
    'runs/bbc/predictions/test.parquet'
    """

    root: Path

    @property
    def recipe(self) -> Path:
        """Resolved recipe; the first file of a run."""
        return self.root / "recipe.toml"

    @property
    def manifest(self) -> Path:
        """State, versions, hardware, fingerprint, durations."""
        return self.root / "manifest.json"

    @property
    def history(self) -> Path:
        """Training history: one line per logged update and per evaluation."""
        return self.root / "history.jsonl"

    @property
    def metrics(self) -> Path:
        """Metrics of every scored split, with confidence intervals."""
        return self.root / "metrics.json"

    @property
    def data(self) -> Path:
        """Description of the data: counts, lengths, findings."""
        return self.root / "data.json"

    @property
    def calibration(self) -> Path:
        """Temperature, and the split that it was fitted on."""
        return self.root / "calibration.json"

    @property
    def errors(self) -> Path:
        """Most confused pairs of classes, and most confident errors."""
        return self.root / "errors.json"

    @property
    def diagnosis(self) -> Path:
        """Problems that the run shows, each with the setting to change."""
        return self.root / "diagnosis.json"

    @property
    def tracking(self) -> Path:
        """Files of trackers, unless their own environment variables name another folder or server."""
        return self.root / "tracking"

    @property
    def log(self) -> Path:
        """Messages of the terminal, without progress bars."""
        return self.root / "log.txt"

    @property
    def model(self) -> Path:
        """Folder of the trained model, see `ModelLayout`."""
        return self.root / "model"

    @property
    def adapter(self) -> Path:
        """Adapter in PEFT's format, if the recipe trains one with PEFT; ``model`` holds the merged weights."""
        return self.root / "adapter"

    @property
    def tokenizer(self) -> Path:
        """The tokenizer, if this run trains one; saved before training starts, and again in ``model``."""
        return self.root / "tokenizer"

    @property
    def checkpoints(self) -> Path:
        """Checkpoints, see `CheckpointLayout`."""
        return self.root / "checkpoints"

    @property
    def plots(self) -> Path:
        """Curves and confusion matrix, PNG and SVG."""
        return self.root / "plots"

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

    @property
    def summary(self) -> Path:
        """State and metrics of every member and setting, and the chosen setting."""
        return self.root / "study.json"

    @property
    def plots(self) -> Path:
        """Learning curves, if the number of training rows varies."""
        return self.root / "plots"

    def member(self, step: str, name: str) -> Path:
        """Return the run folder of one member."""
        return self.root / step / name


@dataclass(frozen=True)
class ModelLayout:
    """Paths in a model folder."""

    root: Path

    @property
    def config(self) -> Path:
        """Configuration in the Hugging Face format; names the architecture."""
        return self.root / "config.json"

    @property
    def weights(self) -> Path:
        """Weights in safetensors."""
        return self.root / "model.safetensors"

    @property
    def linear(self) -> Path:
        """Vocabulary and settings of the linear kind."""
        return self.root / "linear.json"

    @property
    def pooling(self) -> Path:
        """Pooling of a sentence-transformers model."""
        return self.root / "1_Pooling" / "config.json"


@dataclass(frozen=True)
class CheckpointLayout:
    """Paths in a checkpoint of transformers' ``Trainer``, with the files that Slugline adds."""

    root: Path

    @property
    def progress(self) -> Path:
        """Best evaluation so far, patience, micro-batch size, seconds."""
        return self.root / "progress.json"

    @property
    def seal(self) -> Path:
        """Checksums of all files; written last, so that a checkpoint without this file is incomplete."""
        return self.root / "seal.json"

    @property
    def averaged(self) -> Path:
        """Averaged weights, if the recipe averages; these are the weights that were evaluated."""
        return self.root / "averaged.safetensors"

    @property
    def arguments(self) -> Path:
        """Pickle written by ``Trainer``; deleted, never read."""
        return self.root / "training_args.bin"

    @property
    def weights(self) -> Path:
        """Weights in safetensors."""
        return self.root / "model.safetensors"
