"""The errors that Slugline raises for problems that a user can fix. The command line prints them without a traceback.

SluglineError
├── RecipeError     a key, a value, or the recipe file
├── DataError       a file, a column, a row, a label
├── ModelError      a base model, a tokenizer, a model folder
├── RunError        a run folder: its state, its contents, its disk
├── TrainingError   training cannot continue: the loss is not finite, the memory is exhausted
└── MissingExtra    an optional dependency is not installed

The message names the problem and its place; the ``hint`` describes the fix.
"""

from __future__ import annotations


class SluglineError(Exception):
    """Root of all errors that a user can fix.

    Args:
        message: description of the problem and its place (file, row, key).
        hint: description of the fix; shown on its own line.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class RecipeError(SluglineError):
    """A recipe that cannot be read, or has an invalid key or value."""


class DataError(SluglineError):
    """Texts or labels that cannot be used."""


class ModelError(SluglineError):
    """A base model, tokenizer or model folder that cannot be loaded."""


class RunError(SluglineError):
    """A run folder in the wrong state for a command, or a disk that is full or not writable."""


class TrainingError(SluglineError):
    """Training that cannot continue."""


class MissingExtra(SluglineError):
    """A feature whose optional packages are not installed.

    Args:
        feature: the feature that needs the packages, as the subject of a sentence.
        extra: name of the extra in ``pip install "slugline[extra]"``.
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs packages that are not installed.",
            hint=f'Install them with: pip install "slugline[{extra}]"',
        )
        self.args = (feature, extra)  # pickle rebuilds the error from these, e.g. between the processes of folds


def nearest(name: str, known: list[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the known name nearest to ``name``, or an empty string."""
    from difflib import get_close_matches

    matches = get_close_matches(name, known, n=1)
    return f" Did you mean {matches[0]!r}?" if matches else ""
