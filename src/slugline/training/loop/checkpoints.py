"""Checkpoints that can be trusted: sealed when whole, bounded in number, with everything that resuming needs.

transformers' ``Trainer`` writes weights, optimizer, schedule and random states. What it forgets goes into
``progress.json``; the seal, written last, lists every file with its checksum. A folder without a seal, or whose files
differ from it, was cut short or damaged and is passed over.
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

from slugline.core.layouts import CheckpointLayout

logger = logging.getLogger("slugline")

#: Bytes of a file that are read at a time.
BLOCK = 2**22


@dataclass
class Progress:
    """How far training has come, beyond what ``Trainer`` remembers. Mutable: it grows with training.

    Args:
        rows: most examples in a forward pass; halved when memory runs out.
        tokens: most padded tokens in a forward pass; likewise.
        best_value: of the metric that selects, on validation; None before the first evaluation.
        best_step: update after which it was measured.
        stale: evaluations since, without improvement.
        stopped: early stopping has decided; a resumed run does not train on.
        real_tokens: tokens that went through the model.
        padded_tokens: the same with their padding.
        examples: that went through the model.
        update_seconds: spent in updates alone.
        train_seconds: spent in all, evaluations and checkpoints included.
    """

    rows: int
    tokens: int
    best_value: float | None = None
    best_step: int = 0
    stale: int = 0
    stopped: bool = False
    real_tokens: int = 0
    padded_tokens: int = 0
    examples: int = 0
    update_seconds: float = 0.0
    train_seconds: float = 0.0

    @classmethod
    def read(cls, checkpoint: Path) -> Progress:
        """Progress as it was when ``checkpoint`` was written."""
        return cls(**json.loads(CheckpointLayout(checkpoint).progress.read_text(encoding="utf-8")))

    def write(self, checkpoint: Path) -> None:
        """Add it to a checkpoint that is being written."""
        CheckpointLayout(checkpoint).progress.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")

    @property
    def padding_share(self) -> float:
        """Share of padding in all tokens that went through the model."""
        return 1 - self.real_tokens / self.padded_tokens if self.padded_tokens else 0.0


class CheckpointKeeper(TrainerCallback):
    """Adds progress to each checkpoint, seals it, and deletes those that are no longer needed.

    Deleting happens after sealing, so that at every moment a whole checkpoint exists.

    Args:
        progress: shared with the trainer.
        keep: checkpoints besides the best; 0 = all.
    """

    def __init__(self, progress: Progress, *, keep: int) -> None:
        self.progress, self.keep = progress, keep

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """A checkpoint has just been written."""
        if not state.is_world_process_zero:
            return
        folder = Path(str(args.output_dir))
        checkpoint = folder / f"checkpoint-{state.global_step}"
        self.progress.write(checkpoint)
        seal(checkpoint)
        if self.keep:
            _rotate(folder, best_step=self.progress.best_step, keep=self.keep)


def seal(checkpoint: Path) -> None:
    """Declare a checkpoint whole: drop the pickle, flush all files, write their checksums down.

    Args:
        checkpoint: folder with everything in it.
    """
    layout = CheckpointLayout(checkpoint)
    layout.arguments.unlink(missing_ok=True)
    for path in _files(checkpoint):
        with path.open("rb") as file:
            os.fsync(file.fileno())
    temporary = layout.seal.with_suffix(".partial")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(_checksums(checkpoint), file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(layout.seal)


def is_sealed(checkpoint: Path) -> bool:
    """Whether every file of a checkpoint is there as it was written.

    Args:
        checkpoint: folder.

    Returns:
        False for a folder without a seal, or that differs from it.
    """
    layout = CheckpointLayout(checkpoint)
    try:
        sealed = json.loads(layout.seal.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(sealed == _checksums(checkpoint))


def last_complete(folder: Path) -> Path | None:
    """The latest checkpoint that training can go on from, or None; those that are damaged are named in the log.

    Args:
        folder: that holds the checkpoints.

    Returns:
        A sealed checkpoint; so is the one with the best weights until then.
    """
    for checkpoint in reversed(checkpoints_in(folder)):
        if not is_sealed(checkpoint):
            logger.warning("%s was cut short, or damaged since: passed over.", checkpoint.name)
        elif not has_best_checkpoint(checkpoint):
            logger.warning("the best weights before %s are damaged: passed over.", checkpoint.name)
        else:
            return checkpoint
    return None


def has_best_checkpoint(checkpoint: Path) -> bool:
    """Whether the checkpoint with the best weights until this one is there in full, if anything was evaluated yet.

    Args:
        checkpoint: whole.

    Returns:
        False where training could not be ended with the best weights.
    """
    best = Progress.read(checkpoint).best_step
    return best in (0, step_of(checkpoint)) or is_sealed(checkpoint.with_name(f"checkpoint-{best}"))


def delete_after(folder: Path, step: int) -> None:
    """Delete checkpoints of later updates, whole or not: training will come to them again.

    Args:
        folder: that holds the checkpoints.
        step: update after which training goes on.
    """
    for checkpoint in checkpoints_in(folder):
        if step_of(checkpoint) > step:
            _delete(checkpoint)


def checkpoints_in(folder: Path) -> list[Path]:
    """All checkpoints in a folder by their update, whole or not."""
    numbered = [(int(match[1]), path) for path in folder.glob("checkpoint-*") if (match := _number(path))]
    return [path for _, path in sorted(numbered)]


def step_of(checkpoint: Path) -> int:
    """Update after which a checkpoint was written."""
    match = _number(checkpoint)
    assert match is not None, checkpoint
    return int(match[1])


def _number(path: Path) -> re.Match[str] | None:
    return re.fullmatch(r"checkpoint-(\d+)", path.name)


def _files(checkpoint: Path) -> list[Path]:
    seal_path = CheckpointLayout(checkpoint).seal
    partial = seal_path.with_suffix(".partial")
    return sorted(path for path in checkpoint.rglob("*") if path.is_file() and path not in (seal_path, partial))


def _checksums(checkpoint: Path) -> dict[str, str]:
    return {path.relative_to(checkpoint).as_posix(): _checksum(path) for path in _files(checkpoint)}


def _checksum(path: Path) -> str:
    """CRC-32, which tells damage, not intent."""
    value = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            value = crc32(block, value)
    return f"{value:08x}"


def _rotate(folder: Path, *, best_step: int, keep: int) -> None:
    """Delete all but the best and the latest ``keep`` others."""
    others = [checkpoint for checkpoint in checkpoints_in(folder) if step_of(checkpoint) != best_step]
    for checkpoint in others[:-keep]:
        _delete(checkpoint)


def _delete(checkpoint: Path) -> None:
    # The seal goes first: a deletion that is cut short must not leave a checkpoint that looks whole.
    CheckpointLayout(checkpoint).seal.unlink(missing_ok=True)
    shutil.rmtree(checkpoint, ignore_errors=True)
