"""."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: Rows that a finding names.
MAX_EXAMPLES = 5


@dataclass(frozen=True)
class Finding:
    """One thing that was noticed about the data.

    Args:
        kind: short name, for programs: ``"leak"``, ``"repetition"``, ``"encoding"``.
        count: how many rows, texts or files it concerns.
        message: one sentence for people, what was found and what was done about it.
        examples: row ids, labels or files, at most `MAX_EXAMPLES`.
        is_warning: whether somebody should look at it before trusting the results.
    """

    kind: str
    count: int
    message: str
    examples: tuple[str, ...] = ()
    is_warning: bool = False

    @classmethod
    def of(cls, kind: str, concerned: Sequence[str], message: str, *, is_warning: bool = False) -> Finding:
        """A finding about listed things; the message may hold ``{count}``."""
        count = len(concerned)
        return cls(kind, count, message.format(count=f"{count:,}"), tuple(concerned[:MAX_EXAMPLES]), is_warning)
