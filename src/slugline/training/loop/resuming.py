"""Resuming: the checkpoint to resume from, and the progress of the training at that checkpoint."""

from __future__ import annotations

from pathlib import Path

from slugline.core.errors import RunError
from slugline.data.batching.planning import BatchLimits
from slugline.recipe.train_section import TrainSection
from slugline.run.run import Run
from slugline.training.loop.checkpoints import (
    Progress,
    checkpoints_in,
    has_best_checkpoint,
    is_sealed,
    last_complete,
    restore_later,
    set_later_aside,
    step_of,
)
from slugline.training.loop.session import logger
from slugline.training.runtime import Runtime

#: No limit, for the micro-batch setting that the recipe does not have.
UNLIMITED = 2**31


def resume_point(run: Run, checkpoint: Path | None) -> Path | None:
    """Return the checkpoint to resume from; truncate the history to it, and set later checkpoints aside.

    Args:
        run: run to write to.
        checkpoint: checkpoint to resume from; None = the last complete one.

    Returns:
        A complete checkpoint, or None if there is none yet.

    Raises:
        RunError: ``checkpoint`` does not belong to the run, or is incomplete.
    """
    restore_later(run)
    start = _require_checkpoint(run, checkpoint) if checkpoint else last_complete(run.layout.checkpoints)
    step = step_of(start) if start else 0
    set_later_aside(run, step)
    run.truncate_history(step)
    if start is not None:
        logger.info("resuming from %s", start.name)
    return start


def _require_checkpoint(run: Run, checkpoint: Path) -> Path:
    """The requested checkpoint, with its path inside the run folder."""
    found = [path for path in checkpoints_in(run.layout.checkpoints) if path.resolve() == checkpoint.resolve()]
    fault = f"is not a checkpoint of {run.path}"
    if found and not is_sealed(found[0]):
        fault = "is incomplete or damaged"
    elif found and not has_best_checkpoint(found[0]):
        fault = "is complete, but the checkpoint with the best weights before it is damaged or deleted"
    elif found:
        return found[0]
    raise RunError(f"{checkpoint} {fault}.", hint="Leave --checkpoint out to resume from the latest.")


def load_progress(start: Path | None, section: TrainSection, runtime: Runtime) -> Progress:
    """Load the progress of a checkpoint; for a new training, create one with the limits of the recipe or the profile.

    Args:
        start: checkpoint from `resume_point`, or None for a new training.
        section: [train] section of the recipe.
        runtime: hardware and its settings, from `prepare_runtime`.

    Returns:
        The progress.
    """
    given = BatchLimits(section.micro_batch_size or UNLIMITED, section.micro_batch_tokens or UNLIMITED)
    if start is not None:
        progress = Progress.read(start)
        # Smaller limits in the recipe apply; limits that were halved when memory ran out are not raised.
        progress.limits = progress.limits.lowered_to(given)
        return progress
    if not section.micro_batch_size and not section.micro_batch_tokens:
        return Progress(BatchLimits(runtime.profile.micro_batch_size, runtime.profile.micro_batch_tokens))
    return Progress(given)
