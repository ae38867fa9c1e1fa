"""The run: one executed recipe and the folder that holds its evidence.

`Run` is a view over a path; what it shows is read on demand. Everything is written under a temporary name and then
renamed, so that a file that exists is whole. `Run.open` guards the life of a run: new, running, then complete, failed
or interrupted. A run whose process is dead counts as interrupted, whatever its manifest says.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from slugline import __version__
from slugline.core.errors import DataError, MissingExtra, ModelError, RecipeError, RunError
from slugline.core.labels import Calibration, LabelSet, Predictions
from slugline.core.layouts import RunLayout
from slugline.core.storage import disk_errors, replacing
from slugline.recipe.recipe import Recipe, bound_keys, changed_keys, read, write

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger("slugline")

State = Literal["new", "running", "complete", "failed", "interrupted"]

#: What the user got wrong before anything was trained.
INPUT_ERRORS = (DataError, MissingExtra, ModelError, RecipeError)

#: Keys of the manifest that a resumed run does not take over.
NOT_CARRIED_OVER = ("format", "name", "state", "slugline", "seed", "error", "finished")

#: Version of the run folder's layout. Readers refuse a newer one.
FORMAT = 1


@dataclass(frozen=True)
class Run:
    """One executed recipe.

    Args:
        path: the run's own folder.

    Raises:
        RunError: on reading, where the folder is no run, lacks what is asked for, or has a newer format.
    """

    path: Path

    @property
    def layout(self) -> RunLayout:
        """Where everything lies."""
        return RunLayout(self.path)

    @cached_property
    def recipe(self) -> Recipe:
        """The resolved recipe."""
        self._require(self.layout.recipe)
        return read(self.layout.recipe)

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
        """Where the run is in its life; ``running`` only while its process lives."""
        if not self.layout.is_run():
            return "new"
        manifest = self.manifest
        if not {"format", "state", "process"} <= set(manifest):
            raise RunError(f"{self.path} is not a run: its manifest.json is somebody else's.", hint="Choose another.")
        state: State = manifest["state"]
        return "interrupted" if state == "running" and not _is_alive(manifest["process"]) else state

    @property
    def history(self) -> list[dict[str, Any]]:
        """Logged steps and evaluations in order; empty for kinds that train in one go."""
        if not self.layout.history.is_file():
            return []
        lines = self.layout.history.read_text(encoding="utf-8").split("\n")
        # Lines are appended; what follows the last line break was cut short.
        return [json.loads(line) for line in lines[:-1]]

    @property
    def metrics(self) -> dict[str, Any]:
        """Every figure of the run."""
        return self._read_json(self.layout.metrics)

    @property
    def scored_splits(self) -> list[str]:
        """Names under which `metrics` holds scores; the first is what choices are made on."""
        return [name for name in ("validation", "out_of_fold", "train", "test") if name in self.metrics]

    @property
    def data(self) -> dict[str, Any]:
        """Description of the data that the run saw."""
        return self._read_json(self.layout.data)

    @property
    def diagnosis(self) -> list[dict[str, Any]]:
        """In plain words what the run shows, the most telling first."""
        found: list[dict[str, Any]] = self._read_json(self.layout.diagnosis)["diagnosis"]
        return found

    @property
    def calibration(self) -> Calibration | None:
        """What turns logits into probabilities; None before it was fitted."""
        if not self.layout.calibration.is_file():
            return None
        values = self._read_json(self.layout.calibration)
        return Calibration(temperature=values["temperature"], fitted_on=values["fitted_on"])

    @property
    def folds(self) -> list[Run]:
        """Runs of a cross-validation's folds that have begun, in order; empty for other runs."""
        return [Run(path) for path in self.layout.folds[: self.recipe.train.folds]]

    @property
    def model_dirs(self) -> list[Path]:
        """The trained model, or those of the folds, which form an ensemble."""
        owners = self.folds or [self]
        if self.folds and len(owners) < self.recipe.train.folds:
            raise RunError(
                f"{self.path} has only {len(owners)} of {self.recipe.train.folds} folds: the run is {self.state}.",
                hint="Finish it with the same command and --resume.",
            )
        for owner in owners:
            owner._require(owner.layout.model)
        return [owner.layout.model for owner in owners]

    def predictions(self, split: str) -> Predictions:
        """Every prediction of one split.

        Args:
            split: ``validation``, ``test``, or what else the recipe evaluates.

        Returns:
            Predictions in the order of the data set.

        Raises:
            RunError: the split was not evaluated.
        """
        import pyarrow.parquet as pq

        path = self.layout.predictions(split)
        self._require(path)
        table = pq.read_table(path)
        facts = json.loads(table.schema.metadata[b"slugline"])
        labels = LabelSet(tuple(facts["labels"]), kind=facts["kind"])
        logits = np.array(table["logits"].to_pylist(), dtype=np.float32).reshape(table.num_rows, len(labels))
        return Predictions(
            ids=np.array(table["id"].to_pylist(), dtype=np.str_),
            targets=np.array(table["label"].to_pylist(), dtype=np.int64),
            logits=logits,
            labels=labels,
            split=facts["split"],
            dataset=facts["dataset"],
            calibration=Calibration(**facts["calibration"]) if facts["calibration"] else None,
        )

    @staticmethod
    @contextmanager
    def open(
        path: Path, recipe: Recipe, *, resume: bool = False, force: bool = False, accept_changes: bool = False
    ) -> Iterator[Run]:
        """Begin or continue a run; its state follows what happens inside.

        Args:
            path: the run's own folder.
            recipe: what is executed; written first.
            resume: go on with an interrupted or failed run.
            force: begin anew; what stands there is deleted in the end, or comes back if nothing was trained.
            accept_changes: resume although the recipe has changed.

        Yields:
            The run, in state running.

        Raises:
            RunError: the folder is no run, is complete, is running, was interrupted and neither ``resume`` nor
                ``force`` is given, or its recipe has changed.
        """
        restore_replaced(path)
        Run(path)._check_can_open(recipe, resume=resume, force=force, accept_changes=accept_changes)
        run = Run(path)  # a new view: that one may remember the recipe as it was
        with _backed_up(run) if force else nullcontext(), run._lifecycle(recipe):
            yield run

    @contextmanager
    def _lifecycle(self, recipe: Recipe) -> Iterator[None]:
        """Running inside, and afterwards what came of it."""
        is_new = not self.path.exists()
        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        before = self.manifest if self.layout.is_run() else {}
        self.write_text(self.layout.recipe, write(recipe))
        self.write_json(self.layout.manifest, _initial_manifest(recipe, before))
        started = time.monotonic()
        with _log_to(self.layout.log):
            try:
                yield
            except KeyboardInterrupt:
                self._end("interrupted", started, error="stopped by Ctrl-C")
                raise
            except INPUT_ERRORS as error:
                self._end("failed", started, error=str(error))
                if is_new and not self._has_results():
                    # Nothing was trained: a typo must not leave a folder that blocks the next try.
                    shutil.rmtree(self.path, ignore_errors=True)
                raise
            except BaseException as error:
                self._end("failed", started, error=f"{type(error).__name__}: {error}")
                raise
            self._end("complete", started)

    def record(self, facts: Mapping[str, Any]) -> None:
        """Add facts to the manifest."""
        self.write_json(self.layout.manifest, self.manifest | dict(facts))

    def save_predictions(self, predictions: Predictions, *, fingerprint: str) -> None:
        """Write the predictions of one split.

        Args:
            predictions: single-label.
            fingerprint: of the data set that they are about.
        """
        import pyarrow as pa

        facts = {
            "labels": predictions.labels.names,
            "kind": predictions.labels.kind,
            "split": predictions.split,
            "dataset": predictions.dataset,
            "fingerprint": fingerprint,
            "calibration": vars(predictions.calibration) if predictions.calibration else None,
        }
        columns = {
            "id": pa.array(predictions.ids.tolist(), pa.string()),
            "label": pa.array(predictions.targets.tolist(), pa.int64()),
            "predicted": pa.array(predictions.predicted.tolist(), pa.int64()),
            "confidence": pa.array(predictions.confidence.tolist(), pa.float64()),
            "logits": pa.array(predictions.logits.tolist(), pa.list_(pa.float32())),
        }
        table = pa.table(columns).replace_schema_metadata({"slugline": json.dumps(facts)})
        self.write_table(self.layout.predictions(predictions.split), table)

    def write_text(self, path: Path, text: str) -> None:
        """Write a file under a temporary name, then rename it.

        Args:
            path: inside the run folder.
            text: whole contents.

        Raises:
            RunError: the disk is full or cannot be written.
        """
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def write_json(self, path: Path, values: Any) -> None:
        """Write JSON, as `write_text` does; keys keep their order, numbers that are not finite are refused."""
        self.write_text(path, json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n")

    def write_table(self, path: Path, table: pa.Table) -> None:
        """Write a table as Parquet, as `write_text` does."""
        import pyarrow.parquet as pq

        with replacing(path) as temporary:
            pq.write_table(table, temporary, compression="zstd")

    def cut_history(self, step: int) -> None:
        """Forget history after update ``step``: a resumed run writes it again."""
        if not self.layout.history.exists():
            return
        kept = [line for line in self.history if line["step"] <= step]
        self.write_text(self.layout.history, "".join(json.dumps(line) + "\n" for line in kept))

    def append_history(self, line: Mapping[str, Any]) -> None:
        """Add one line to the history."""
        with disk_errors(self.layout.history), self.layout.history.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _check_can_open(self, recipe: Recipe, *, resume: bool, force: bool, accept_changes: bool) -> None:
        """Refuse what would spoil what stands in the folder."""
        if self.path.exists() and not self.layout.is_run() and not self._is_unstarted(recipe):
            raise RunError(
                f"{self.path} exists and is not a run.", hint="Choose another folder with --run-dir; this one is kept."
            )
        state = self.state
        if state == "running":
            process = self.manifest["process"]
            raise RunError(
                f"{self.path} is being trained right now (process {process['pid']} on {process['host']}).",
                hint="Wait for it, stop it, or choose another folder with --run-dir.",
            )
        if force:
            return
        if state == "complete":
            raise RunError(
                f"{self.path} is complete.",
                hint="Train again from the beginning with --force, or elsewhere with --run-dir.",
            )
        if state in ("failed", "interrupted"):
            if not resume:
                raise RunError(
                    f"{self.path} holds a run that was {state}.",
                    hint="Go on with --resume, or begin anew with --force.",
                )
            self._check_recipe_changes(recipe, accept_changes=accept_changes)

    def _holds_only_leftovers(self) -> bool:
        """Whether the folder holds nothing but what a run leaves that is killed in its first moment."""
        return self.path.is_dir() and all(
            ".partial" in path.name or path == self.layout.recipe for path in self.path.iterdir()
        )

    def _is_unstarted(self, recipe: Recipe) -> bool:
        """Whether that is a run of this very recipe; another may be the user's own."""
        written = self.layout.recipe
        return self._holds_only_leftovers() and (
            not written.exists() or written.read_text(encoding="utf-8") == write(recipe)
        )

    def _has_results(self) -> bool:
        """Whether there is anything that took time to make."""
        layout = self.layout
        return bool(layout.folds) or any(path.exists() for path in (layout.model, layout.checkpoints, layout.history))

    def _check_recipe_changes(self, recipe: Recipe, *, accept_changes: bool) -> None:
        changes = changed_keys(self.recipe, recipe)
        bound = bound_keys(changes)
        if bound:
            raise RunError(
                f"{self.path} was begun with another model or choice: {'; '.join(bound)}.",
                hint="Resume with the old values, or begin with --force: checkpoints cannot follow these.",
            )
        if changes and not accept_changes:
            raise RunError(
                f"{self.path} was begun with another recipe: " + "; ".join(changes) + ".",
                hint="Resume with the old values, accept the new ones with --accept-changes, or begin with --force.",
            )

    def _end(self, state: State, started: float, *, error: str = "") -> None:
        manifest = self.manifest
        manifest["state"] = state
        manifest["finished"] = _now()
        manifest["seconds"] = round(manifest.get("seconds", 0.0) + time.monotonic() - started, 3)
        manifest.pop("error", None)
        if error:
            manifest["error"] = error
        self.write_json(self.layout.manifest, manifest)

    def _require(self, path: Path) -> None:
        if path.exists():
            return
        if not self.layout.is_run():
            raise RunError(f"{self.path} is not a run folder.", hint="Train one with: slugline train RECIPE")
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


def restore_replaced(path: Path) -> None:
    """Finish what `Run.open` could not, where a process was killed that was to replace a run by force.

    To be called before anybody looks at what stands in the folder.

    Args:
        path: the run's own folder.

    Raises:
        RunError: the disk does not take it.
    """
    backup, run = _backup_path(path), Run(path)
    is_somebodys = path.exists() and not run.layout.is_run() and not run._holds_only_leftovers()
    if not backup.exists() or run.state == "running" or is_somebodys:
        return
    with disk_errors(path):
        if run._has_results():
            shutil.rmtree(backup)
            return
        shutil.rmtree(path, ignore_errors=True)
        backup.rename(path)
    logger.warning("%s is back: the training that was to replace it was killed before it began.", path)


def _backup_path(path: Path) -> Path:
    """Where a run waits whose place is taken by force."""
    path = path.absolute()
    return path.with_name(f".{path.name}.aside")


@contextmanager
def _backed_up(run: Run) -> Iterator[None]:
    """Make room for a run; what stood there comes back if nothing was trained in its place."""
    backup = _backup_path(run.path)
    with disk_errors(run.path):
        if run.path.exists() and not backup.exists():
            run.path.rename(backup)
    try:
        yield
    except BaseException:
        if backup.exists() and not run._has_results():
            shutil.rmtree(run.path, ignore_errors=True)
            backup.rename(run.path)
        raise
    finally:
        shutil.rmtree(backup, ignore_errors=True)


@contextmanager
def _log_to(path: Path) -> Iterator[None]:
    """Let the log of Slugline be written to ``path`` too."""
    with disk_errors(path):
        handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        handler.close()


def _initial_manifest(recipe: Recipe, before: Mapping[str, Any]) -> dict[str, Any]:
    """Manifest of a run that begins, or goes on: what was recorded before stays."""
    return {
        "format": FORMAT,
        "name": recipe.name,
        "state": "running",
        "slugline": __version__,
        "seed": recipe.seed,
        "created": before.get("created", _now()),
        **{key: value for key, value in before.items() if key not in NOT_CARRIED_OVER},
        "process": _this_process(),
        "command": sys.argv,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _this_process() -> dict[str, Any]:
    import psutil

    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "boot_time": round(psutil.boot_time()),
        "process_time": round(psutil.Process().create_time(), 1),
    }


def _is_alive(process: Mapping[str, Any]) -> bool:
    """Whether the process that wrote a manifest still runs; on another host, or after a reboot, it does not count."""
    import psutil

    # Boot times are computed from the clock and may be off by a second.
    if process["host"] != socket.gethostname() or abs(process["boot_time"] - psutil.boot_time()) > 5:
        return False
    try:
        return bool(abs(psutil.Process(process["pid"]).create_time() - process["process_time"]) < 1.0)
    except psutil.NoSuchProcess:
        return False
