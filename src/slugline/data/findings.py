"""`Finding`: something noticed about the data, such as a leak or a repeated text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

#: Examples that a finding lists.
MAX_EXAMPLES = 5

Level = Literal["note", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """Something noticed about the data.

    Args:
        kind: short name, for programs: ``"leak"``, ``"repetition"``, ``"encoding"``.
        count: number of affected rows, texts or files.
        message: one sentence for people: the problem and the action taken.
        examples: row ids, labels or files, at most `MAX_EXAMPLES` unless more are requested.
        is_warning: True if the user should look at the finding before trusting the results; follows from ``level`` if
            that is given.
        level: ``note``, ``warning``, or ``error`` for data on which results mean nothing until it is corrected.
        advice: what to do about it; empty if nothing has to be done.
        excerpts: one line for each example, for people: the beginning of the text and its labels.
    """

    kind: str
    count: int
    message: str
    examples: tuple[str, ...] = ()
    is_warning: bool = False
    level: Level = "note"
    advice: str = ""
    excerpts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # Steps of reading and preparing state only if a finding is a warning; checks state the level.
        if self.is_warning and self.level == "note":
            object.__setattr__(self, "level", "warning")
        object.__setattr__(self, "is_warning", self.level != "note")

    @classmethod
    def of(cls, kind: str, affected: Sequence[str], message: str, *, is_warning: bool = False) -> Finding:
        """Build a finding from all affected items: ``{count}`` in its message is their number, ``{names}`` a list."""
        count = len(affected)
        # Not `format`: a message may have braces, from a label or the name of a file.
        names = ", ".join(affected[:MAX_EXAMPLES]) + (", ..." if count > MAX_EXAMPLES else "")
        message = message.replace("{count}", f"{count:,}").replace("{names}", names)
        return cls(kind, count, message, tuple(affected[:MAX_EXAMPLES]), is_warning)

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON has it, in ``data.json`` and in the output of commands."""
        return {**asdict(self), "examples": list(self.examples), "excerpts": list(self.excerpts)}
