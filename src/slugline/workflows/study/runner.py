"""`run_study`: every member trained once, the best chosen on validation, and only that one scored on test.

The run folders are the memory of a study. The same command goes on where it was killed: complete members are passed
over, interrupted ones are resumed, failed ones are tried again.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from slugline.core.errors import DataError, RunError, SluglineError
from slugline.core.layouts import RunLayout
from slugline.core.storage import disk_errors, replacing, replacing_folder
from slugline.evaluation.compare import Comparison, compare
from slugline.evaluation.plots import plot_learning_curves
from slugline.pipeline import score_split, train, warn_of_sizes
from slugline.recipe.recipe import changed_keys
from slugline.run.run import Run, restore_replaced
from slugline.workflows.study.learning_curves import learning_curves
from slugline.workflows.study.plan import Member, read_study
from slugline.workflows.study.results import MemberResult, SettingResult, StudyResult

logger = logging.getLogger("slugline")


def run_study(path: Path, *, force: bool = False) -> StudyResult:
    """Train what is still to be trained of a study, choose, and score the chosen setting on test.

    Args:
        path: the study's TOML file.
        force: train those members anew whose recipe is another than the one in their folder.

    Returns:
        What came of it; a member that failed is told there and does not end the study.

    Raises:
        RecipeError: the study, its recipe, or what a member makes of it, is wrong; nothing was trained.
        RunError: a member is being trained right now, or was trained with another recipe, or the disk is full.
    """
    study = read_study(path)
    outdated = _check_can_open(study.members, force=force)
    results = [MemberResult.of(member) for member in study.members]
    for index, member in enumerate(study.members):
        logger.info("member %d of %d: %s", index + 1, len(study.members), member.title)
        error = ""
        try:
            error = _train(member, force=member in outdated)
        finally:  # Ctrl-C is no reason to forget what is known
            results[index] = MemberResult.of(member, error=error)
            _write(StudyResult(study, tuple(results)))
        if results[index].state == "complete" and not study.file.keep_checkpoints:
            _delete_checkpoints(member.path)
    result = _score_chosen(StudyResult(study, tuple(results)))
    warn_of_sizes({setting.setting.title: Run(setting.members[0].member.path) for setting in result.ranking})
    _write(result)
    _draw(result)
    return result


def _check_can_open(members: Sequence[Member], *, force: bool) -> list[Member]:
    """The members whose folder holds another recipe's run; refused before anything trains unless it may be replaced."""
    outdated, changes = [], []
    for member in members:
        restore_replaced(member.path)
        run = Run(member.path)
        state = run.state
        if state == "running":
            raise RunError(
                f"{member.title} is being trained right now: {member.path}.",
                hint="Wait for that study, or stop it; the same command goes on where it was.",
            )
        keys = changed_keys(run.recipe, member.recipe) if state != "new" else []
        if keys:
            outdated.append(member)
            changes.append(f"{member.title} was trained with another recipe: {'; '.join(keys)}.")
    if changes and not force:
        raise RunError(
            "\n".join(changes),
            hint="Put the old values back, rename step or study, or train these members anew with --force.",
        )
    return outdated


def _train(member: Member, *, force: bool) -> str:
    """Bring a member to its end.

    Args:
        member: whose folder may hold a run of the same recipe in any state.
        force: begin anew whatever stands there.

    Returns:
        What it failed with; empty where it is complete.
    """
    state = Run(member.path).state
    if state == "complete" and not force:
        logger.info("%s is complete already", member.path)
        return ""
    is_begun = state in ("interrupted", "failed") and not force
    try:
        train(member.recipe, run_dir=member.path, resume=is_begun, force=force)
    except SluglineError as error:
        logger.warning("%s failed: %s", member.title, error.message)
        return error.message
    except Exception as error:
        # Whatever it is, the members to come may be spared it, and a night's work is not lost to one of them.
        logger.exception("%s failed", member.title)
        return f"{type(error).__name__}: {error}"
    return ""


def _delete_checkpoints(path: Path) -> None:
    """Free the disk of what only an unfinished run needs; a cross-validated one has a run folder for each fold."""
    for manifest in list(path.rglob(RunLayout(path).manifest.name)):
        folder = RunLayout(manifest.parent).checkpoints
        if folder.is_dir():
            with disk_errors(folder):
                shutil.rmtree(folder)


def _score_chosen(result: StudyResult) -> StudyResult:
    """Add what is known of the chosen setting alone: its test figures, and how it compares with the runner-up."""
    if result.chosen is None:
        return result
    test: dict[int, dict[str, Any]] = {}
    failures = []
    for member in (each.member for each in result.chosen.members):
        if not Run(member.path).manifest["data"]["rows"].get("test"):
            continue
        try:
            test[member.recipe.seed] = score_split(member.path, "test")
        except SluglineError as error:
            failures.append(f"{member.title} could not be scored on test: {error.message}")
    comparisons = _comparisons(result.ranking, metric=result.study.chosen_by.name)
    return replace(result, test=test, comparisons=comparisons, failures=tuple(failures))


def _comparisons(ranking: Sequence[SettingResult], *, metric: str) -> dict[int, Comparison]:
    """The two best settings, on each seed; none where they were not judged on the same rows, which is said."""
    if len(ranking) < 2:
        return {}
    best, second = ranking[:2]
    try:
        return {
            one.member.recipe.seed: compare(
                {each.member.setting.title: Run(each.member.path).predictions(each.split) for each in (one, other)},
                metric=metric,
            )
            for one, other in zip(best.members, second.members, strict=True)
        }
    except DataError as error:
        logger.warning("the settings were not judged on the same rows, so their order says little: %s", error.message)
        return {}


def _draw(result: StudyResult) -> None:
    """Learning curves, where the study varies the number of training rows."""
    metric = result.study.chosen_by.name
    curves = learning_curves(result.settings, metric)
    if curves:
        with replacing_folder(result.study.layout.plots) as folder:
            plot_learning_curves(curves, metric, folder / "learning-curves")


def _write(result: StudyResult) -> None:
    with replacing(result.study.layout.summary) as temporary:
        text = json.dumps(result.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
