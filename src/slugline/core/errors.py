"""What can go wrong, as a tree. The command line catches the root and prints it in one or two lines.

SluglineError
├── RecipeError     a key, a value, or the recipe file itself
├── DataError       a file, a column, a row, a label
├── ModelError      a base model, a tokenizer, a folder that is no model
├── RunError        a run folder: its state, its contents, the disk under it
├── TrainingError   training cannot go on: loss not finite, memory exhausted
└── MissingExtra    an optional dependency that is not installed

Every error says what is wrong and where, and carries its ``mend``: what the user can do about it.
"""

from __future__ import annotations


class SluglineError(Exception):
    """Root of all errors that are the user's to mend.

    Args:
        message: what is wrong and where (file, row, key).
        hint: what to do about it; shown on a line of its own.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class RecipeError(SluglineError):
    """A recipe that cannot be read, or says something that it may not."""


class DataError(SluglineError):
    """Texts or labels that cannot be used as they are."""


class ModelError(SluglineError):
    """A base model, tokenizer or model folder that cannot be loaded."""


class RunError(SluglineError):
    """A run folder in a state that does not allow what was asked, or a disk that does not take it."""


class TrainingError(SluglineError):
    """Training that cannot go on."""


class MissingExtra(SluglineError):
    """A feature whose optional packages are not installed.

    Args:
        feature: what needs the packages, as the subject of a sentence.
        extra: name of the extra in ``pip install "slugline[extra]"``.
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs packages that are not installed here.",
            hint=f'Install them with: pip install "slugline[{extra}]"',
        )
        self.args = (feature, extra)  # what it is rebuilt from when a fold's process hands it over


def nearest(name: str, known: list[str]) -> str:
    """``" Did you mean 'x'?"`` for the known name nearest to ``name``, or an empty string."""
    from difflib import get_close_matches

    matches = get_close_matches(name, known, n=1)
    return f" Did you mean {matches[0]!r}?" if matches else ""
