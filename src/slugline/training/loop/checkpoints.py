"""Checkpoints: sealed once complete, limited in number, with everything that resuming needs.

transformers' ``Trainer`` writes weights, optimizer, schedule and random states; `Progress` is the rest of the state.
The seal, written last, lists every file with its checksum. A checkpoint without a seal, or with files that differ from
the seal, is incomplete or damaged, and is skipped.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from slugline.core.layouts import CheckpointLayout, RunLayout
from slugline.core.storage import is_temporary, replacing, temporary_path
from slugline.data.batching.planning import BatchLimits
from slugline.recipe.train_section import TrainSection
from slugline.run.run import Run

logger = logging.getLogger(__name__)

#: Checkpoints besides the best that are kept during a training if the recipe sets no number.
KEPT_WHILE_TRAINING = 2

#: Bytes that are read from a file at a time.
BLOCK = 2**22


@dataclass
class Progress:
    """State of a training that ``Trainer`` does not store. Mutable: training updates it.

    Args:
        limits: limits of one forward pass; halved when memory runs out.
        best_value: best value on validation of the metric that selects; None before the first evaluation.
        best_loss: loss on validation in the same evaluation, which breaks ties of the value.
        best_step: update after which the best value was measured.
        stale: number of evaluations since the best value improved.
        skipped: number of updates that the gradient scaler of float16 has skipped.
        skipped_in_a_row: number of these since the last update that changed the weights.
        stopped: True after early stopping; a resumed run does not continue training.
        real_tokens: number of tokens processed, without padding.
        padded_tokens: number of tokens processed, with padding.
        examples: number of examples processed.
        update_seconds: time of the updates alone.
        train_seconds: total time, with evaluations and checkpoints.
    """

    limits: BatchLimits
    best_value: float | None = None
    best_loss: float | None = None
    best_step: int = 0
    stale: int = 0
    skipped: int = 0
    skipped_in_a_row: int = 0
    stopped: bool = False
    real_tokens: int = 0
    padded_tokens: int = 0
    examples: int = 0
    update_seconds: float = 0.0
    train_seconds: float = 0.0

    @classmethod
    def read(cls, checkpoint: Path) -> Progress:
        """Read the progress stored in a checkpoint."""
        values = json.loads(CheckpointLayout(checkpoint).progress.read_text(encoding="utf-8"))
        # Checkpoints of earlier versions have the limits as two entries.
        limits = values.pop("limits", None) or {"max_pieces": values.pop("rows"), "max_tokens": values.pop("tokens")}
        return cls(**values, limits=BatchLimits(**limits))

    def write(self, checkpoint: Path) -> None:
        """Store the progress in a checkpoint."""
        CheckpointLayout(checkpoint).progress.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")

    @property
    def padding_share(self) -> float:
        """Share of padding in the processed tokens."""
        return 1 - self.real_tokens / self.padded_tokens if self.padded_tokens else 0.0


def kept_while_training(section: TrainSection) -> int:
    """Return the number of checkpoints to keep besides the best while training; 0 = all."""
    return KEPT_WHILE_TRAINING if section.keep_checkpoints is None else section.keep_checkpoints


class CheckpointKeeper(TrainerCallback):
    """Stores the progress in each checkpoint, seals it, and deletes old checkpoints.

    Old checkpoints, and those after the one from which training resumed, are deleted after the new one is sealed, so
    that a complete checkpoint exists at all times.

    Args:
        run: run whose checkpoints are kept.
        progress: state of the training, shared with the trainer.
        keep: number of checkpoints besides the best; 0 = all.
    """

    def __init__(self, run: Run, progress: Progress, *, keep: int) -> None:
        self.layout, self.progress, self.keep = run.layout, progress, keep

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """A checkpoint was written."""
        if not state.is_world_process_zero:
            return
        folder = Path(str(args.output_dir))
        checkpoint = folder / f"checkpoint-{state.global_step}"
        self.progress.write(checkpoint)
        seal(checkpoint)
        _delete_later(self.layout)
        if self.keep:
            _rotate(folder, best_step=self.progress.best_step, keep=self.keep)


def seal(checkpoint: Path) -> None:
    """Mark a checkpoint as complete: delete the pickle, flush all files, write their checksums.

    Args:
        checkpoint: folder of a checkpoint with all files.
    """
    layout = CheckpointLayout(checkpoint)
    layout.arguments.unlink(missing_ok=True)
    for path in _files(checkpoint):
        with path.open("rb") as file:
            os.fsync(file.fileno())
    with replacing(layout.seal) as temporary:
        temporary.write_text(json.dumps(_checksums(checkpoint), indent=2), encoding="utf-8")


def is_sealed(checkpoint: Path) -> bool:
    """True if a checkpoint is complete and undamaged.

    Args:
        checkpoint: folder of a checkpoint.

    Returns:
        False for a folder without a seal, or with files that differ from it.
    """
    layout = CheckpointLayout(checkpoint)
    try:
        sealed = json.loads(layout.seal.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(sealed == _checksums(checkpoint))


def last_complete(folder: Path) -> Path | None:
    """Return the latest checkpoint from which training can resume, or None. Damaged checkpoints are logged.

    Args:
        folder: folder with the checkpoints.

    Returns:
        A sealed checkpoint, for which the checkpoint with the best weights so far is sealed too.
    """
    for checkpoint in reversed(checkpoints_in(folder)):
        if not is_sealed(checkpoint):
            logger.warning("%s is incomplete or damaged; it is skipped.", checkpoint.name)
        elif not has_best_checkpoint(checkpoint):
            logger.warning("%s is skipped: the checkpoint with the best weights before it is damaged.", checkpoint.name)
        else:
            return checkpoint
    return None


def has_best_checkpoint(checkpoint: Path) -> bool:
    """True if the checkpoint with the best weights so far is complete, or nothing was evaluated yet.

    Args:
        checkpoint: complete checkpoint.

    Returns:
        False if training could not end with the best weights.
    """
    best = Progress.read(checkpoint).best_step
    return best in (0, step_of(checkpoint)) or is_sealed(checkpoint.with_name(f"checkpoint-{best}"))


def set_later_aside(run: Run, step: int) -> None:
    """Move all checkpoints of later updates aside, with a copy of the history; `CheckpointKeeper` deletes them.

    Args:
        run: run whose training resumes.
        step: update after which it resumes.
    """
    later = [checkpoint for checkpoint in checkpoints_in(run.layout.checkpoints) if step_of(checkpoint) > step]
    if not later:
        return
    folder = RunLayout(run.layout.later)
    if run.layout.history.is_file():
        run.write_text(folder.history, run.layout.history.read_text(encoding="utf-8"))
    for checkpoint in later:
        folder.root.mkdir(exist_ok=True)
        checkpoint.rename(folder.root / checkpoint.name)


def restore_later(run: Run) -> None:
    """Restore the checkpoints that were moved aside, if training ended before it wrote a new one.

    Args:
        run: run whose training resumes.
    """
    folder = RunLayout(run.layout.later)
    if not folder.root.is_dir():
        return
    for checkpoint in checkpoints_in(folder.root):
        incomplete = run.layout.checkpoints / checkpoint.name
        shutil.rmtree(incomplete, ignore_errors=True)
        checkpoint.rename(incomplete)
    if folder.history.is_file():
        folder.history.replace(run.layout.history)
    shutil.rmtree(folder.root)


def _delete_later(layout: RunLayout) -> None:
    """Delete the checkpoints that were moved aside; an interrupted deletion leaves nothing that would be restored."""
    if layout.later.is_dir():
        deleted = temporary_path(layout.later)
        layout.later.rename(deleted)
        shutil.rmtree(deleted, ignore_errors=True)


def checkpoints_in(folder: Path) -> list[Path]:
    """Return all checkpoints in a folder, complete or not, in the order of their updates."""
    numbered = [(int(match[1]), path) for path in folder.glob("checkpoint-*") if (match := _number(path))]
    return [path for _, path in sorted(numbered)]


def step_of(checkpoint: Path) -> int:
    """Return the update after which a checkpoint was written."""
    match = _number(checkpoint)
    assert match is not None, checkpoint
    return int(match[1])


def _number(path: Path) -> re.Match[str] | None:
    return re.fullmatch(r"checkpoint-(\d+)", path.name)


def _files(checkpoint: Path) -> list[Path]:
    seal_path = CheckpointLayout(checkpoint).seal
    files = (path for path in checkpoint.rglob("*") if path.is_file())
    return sorted(path for path in files if path != seal_path and not is_temporary(path))


def _checksums(checkpoint: Path) -> dict[str, str]:
    return {path.relative_to(checkpoint).as_posix(): _checksum(path) for path in _files(checkpoint)}


def _checksum(path: Path) -> str:
    """CRC-32: it detects damage, not manipulation."""
    value = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            value = crc32(block, value)
    return f"{value:08x}"


def _rotate(folder: Path, *, best_step: int, keep: int) -> None:
    """Delete all checkpoints but the best and the latest ``keep`` others."""
    others = [checkpoint for checkpoint in checkpoints_in(folder) if step_of(checkpoint) != best_step]
    for checkpoint in others[:-keep]:
        _delete(checkpoint)


def _delete(checkpoint: Path) -> None:
    # The seal is deleted first: an interrupted deletion must not leave a checkpoint that looks complete.
    CheckpointLayout(checkpoint).seal.unlink(missing_ok=True)
    shutil.rmtree(checkpoint, ignore_errors=True)
