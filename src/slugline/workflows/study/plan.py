"""The plan of a study: its steps, their settings, and one member with its recipe for each setting and seed.

A step proposes settings from the results so far. Recipes of settings that are known beforehand are checked before the
first member is trained.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from slugline.core.errors import RecipeError
from slugline.core.layouts import StudyLayout
from slugline.evaluation.metrics import Metric, metric
from slugline.recipe.recipe import Recipe, read
from slugline.recipe.toml import to_toml
from slugline.run.run import Run
from slugline.training.fit import check
from slugline.workflows.study.conditions import Condition
from slugline.workflows.study.schema import Overrides, StepSection, StudyFile, read_file

if TYPE_CHECKING:
    from slugline.workflows.study.results import SettingResult

#: Maximum length of a setting's name, which is also the name of a folder.
NAME_CHARACTERS = 100


@dataclass(frozen=True)
class Setting:
    """One point of the grid of a step; its members differ only in the seed.

    Args:
        step: name of the step.
        name: name made of the keys that vary within the step: ``learning_rate=2e-05``; empty if nothing varies.
        overrides: overrides of the recipe, by dotted key.
    """

    step: str
    name: str
    overrides: Overrides

    @property
    def title(self) -> str:
        """Step and name: ``rates/learning_rate=2e-05``; only the step if the name is empty."""
        return f"{self.step}/{self.name}" if self.name else self.step

    @property
    def changes(self) -> str:
        """The overrides in short form: ``epochs=5, learning_rate=1e-05``."""
        return ", ".join(assignments(self.overrides))


@dataclass(frozen=True)
class Member:
    """One training of a study.

    Args:
        setting: setting, shared with the members that differ only in the seed.
        recipe: recipe with all overrides and defaults.
        path: the run's folder.
    """

    setting: Setting
    recipe: Recipe
    path: Path

    @property
    def title(self) -> str:
        """Title of the setting, and seed: ``rates/learning_rate=2e-05 seed 13``."""
        return f"{self.setting.title} seed {self.recipe.seed}"


class Step(Protocol):
    """A step of a study."""

    @property
    def name(self) -> str:
        """Name of the step, and of its folder."""

    def propose(self, results: Sequence[SettingResult]) -> list[Setting]:
        """Return all settings of this step that are known, given the results so far.

        The study trains the settings that are new and calls this method again, until no setting is new. Settings that
        are returned for empty results are checked before the first member is trained.

        Args:
            results: results of all settings of the study that were trained.

        Returns:
            Settings in the order of training.
        """


@dataclass(frozen=True)
class GridStep:
    """A step with fixed settings: the points of its grid; none if the step has a condition that is not met.

    Args:
        section: section of the study's file.
        chosen_by: metric on validation by which members are chosen.
    """

    section: StepSection
    chosen_by: Metric

    @property
    def name(self) -> str:
        """Name of the step, and of its folder."""
        return self.section.name

    def propose(self, results: Sequence[SettingResult]) -> list[Setting]:
        """Return all points of the grid, unless the results do not meet the condition.

        Args:
            results: results so far; without any, the condition is taken as met.

        Returns:
            Settings in the order of the grid.

        Raises:
            RecipeError: the condition is about a figure that the runs do not have.
        """
        if results and self.section.condition and not self._is_met(self.section.condition, results):
            return []
        points = self.section.points
        names = _distinct_names(points)
        return [Setting(self.name, name, self.section.set | point) for point, name in zip(points, names, strict=True)]

    def _is_met(self, condition: Condition, results: Sequence[SettingResult]) -> bool:
        """True if the best member of the step of a condition meets it; False if no member is complete."""
        name = self.chosen_by.name
        scored = [
            member
            for result in results
            if result.setting.step == condition.step
            for member in result.members
            if name in member.metrics
        ]
        if not scored:
            return False
        best = (max if self.chosen_by.greater_is_better else min)(scored, key=lambda member: member.metrics[name])
        return condition.is_met(Run(best.member.path))


@dataclass(frozen=True)
class Study:
    """A study that is ready to run.

    Args:
        path: path of the study's file.
        file: contents of the study's file.
        recipe: path of the recipe.
        chosen_by: metric on validation, from ``train.select_by`` of recipe and ``set``.
        seeds: seeds of the members of each setting.
        steps: steps in their order.
        _recipes: recipes that were resolved before, by title of the setting.
    """

    path: Path
    file: StudyFile
    recipe: Path
    chosen_by: Metric
    seeds: tuple[int, ...]
    steps: tuple[Step, ...]
    _recipes: dict[str, Recipe] = field(default_factory=dict, compare=False, repr=False)

    @property
    def layout(self) -> StudyLayout:
        """The paths of all files."""
        return StudyLayout(Path(self.file.runs) / self.file.name)

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """Members that are known before training starts; members of one setting follow each other."""
        return self.members_of([setting for step in self.steps for setting in step.propose(())])

    def members_of(self, settings: Sequence[Setting]) -> tuple[Member, ...]:
        """Resolve the recipes of settings.

        Args:
            settings: settings proposed by steps.

        Returns:
            One member for each setting and seed; only one for a setting whose training does not depend on the seed.

        Raises:
            RecipeError: the recipe of a member is invalid; names all errors of all members.
        """
        new = [setting for setting in settings if setting.title not in self._recipes]
        overrides = {setting.title: self.file.set | setting.overrides for setting in new}
        self._recipes.update(_resolve(self.path, self.recipe, overrides))
        return tuple(
            self._member(setting, recipe, seed)
            for setting, recipe in ((setting, self._recipes[setting.title]) for setting in settings)
            for seed in (self.seeds if recipe.model.capabilities.has_random_training else self.seeds[:1])
        )

    def _member(self, setting: Setting, recipe: Recipe, seed: int) -> Member:
        # The name always contains the seed, so that adding seeds later does not rename existing runs.
        name = ",".join(filter(None, [setting.name, f"seed={seed}"]))
        update = {"name": re.sub(r"[^A-Za-z0-9._-]+", "-", f"{setting.step}-{name}"), "seed": seed}
        return Member(setting, recipe.model_copy(update=update), self.layout.member(setting.step, name))


def read_study(path: Path) -> Study:
    """Read a study and resolve the recipe of every member.

    Args:
        path: TOML file.

    Returns:
        The study; nothing is trained, no data is read.

    Raises:
        RecipeError: the file or its recipe is missing or invalid, or the recipe of a member is; names all errors of all
            members, each with its step and setting.
    """
    file = read_file(path)
    recipe_path = path.parent / file.recipe
    if not recipe_path.is_file():
        raise RecipeError(
            f"{path}: recipe is {file.recipe!r}, but there is no {recipe_path}.",
            hint="The path is relative to the study's file.",
        )
    base = _resolve(path, recipe_path, {"recipe": file.set})["recipe"]
    study = Study(
        path,
        file,
        recipe_path,
        metric(base.train.select_by),
        tuple(file.seeds or [base.seed]),
        tuple(GridStep(step, metric(base.train.select_by)) for step in file.step),
    )
    assert study.members, "every step has at least one setting, and its recipe is checked here"
    return study


def assignments(values: Mapping[str, Any]) -> list[str]:
    """Return overrides in short form, safe in file names.

    >>> assignments({"train.learning_rate": 1e-5, "model.base": "google/bert"})
    ['learning_rate=1e-05', 'base=google-bert']

    Args:
        values: overrides by dotted key.

    Returns:
        For each override the last part of its key, or the whole key if others end alike, and the value.
    """
    last = Counter(key.rpartition(".")[2] for key in values)
    short = [key.rpartition(".")[2] for key in values]
    names = [name if last[name] == 1 else key for name, key in zip(short, values, strict=True)]
    return [f"{_safe(name)}={_written(value)}" for name, value in zip(names, values.values(), strict=True)]


def differences(settings: Sequence[Overrides]) -> list[str]:
    """Return what distinguishes each of several settings, in short form.

    >>> differences([{"train.epochs": 1, "model.kind": "linear"}, {"train.epochs": 2, "model.kind": "linear"}])
    ['epochs=1', 'epochs=2']

    Args:
        settings: overrides of each setting, by dotted key.

    Returns:
        For each setting its overrides whose values are not the same in all settings, by the last part of their keys, or
        by the whole key if several of them end alike.
    """
    keys = list(dict.fromkeys(key for overrides in settings for key in overrides))
    varying = [key for key in keys if len({to_toml(each[key]) if key in each else None for each in settings}) > 1]
    last = Counter(key.rpartition(".")[2] for key in varying)
    names = {key: key.rpartition(".")[2] if last[key.rpartition(".")[2]] == 1 else key for key in varying}
    return [
        ", ".join(f"{_safe(names[key])}={_written(each[key])}" for key in varying if key in each) for each in settings
    ]


def _written(value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)  # `_safe` would remove a leading minus
    return _safe(to_toml(value)) or "empty"


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip("-")


def _distinct_names(points: Sequence[Overrides]) -> list[str]:
    """A name for each point of a grid; names differ also on file systems that ignore case."""
    names = [",".join(assignments(point))[:NAME_CHARACTERS] for point in points]
    count = Counter(name.lower() for name in names)
    return [
        name if count[name.lower()] == 1 else f"{name}-{hashlib.sha256(to_toml(point).encode()).hexdigest()[:8]}"
        for name, point in zip(names, points, strict=True)
    ]


def _resolve(path: Path, recipe_path: Path, overrides: Mapping[str, Overrides]) -> dict[str, Recipe]:
    """The recipes by title; all errors are raised together, each of them once."""
    recipes: dict[str, Recipe] = {}
    errors: dict[str, list[str]] = {}
    hints: dict[str, None] = {}
    for title, values in overrides.items():
        try:
            recipes[title] = _resolved(recipe_path, values, path.parent)
        except RecipeError as error:
            hints[error.hint] = None
            for line in error.message.splitlines():
                errors.setdefault(line, []).append(title)
    if errors:
        lines = (f"{path}, {_listed_titles(titles)}: {line}" for line, titles in errors.items())
        raise RecipeError("\n".join(lines), hint="\n".join(filter(None, hints)))
    return recipes


def _listed_titles(titles: Sequence[str]) -> str:
    return titles[0] if len(titles) == 1 else f"{titles[0]} and {len(titles) - 1} more"


def _resolved(recipe_path: Path, overrides: Overrides, folder: Path) -> Recipe:
    """The recipe of a setting; paths of data in the overrides start from the folder of the study's file."""
    given = [f"{key}={to_toml(value)}" for key, value in overrides.items()]
    recipe = read(recipe_path, given, overrides_folder=folder)
    check(recipe)
    evaluation = recipe.evaluation
    if "splits" not in evaluation.model_fields_set:
        # Test scores must not influence the choice of a setting.
        evaluation = evaluation.model_copy(update={"splits": ["validation"]})
        return recipe.model_copy(update={"evaluation": evaluation})
    return recipe
