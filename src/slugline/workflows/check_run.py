"""`check_run`: is a run good enough? Its figures against levels of acceptance criteria."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from slugline.core.errors import RecipeError, nearest
from slugline.run.bounds import Bound
from slugline.run.figures import MissingFigure, figure
from slugline.run.run import Run

#: Folder of the criteria that are part of the package.
SHIPPED = Path(__file__).parent


@dataclass(frozen=True)
class Criterion:
    """One criterion of a level, and the figure of a run.

    Args:
        path: path of the figure, see `slugline.run.figures`.
        bound: the bound in words.
        value: figure of the run; None if it has none.
        is_met: True if the figure is within the bound.
        reason: why there is no figure; else empty.
    """

    path: str
    bound: str
    value: float | bool | str | None
    is_met: bool
    reason: str = ""


@dataclass(frozen=True)
class Acceptance:
    """Levels of acceptance, from the lowest to the highest, and what a run has of them.

    Args:
        run: folder of the run.
        required: name of the level that is required.
        levels: criteria by level.
    """

    run: str
    required: str
    levels: dict[str, tuple[Criterion, ...]]

    @property
    def is_met(self) -> bool:
        """True if the required level and all levels below it are met."""
        names = list(self.levels)
        return all(map(self.level_is_met, names[: names.index(self.required) + 1]))

    @property
    def reached(self) -> str:
        """The highest level that is met with all levels below it; empty if the lowest is not met."""
        reached = ""
        for name in self.levels:
            if not self.level_is_met(name):
                break
            reached = name
        return reached

    def level_is_met(self, name: str) -> bool:
        """True if all criteria of a level are met."""
        return all(criterion.is_met for criterion in self.levels[name])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "run": self.run,
            "required": self.required,
            "is_met": self.is_met,
            "reached": self.reached,
            "levels": {name: [asdict(each) for each in criteria] for name, criteria in self.levels.items()},
        }


Criteria = Mapping[str, Mapping[str, Bound]]


def read_criteria(path: Path) -> Criteria:
    """Read levels of criteria from a TOML file: a table for each level, the lowest first, of paths and bounds.

    Args:
        path: the file; or the name of one in `SHIPPED`, without its suffix, such as ``news``.

    Returns:
        Bounds by level and path.

    Raises:
        RecipeError: the file is missing or no TOML, has no level, or a line is no bound.
    """
    if not path.exists() and (SHIPPED / f"{path}.toml").is_file():
        path = SHIPPED / f"{path}.toml"
    if not path.is_file():
        others = [file.name for file in path.parent.glob("*.toml")] if path.parent.is_dir() else []
        raise RecipeError(
            f"{path}: no such file.{nearest(path.name, others)}",
            hint=f"Give a file, or one of: {', '.join(file.stem for file in SHIPPED.glob('*.toml'))}.",
        )
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: {error}.", hint='A line is: "test.accuracy" = "> 0.92"') from error
    loose = [name for name, table in tables.items() if not isinstance(table, dict)]
    if loose or not tables:
        raise RecipeError(
            f"{path}: {loose[0]!r} is in no level." if loose else f"{path}: has no level.",
            hint="Write a line with the name of a level above the criteria: [minimum]",
        )
    return {
        level: {key: Bound.parse(text, where=f"{path}, [{level}] {key}") for key, text in flattened(table).items()}
        for level, table in tables.items()
    }


def flattened(table: Mapping[str, Any]) -> dict[str, Any]:
    """Join the keys of nested tables by dots: TOML reads a path without quotes as nested tables."""
    joined: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            joined |= {f"{key}.{rest}": each for rest, each in flattened(value).items()}
        else:
            joined[key] = value
    return joined


def check_run(run: Run, criteria: Criteria, *, level: str = "") -> Acceptance:
    """Compare the figures of a run with criteria.

    Args:
        run: a finished run.
        criteria: bounds by level and path, from `read_criteria`.
        level: name of the level that is required; empty = the lowest.

    Returns:
        All criteria of all levels with the figures of the run.

    Raises:
        RecipeError: there is no such level, or a path names no figure.
        RunError: the run is not finished.
    """
    if level and level not in criteria:
        raise RecipeError(
            f"there is no level {level!r}.{nearest(level, list(criteria))}", hint=f"Levels: {', '.join(criteria)}."
        )
    _ = run.metrics  # refuses a run that is not finished
    levels = {
        name: tuple(_criterion(run, path, bound) for path, bound in bounds.items()) for name, bounds in criteria.items()
    }
    return Acceptance(str(run.path), level or next(iter(criteria)), levels)


def _criterion(run: Run, path: str, bound: Bound) -> Criterion:
    try:
        value = figure(run, path)
    except MissingFigure as error:
        return Criterion(path, str(bound), None, False, reason=error.message.removeprefix(f"{path}: "))
    return Criterion(path, str(bound), value, bound.is_met(value))
