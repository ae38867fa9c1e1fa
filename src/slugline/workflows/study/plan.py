"""What a study says: one TOML file to settings, and to a member with its recipe for each setting and seed.

Everything is resolved and checked here, before the first member trains.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slugline.core.errors import RecipeError
from slugline.core.layouts import StudyLayout
from slugline.evaluation.metrics import Metric, metric
from slugline.recipe.recipe import Recipe, read
from slugline.recipe.toml import to_toml
from slugline.training.fit import check
from slugline.workflows.study.schema import Overrides, StepSection, StudyFile, read_file

#: Characters of a setting's name at most: it is a folder's.
NAME_CHARACTERS = 100


@dataclass(frozen=True)
class Setting:
    """What a step's members have in common but for the seed: one point of its grid.

    Args:
        step: its name.
        name: made of what varies within the step: ``learning_rate=2e-05``; empty where nothing does.
        overrides: the step's own, by dotted key.
    """

    step: str
    name: str
    overrides: Overrides

    @property
    def title(self) -> str:
        """``rates/learning_rate=2e-05``, or the step alone."""
        return f"{self.step}/{self.name}" if self.name else self.step

    @property
    def changes(self) -> str:
        """The overrides in short: ``epochs=5, learning_rate=1e-05``."""
        return ", ".join(assignments(self.overrides))


@dataclass(frozen=True)
class Member:
    """One training of a study.

    Args:
        setting: of all members that differ in the seed alone.
        recipe: complete.
        path: the run's folder.
    """

    setting: Setting
    recipe: Recipe
    path: Path

    @property
    def title(self) -> str:
        """``rates/learning_rate=2e-05 seed 13``."""
        return f"{self.setting.title} seed {self.recipe.seed}"


@dataclass(frozen=True)
class Study:
    """A study that is ready to run.

    Args:
        file: as it was read.
        recipe: the recipe's file.
        chosen_by: ``train.select_by`` of recipe and ``set``, on validation.
        members: all of them valid, those of one setting side by side.
    """

    file: StudyFile
    recipe: Path
    chosen_by: Metric
    members: tuple[Member, ...]

    @property
    def layout(self) -> StudyLayout:
        """Where everything lies."""
        return _layout(self.file)


def read_study(path: Path) -> Study:
    """Read a study and resolve the recipe of every member.

    Args:
        path: TOML file.

    Returns:
        The study; nothing is trained, no data is read.

    Raises:
        RecipeError: the file or its recipe is missing or says what it may not, or a member's recipe does; all of the
            members' errors at once, each with its step and setting.
    """
    file = read_file(path)
    recipe_path = path.parent / file.recipe
    if not recipe_path.is_file():
        raise RecipeError(
            f"{path}: recipe is {file.recipe!r}, but there is no {recipe_path}.",
            hint="The path is relative to the study's file.",
        )
    base = _resolve(path, recipe_path, {"recipe": file.set})["recipe"]
    settings = [setting for step in file.step for setting in _settings(step)]
    recipes = _resolve(path, recipe_path, {setting.title: file.set | setting.overrides for setting in settings})
    return Study(
        file,
        recipe_path,
        metric(base.train.select_by),
        tuple(
            _member(file, setting, recipes[setting.title], seed)
            for setting in settings
            for seed in file.seeds or [base.seed]
        ),
    )


def assignments(values: Mapping[str, Any]) -> list[str]:
    """Overrides in short, safe as parts of a file's name.

    >>> assignments({"train.learning_rate": 1e-5, "model.base": "google/bert"})
    ['learning_rate=1e-05', 'base=google-bert']

    Args:
        values: by dotted key.

    Returns:
        One each: the last part of the key where that is enough to tell it from the others, and the value.
    """
    last = Counter(key.rpartition(".")[2] for key in values)
    short = [key.rpartition(".")[2] for key in values]
    names = [name if last[name] == 1 else key for name, key in zip(short, values, strict=True)]
    return [f"{_safe(name)}={_written(value)}" for name, value in zip(names, values.values(), strict=True)]


def _written(value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)  # its minus is no dash at the edge of a word
    return _safe(to_toml(value)) or "empty"


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip("-")


def _settings(step: StepSection) -> list[Setting]:
    names = _distinct_names(step.points)
    return [Setting(step.name, name, step.set | point) for point, name in zip(step.points, names, strict=True)]


def _distinct_names(points: Sequence[Overrides]) -> list[str]:
    """A name for each point of a grid, different also where upper and lower case are not told apart."""
    names = [",".join(assignments(point))[:NAME_CHARACTERS] for point in points]
    count = Counter(name.lower() for name in names)
    return [
        name if count[name.lower()] == 1 else f"{name}-{hashlib.sha256(to_toml(point).encode()).hexdigest()[:8]}"
        for name, point in zip(names, points, strict=True)
    ]


def _resolve(path: Path, recipe_path: Path, overrides: Mapping[str, Overrides]) -> dict[str, Recipe]:
    """The recipes by title; what is wrong with any of them is said together, and once."""
    recipes: dict[str, Recipe] = {}
    wrong: dict[str, list[str]] = {}
    mends: dict[str, None] = {}
    for title, values in overrides.items():
        try:
            recipes[title] = _resolved(recipe_path, values)
        except RecipeError as error:
            mends[error.hint] = None
            for line in error.message.splitlines():
                wrong.setdefault(line, []).append(title)
    if wrong:
        lines = (f"{path}, {_listed_titles(titles)}: {line}" for line, titles in wrong.items())
        raise RecipeError("\n".join(lines), hint="\n".join(filter(None, mends)))
    return recipes


def _listed_titles(titles: Sequence[str]) -> str:
    return titles[0] if len(titles) == 1 else f"{titles[0]} and {len(titles) - 1} more"


def _resolved(recipe_path: Path, overrides: Overrides) -> Recipe:
    recipe = read(recipe_path, [f"{key}={to_toml(value)}" for key, value in overrides.items()])
    check(recipe)
    evaluation = recipe.evaluation
    if "splits" not in evaluation.model_fields_set:
        # Many members, one of which will be chosen: test is not for choosing.
        evaluation = evaluation.model_copy(update={"splits": ["validation"]})
        return recipe.model_copy(update={"evaluation": evaluation})
    if "validation" not in evaluation.splits:
        raise RecipeError(
            f"{recipe_path}: evaluation.splits is {evaluation.splits!r}; a study chooses on validation.",
            hint="Add 'validation' to evaluation.splits, or leave the key out.",
        )
    return recipe


def _member(file: StudyFile, setting: Setting, recipe: Recipe, seed: int) -> Member:
    # The seed is always named: whoever adds seeds later keeps the runs that are there.
    name = ",".join(filter(None, [setting.name, f"seed={seed}"]))
    update = {"name": re.sub(r"[^A-Za-z0-9._-]+", "-", f"{setting.step}-{name}"), "seed": seed}
    return Member(setting, recipe.model_copy(update=update), _layout(file).member(setting.step, name))


def _layout(file: StudyFile) -> StudyLayout:
    return StudyLayout(Path(file.runs) / file.name)
