"""`Finding`: something noticed about the data, such as a leak or a repeated text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: Examples that a finding lists.
MAX_EXAMPLES = 5


@dataclass(frozen=True)
class Finding:
    """Something noticed about the data.

    Args:
        kind: short name, for programs: ``"leak"``, ``"repetition"``, ``"encoding"``.
        count: number of affected rows, texts or files.
        message: one sentence for people: the problem and the action taken.
        examples: row ids, labels or files, at most `MAX_EXAMPLES`.
        is_warning: True if the user should look at the finding before trusting the results.
    """

    kind: str
    count: int
    message: str
    examples: tuple[str, ...] = ()
    is_warning: bool = False

    @classmethod
    def of(cls, kind: str, affected: Sequence[str], message: str, *, is_warning: bool = False) -> Finding:
        """Build a finding from all affected items; ``{count}`` in the message becomes their number."""
        count = len(affected)
        # Not `format`: a message may have braces, from a label or the name of a file.
        return cls(kind, count, message.replace("{count}", f"{count:,}"), tuple(affected[:MAX_EXAMPLES]), is_warning)
