"""File names of the folders that Slugline writes, as data. The only place that knows them; imports nothing of ours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunLayout:
    """Where everything lies in a run folder.

    >>> RunLayout(Path("runs/bbc")).predictions("test").as_posix()
    'runs/bbc/predictions/test.parquet'
    """

    root: Path

    @property
    def recipe(self) -> Path:
        """Resolved recipe; written first."""
        return self.root / "recipe.toml"

    @property
    def manifest(self) -> Path:
        """State, versions, hardware, fingerprint, durations."""
        return self.root / "manifest.json"

    @property
    def history(self) -> Path:
        """One line per logged step and per evaluation."""
        return self.root / "history.jsonl"

    @property
    def metrics(self) -> Path:
        """Every figure that a report may quote."""
        return self.root / "metrics.json"

    @property
    def data(self) -> Path:
        """Description of the data: counts, lengths, findings."""
        return self.root / "data.json"

    @property
    def calibration(self) -> Path:
        """Temperature and thresholds, and what they were fitted on."""
        return self.root / "calibration.json"

    @property
    def errors(self) -> Path:
        """Most confused pairs and most confident mistakes."""
        return self.root / "errors.json"

    @property
    def diagnosis(self) -> Path:
        """In plain words what the run shows, and which setting to change."""
        return self.root / "diagnosis.json"

    @property
    def tracking(self) -> Path:
        """What trackers write, where the user sends them nowhere else."""
        return self.root / "tracking"

    @property
    def log(self) -> Path:
        """What the terminal said, without bars."""
        return self.root / "log.txt"

    @property
    def model(self) -> Path:
        """The trained model in the Hugging Face layout, or the linear kind's."""
        return self.root / "model"

    @property
    def adapter(self) -> Path:
        """PEFT's own files, where the recipe adapts with it; ``model`` then holds the merged weights."""
        return self.root / "adapter"

    @property
    def tokenizer(self) -> Path:
        """The tokenizer that was trained for this run, as soon as it is; ``model`` holds it as well."""
        return self.root / "tokenizer"

    @property
    def checkpoints(self) -> Path:
        """Resumable states."""
        return self.root / "checkpoints"

    @property
    def plots(self) -> Path:
        """Curves and confusion matrix, PNG and SVG."""
        return self.root / "plots"

    def fold(self, number: int) -> Path:
        """Run folder of one fold of a cross-validation, counted from 1."""
        return self.root / "folds" / str(number)

    @property
    def folds(self) -> list[Path]:
        """Folders of the folds that have begun, in order."""
        begun = (path for path in (self.root / "folds").glob("*") if path.name.isdigit())
        return sorted(begun, key=lambda path: int(path.name))

    def predictions(self, split: str) -> Path:
        """Every prediction of one split."""
        return self.root / "predictions" / f"{split}.parquet"

    def is_run(self) -> bool:
        """Whether the folder is a run at all, in whatever state."""
        return self.manifest.is_file() and self.recipe.is_file()


@dataclass(frozen=True)
class StudyLayout:
    """Where everything lies in the folder of a study.

    >>> StudyLayout(Path("runs/rates")).member("warm", "warmup=0.1,seed=13").as_posix()
    'runs/rates/warm/warmup=0.1,seed=13'
    """

    root: Path

    @property
    def summary(self) -> Path:
        """What became of every member, figures over the seeds, the chosen setting."""
        return self.root / "study.json"

    @property
    def plots(self) -> Path:
        """Learning curves, where the number of training rows varies."""
        return self.root / "plots"

    def member(self, step: str, name: str) -> Path:
        """The run folder of one member."""
        return self.root / step / name


@dataclass(frozen=True)
class ModelLayout:
    """Where things lie in a model folder."""

    root: Path

    @property
    def config(self) -> Path:
        """Hugging Face configuration; also names the architecture."""
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
        """What a sentence-transformers folder says of its pooling."""
        return self.root / "1_Pooling" / "config.json"


@dataclass(frozen=True)
class CheckpointLayout:
    """What Slugline adds to a checkpoint of transformers' ``Trainer``."""

    root: Path

    @property
    def progress(self) -> Path:
        """Best evaluation so far, patience, micro-batch size, seconds."""
        return self.root / "progress.json"

    @property
    def seal(self) -> Path:
        """Checksums of all files; written last, so that its presence means complete."""
        return self.root / "seal.json"

    @property
    def averaged(self) -> Path:
        """Averaged weights, which are those that were evaluated; only where the recipe averages."""
        return self.root / "averaged.safetensors"

    @property
    def arguments(self) -> Path:
        """The pickle that ``Trainer`` leaves behind; never read, always deleted."""
        return self.root / "training_args.bin"

    @property
    def weights(self) -> Path:
        """Weights in safetensors."""
        return self.root / "model.safetensors"
