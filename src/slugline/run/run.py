"""`Run`: a view of a run folder. Files are read on demand and written atomically.

`slugline.run.lifecycle` starts, resumes and replaces runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from slugline import __version__
from slugline.core.errors import RunError, SluglineError, nearest
from slugline.core.labels import LabelSet
from slugline.core.layouts import RunLayout
from slugline.core.predictions import Calibration, Predictions
from slugline.core.storage import disk_errors, replacing
from slugline.recipe.recipe import Recipe, read
from slugline.run.heartbeat import seconds_since_beat
from slugline.run.prediction_tables import read_predictions, to_table
from slugline.run.process import describe, is_alive

if TYPE_CHECKING:
    import pyarrow as pa

State = Literal["new", "running", "complete", "failed", "interrupted"]

#: Version of the format of run folders. Runs with a newer version are refused.
FORMAT = 1


@dataclass(frozen=True)
class Run:
    """One executed recipe.

    Args:
        path: the run's own folder; may be given as a string.

    Raises:
        RunError: on reading, if the folder is not a run, lacks the file, or has a newer format.
    """

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))

    def __repr__(self) -> str:
        return f"<Run {self.path}: {', '.join(self._described())}>"

    def _described(self) -> Iterator[str]:
        """The state, and the selecting metric and accuracy of the scored splits; never raises an error."""
        with suppress(SluglineError, OSError, ValueError):
            yield self.state
            for split in self.scored_splits if self.layout.metrics.is_file() else ():
                scores = self.metrics[split]
                names = [name for name in dict.fromkeys(["accuracy", self.recipe.train.select_by]) if name in scores]
                yield f"{split} " + " and ".join(f"{name} {scores[name]:.4f}" for name in names)

    @property
    def layout(self) -> RunLayout:
        """The paths of all files."""
        return RunLayout(self.path)

    @cached_property
    def recipe(self) -> Recipe:
        """The resolved recipe."""
        self._require(self.layout.recipe)
        return read(self.layout.recipe, is_saved=True)

    @property
    def manifest(self) -> dict[str, Any]:
        """State, versions, hardware, data set, durations."""
        manifest = self._read_json(self.layout.manifest)
        if manifest.get("format", FORMAT) > FORMAT:
            raise RunError(
                f"{self.path} was written by a newer Slugline ({manifest.get('slugline')}; this is {__version__}).",
                hint="Upgrade with: pip install --upgrade slugline",
            )
        return manifest

    @property
    def state(self) -> State:
        """State of the run; ``running`` only while its process is alive, otherwise ``interrupted``."""
        if not self.layout.is_run():
            return "new"
        manifest = self.manifest
        if not {"format", "state", "process"} <= set(manifest):
            raise RunError(
                f"{self.path} is not a run: its manifest.json belongs to something else.", hint="Choose another folder."
            )
        state: State = manifest["state"]
        if state != "running" or is_alive(manifest["process"], silent_for=seconds_since_beat(self.layout.heartbeat)):
            return state
        return "interrupted"

    @property
    def process(self) -> str:
        """The process that trains the run, in words, and when it was last seen: ``process 12 on node17, ...``."""
        return describe(self.manifest["process"], silent_for=seconds_since_beat(self.layout.heartbeat))

    @property
    def history(self) -> list[dict[str, Any]]:
        """Logged steps and evaluations in order; empty for kinds without gradient updates."""
        if not self.layout.history.is_file():
            return []
        lines = self.layout.history.read_text(encoding="utf-8").split("\n")
        # Lines are appended; text after the last line break is an incomplete line.
        return [json.loads(line) for line in lines[:-1]]

    @property
    def metrics(self) -> dict[str, Any]:
        """All metrics of the run."""
        return self._read_json(self.layout.metrics)

    @property
    def scored_splits(self) -> list[str]:
        """Names under which `metrics` has scores; models are selected by the first."""
        return [name for name in ("validation", "out_of_fold", "train", "test") if name in self.metrics]

    @property
    def data(self) -> dict[str, Any]:
        """Description of the data."""
        return self._read_json(self.layout.data)

    @property
    def diagnosis(self) -> list[dict[str, Any]]:
        """Findings of the diagnosis, the most important first."""
        found: list[dict[str, Any]] = self._read_json(self.layout.diagnosis)["diagnosis"]
        return found

    @property
    def calibration(self) -> Calibration | None:
        """Calibration of the probabilities; None before it is fitted."""
        if not self.layout.calibration.is_file():
            return None
        return Calibration.from_dict(self._read_json(self.layout.calibration))

    @property
    def folds(self) -> list[Run]:
        """Runs of the folds that have started, in order; empty for other runs."""
        return [Run(path) for path in self.layout.folds[: self.recipe.train.folds]]

    @property
    def model_dirs(self) -> list[Path]:
        """Folder of the trained model, or folders of the models of an ensemble."""
        runs = self.folds or [self]
        if self.folds and len(runs) < self.recipe.train.folds:
            raise RunError(
                f"{self.path} has only {len(runs)} of {self.recipe.train.folds} folds: the run is {self.state}.",
                hint="Finish it with the same command and --resume.",
            )
        for run in runs:
            run._require(run.layout.model)
        return [run.layout.model for run in runs]

    def predictions(self, split: str) -> Predictions:
        """Read the predictions of one split.

        Args:
            split: ``validation``, ``test``, or another split that was scored.

        Returns:
            Predictions in the order of the data set.

        Raises:
            RunError: the split was not scored.
        """
        path = self.layout.predictions(split)
        scored = sorted(file.stem for file in path.parent.glob("*.parquet"))
        if scored and split not in scored:
            raise RunError(
                f"{self.path} has no predictions of a split {split!r}.{nearest(split, scored)}",
                hint=f"It was scored on {', '.join(scored)}.",
            )
        self._require(path)
        return read_predictions(path)

    @property
    def has_results(self) -> bool:
        """True if the folder has a model, checkpoints, history or folds."""
        layout = self.layout
        return bool(layout.folds) or any(path.exists() for path in (layout.model, layout.checkpoints, layout.history))

    def update_manifest(self, values: Mapping[str, Any]) -> None:
        """Add values to the manifest."""
        self.write_json(self.layout.manifest, self.manifest | dict(values))

    def save_predictions(self, predictions: Predictions, *, fingerprint: str) -> None:
        """Write the predictions of one split.

        Args:
            predictions: predictions of N rows.
            fingerprint: fingerprint of the data set.
        """
        self.write_table(self.layout.predictions(predictions.split), to_table(predictions, fingerprint=fingerprint))

    def save_calibration(self, calibration: Calibration, labels: LabelSet) -> None:
        """Write the calibration, with the label set to which its thresholds belong."""
        self.write_json(self.layout.calibration, calibration.to_dict() | {"labels": labels.to_dict()})

    def write_text(self, path: Path, text: str) -> None:
        """Write a file atomically.

        Args:
            path: path inside the run folder.
            text: contents of the file.

        Raises:
            RunError: the disk is full or not writable.
        """
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def write_json(self, path: Path, values: Any) -> None:
        """Write JSON atomically; keys keep their order, numbers that are not finite are refused."""
        self.write_text(path, json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n")

    def write_table(self, path: Path, table: pa.Table) -> None:
        """Write a table as Parquet, atomically."""
        import pyarrow.parquet as pq

        with replacing(path) as temporary:
            pq.write_table(table, temporary, compression="zstd")

    def truncate_history(self, step: int) -> None:
        """Delete the history after update ``step``, which a resumed run writes again."""
        if not self.layout.history.exists():
            return
        kept = [line for line in self.history if line["step"] <= step]
        self.write_text(self.layout.history, "".join(json.dumps(line) + "\n" for line in kept))

    def append_history(self, line: Mapping[str, Any]) -> None:
        """Add one line to the history."""
        with disk_errors(self.layout.history), self.layout.history.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _require(self, path: Path) -> None:
        if path.exists():
            return
        if not self.layout.is_run():
            others = [path.name for path in self.path.parent.glob("*") if RunLayout(path).is_run()]
            raise RunError(
                f"{self.path} is not a run folder.{nearest(self.path.name, others)}",
                hint="Train one with: slugline train RECIPE",
            )
        raise RunError(
            f"{self.path} has no {path.relative_to(self.path).as_posix()}: the run is {self.state}.",
            hint="Finish it with the same command and --resume." if self.state != "complete" else "",
        )

    def _read_json(self, path: Path) -> dict[str, Any]:
        self._require(path)
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise RunError(f"{path} is damaged: {error}.", hint="Train again with --force.") from error
        return values
