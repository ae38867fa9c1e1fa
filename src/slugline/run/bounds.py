"""`Bound`: a limit of a figure, such as ``> 0.92`` or ``= true``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from slugline.core.errors import RecipeError

#: Operators of bounds.
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}

_BOUND = re.compile(rf"\s*({'|'.join(OPERATORS)})\s*([^<>=!\s].*?)\s*")

_WORDS = {"true": True, "false": False}


@dataclass(frozen=True)
class Bound:
    """A bound of a figure, such as ``> 0.92`` or ``= true``.

    Args:
        operator: one of `OPERATORS`.
        value: number, text, True or False.
    """

    operator: str
    value: float | bool | str

    @classmethod
    def parse(cls, text: object, *, where: str) -> Bound:
        """Read a bound.

        Args:
            text: operator and value.
            where: place of the bound, for messages.

        Returns:
            The bound.

        Raises:
            RecipeError: the text is no bound, or compares the order of a value that is no number.
        """
        match = _BOUND.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise RecipeError(
                f"{where}: {text!r} is no bound.", hint='Write an operator and a value: "> 0.92", "< 500e6", "= true".'
            )
        sign, written = match.groups()
        value: float | bool | str
        try:
            value = _WORDS[written] if written in _WORDS else float(written)
        except ValueError:
            value = written
        if sign not in ("=", "!=") and (isinstance(value, (bool, str))):
            raise RecipeError(f"{where}: {sign} needs a number, not {written!r}.", hint='For example: "> 0.92".')
        return cls(sign, value)

    def __str__(self) -> str:
        value = str(self.value).lower() if isinstance(self.value, bool) else self.value
        return f"{self.operator} {value:g}" if isinstance(value, float) else f"{self.operator} {value}"

    def is_met(self, value: Any) -> bool:
        """True if a figure is within the bound; a figure of another type is not."""
        comparable = isinstance(value, bool) == isinstance(self.value, bool)
        comparable = comparable and isinstance(value, str) == isinstance(self.value, str)
        return comparable and OPERATORS[self.operator](value, self.value)
