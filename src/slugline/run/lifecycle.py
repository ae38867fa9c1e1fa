"""The life cycle of a run: new, running, then complete, failed or interrupted.

`open_run` starts or resumes a run and keeps its state up to date. It holds the lock of the folder until the run ends. A
run whose process is dead counts as interrupted, even if its manifest has the state running. With ``force``, the
previous run is first renamed to a backup, which is restored if the new run fails before anything was trained.
"""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slugline import __version__
from slugline.core.errors import DataError, MissingExtra, ModelError, RecipeError, RunError
from slugline.core.messages import logger as package_logger
from slugline.core.storage import disk_errors, is_temporary
from slugline.core.termination import Terminated, received_signal
from slugline.recipe.changes import changed_keys, fixed_keys
from slugline.recipe.recipe import Recipe, write
from slugline.run.heartbeat import INTERVAL, MISSED_BEATS, beating
from slugline.run.lock import Locked, locked
from slugline.run.process import this_process
from slugline.run.run import FORMAT, Run, State

logger = logging.getLogger(__name__)

#: Errors in the user's input, which are raised before anything is trained.
INPUT_ERRORS = (DataError, MissingExtra, ModelError, RecipeError)

#: Keys of the manifest that a resumed run does not take from the previous manifest.
NOT_CARRIED_OVER = ("format", "name", "state", "slugline", "seed", "error", "finished")


@contextmanager
def open_run(
    path: Path, recipe: Recipe, *, resume: bool = False, force: bool = False, accept_changes: bool = False
) -> Iterator[Run]:
    """Start or resume a run; when the block ends, set its state to complete, failed or interrupted.

    Args:
        path: the run's own folder.
        recipe: recipe to execute; written before any other file.
        resume: True to continue an interrupted or failed run.
        force: True to start over; the previous contents are deleted at the end, and restored if nothing was trained.
        accept_changes: True to resume although the recipe has changed.

    Yields:
        The run, in state running.

    Raises:
        RunError: the folder is not a run; the run is running; it is complete and ``force`` is not given; it failed or
            was interrupted and neither ``resume`` nor ``force`` is given; or its recipe has changed.
    """
    with locked(path):
        _restore_replaced(path)
        _check_can_open(Run(path), recipe, resume=resume, force=force, accept_changes=accept_changes)
        if resume and not Run(path).layout.is_run():
            logger.warning("there is no run to resume in %s: a new one starts.", path)
        run = Run(path)  # a new object, because `Run` caches the recipe
        with _backed_up(run) if force else nullcontext(), _running(run, recipe):
            yield run


def restore_replaced(path: Path) -> None:
    """Restore the backup that a killed ``--force`` run left if it has trained nothing; otherwise delete the backup.

    Call this before reading the folder. Nothing is changed while another process has the run open.

    Args:
        path: the run's own folder.

    Raises:
        RunError: the disk is not writable.
    """
    if _backup_path(path).exists():
        with suppress(Locked), locked(path):
            _restore_replaced(path)


def _restore_replaced(path: Path) -> None:
    backup, run = _backup_path(path), Run(path)
    is_foreign = path.exists() and not run.layout.is_run() and not _holds_only_leftovers(run)
    if not backup.exists() or run.state == "running" or is_foreign:
        return
    with disk_errors(path):
        if run.has_results:
            shutil.rmtree(backup)
            return
        shutil.rmtree(path, ignore_errors=True)
        backup.rename(path)
    logger.warning("%s was restored from its backup: the --force run was killed before it trained anything.", path)


def _check_can_open(run: Run, recipe: Recipe, *, resume: bool, force: bool, accept_changes: bool) -> None:
    """Refuse to overwrite the contents of the folder."""
    if run.path.exists() and not run.layout.is_run() and not _is_unstarted(run, recipe):
        raise RunError(
            f"{run.path} exists and is not a run.", hint="Choose another folder with --run-dir; this one is unchanged."
        )
    state = run.state
    if state == "running":
        raise RunError(
            f"{run.path} is being trained right now: {run.process}.",
            hint="Wait for it, stop it, or choose another folder with --run-dir. If its machine or container has "
            f"ended, it counts as interrupted {INTERVAL * MISSED_BEATS:.0f} s after it was last seen.",
        )
    if force:
        _check_can_replace(run)
        return
    if state == "complete":
        raise RunError(
            f"{run.path} is complete.",
            hint="Start over with --force, or choose another folder with --run-dir.",
        )
    if state in ("failed", "interrupted"):
        if not resume:
            raise RunError(
                f"{run.path} holds a run that was {state}.", hint="Use --resume, or start over with --force."
            )
        _check_recipe_changes(run, recipe, accept_changes=accept_changes)


def _check_can_replace(run: Run) -> None:
    """Refuse to delete files that no run writes: notes of the user, or the members of a study."""
    foreign = run.layout.foreign_files()
    if foreign:
        raise RunError(
            f"{run.path} also holds {', '.join(map(repr, foreign[:5]))}{', ...' if len(foreign) > 5 else ''}, which "
            "--force would delete.",
            hint="Move what is not part of the run, or choose another folder with --run-dir.",
        )


def _check_recipe_changes(run: Run, recipe: Recipe, *, accept_changes: bool) -> None:
    changes = changed_keys(run.recipe, recipe)
    fixed = fixed_keys(changes)
    if fixed:
        raise RunError(
            f"{run.path} was started with another model or selection: {'; '.join(fixed)}.",
            hint="Resume with the former values, or start over with --force: no checkpoint fits the new values.",
        )
    if changes and not accept_changes:
        raise RunError(
            f"{run.path} was started with another recipe: " + "; ".join(changes) + ".",
            hint="Resume with the former values, accept the new ones with --accept-changes, or start over with "
            "--force.",
        )


def _holds_only_leftovers(run: Run) -> bool:
    """True if the folder holds only files of a run that was killed at its very start."""
    return run.path.is_dir() and all(
        is_temporary(path) or path in (run.layout.recipe, run.layout.heartbeat) for path in run.path.iterdir()
    )


def _is_unstarted(run: Run, recipe: Recipe) -> bool:
    """True if the leftovers are those of this recipe; another recipe.toml may be the user's own."""
    written = run.layout.recipe
    is_own = not written.exists() or written.read_text(encoding="utf-8") == write(recipe)
    return _holds_only_leftovers(run) and is_own


@contextmanager
def _running(run: Run, recipe: Recipe) -> Iterator[None]:
    """State running inside the block; complete, failed or interrupted afterwards."""
    is_new = not run.path.exists()
    with disk_errors(run.path):
        run.path.mkdir(parents=True, exist_ok=True)
    _delete_leftovers(run)
    before = run.manifest if run.layout.is_run() else {}
    run.write_text(run.layout.recipe, write(recipe))
    # The heartbeat exists before the state becomes running, and until it becomes another one.
    with beating(run.layout.heartbeat):
        run.write_json(run.layout.manifest, _initial_manifest(recipe, before))
        with _log_to(run.layout.log), _outcome_recorded(run, is_new=is_new):
            yield
    if recipe.train.keep_checkpoints is None:
        # Nothing resumes a complete run. Its model has the weights of the best checkpoint.
        shutil.rmtree(run.layout.checkpoints, ignore_errors=True)


@contextmanager
def _outcome_recorded(run: Run, *, is_new: bool) -> Iterator[None]:
    """Record in the manifest how the block ends."""
    started = time.monotonic()
    try:
        yield
    except KeyboardInterrupt as error:
        signal_name = received_signal().name if isinstance(error, Terminated) else "Ctrl-C"
        _finish(run, "interrupted", started, error=f"stopped by {signal_name}")
        raise
    except INPUT_ERRORS as error:
        _finish(run, "failed", started, error=str(error))
        if is_new and not run.has_results:
            # A typing error must not leave a folder that blocks the next attempt.
            shutil.rmtree(run.path, ignore_errors=True)
        raise
    except BaseException as error:
        _finish(run, "failed", started, error=f"{type(error).__name__}: {error}")
        raise
    _finish(run, "complete", started)


def _delete_leftovers(run: Run) -> None:
    """Delete what a killed process has left under temporary names; nothing reads it."""
    for path in run.layout.leftovers():
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _initial_manifest(recipe: Recipe, before: Mapping[str, Any]) -> dict[str, Any]:
    """Manifest of a run that starts or resumes, with the values recorded before."""
    return {
        "format": FORMAT,
        "name": recipe.name,
        "state": "running",
        "slugline": __version__,
        "seed": recipe.seed,
        "created": before.get("created", _now()),
        **{key: value for key, value in before.items() if key not in NOT_CARRIED_OVER},
        "process": this_process(),
        "command": sys.argv,
    }


def _finish(run: Run, state: State, started: float, *, error: str = "") -> None:
    manifest = run.manifest
    manifest["state"] = state
    manifest["finished"] = _now()
    manifest["seconds"] = round(manifest.get("seconds", 0.0) + time.monotonic() - started, 3)
    manifest.pop("error", None)
    if error:
        manifest["error"] = error
    run.write_json(run.layout.manifest, manifest)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _backup_path(path: Path) -> Path:
    """Path of the backup of a run that is being replaced."""
    path = path.absolute()
    return path.with_name(f".{path.name}.aside")


@contextmanager
def _backed_up(run: Run) -> Iterator[None]:
    """Rename the present run to its backup; restore it if nothing was trained in its place."""
    backup = _backup_path(run.path)
    with disk_errors(run.path):
        if run.path.exists() and not backup.exists():
            run.path.rename(backup)
    try:
        yield
    except BaseException:
        if backup.exists() and not run.has_results:
            shutil.rmtree(run.path, ignore_errors=True)
            backup.rename(run.path)
        raise
    finally:
        shutil.rmtree(backup, ignore_errors=True)


@contextmanager
def _log_to(path: Path) -> Iterator[None]:
    """Write the log of this package to ``path`` too."""
    with disk_errors(path):
        handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    package_logger.addHandler(handler)
    level = package_logger.level
    package_logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        package_logger.setLevel(level)
        package_logger.removeHandler(handler)
        handler.close()
