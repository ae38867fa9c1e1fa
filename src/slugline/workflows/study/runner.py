"""`run_study`: trains every member once, chooses the best setting on validation, and scores only that one on test.

The state of a study is in its run folders. The same command resumes a study: complete members are skipped, interrupted
members are resumed, failed members are tried again.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from slugline.core.errors import RunError, SluglineError
from slugline.core.layouts import RunLayout
from slugline.core.messages import visible_messages
from slugline.core.storage import disk_errors, replacing, replacing_folder
from slugline.data.identity import DataIdentity
from slugline.evaluation.comparison.compare import Comparison, compare
from slugline.evaluation.plots.curves import plot_learning_curves
from slugline.pipeline import score_split, train, warn_of_sizes
from slugline.pipeline.run_data import dataset_of
from slugline.recipe.changes import changed_keys
from slugline.run.lifecycle import restore_replaced
from slugline.run.run import Run, State
from slugline.workflows.study.learning_curves import learning_curves
from slugline.workflows.study.plan import Member, Step, Study, read_study
from slugline.workflows.study.results import MemberResult, SettingResult, StudyResult

logger = logging.getLogger(__name__)


@visible_messages()
def run_study(path: str | Path, *, force: bool = False) -> StudyResult:
    """Train the members of a study that are not complete, choose a setting, and score it on test.

    Args:
        path: the study's TOML file.
        force: train members again whose recipe or data has changed.

    Returns:
        The result, with the members that failed; a failed member does not end the study.

    Raises:
        RecipeError: the study, its recipe, or the recipe of a member is invalid; nothing is trained.
        RunError: the folder of the study is a run, a member is being trained right now or was trained with another
            recipe or on other data, or the disk is full.
    """
    study = read_study(Path(path))
    if RunLayout(study.layout.root).is_run():
        raise RunError(
            f"{study.layout.root} is a run, not a study.", hint="Choose another name for the study, or move the run."
        )
    outdated = _outdated(study.members, force=force)
    results = {member.path: MemberResult.of(member) for member in study.members}
    trained: set[Path] = set()
    for step in study.steps:
        while members := _untrained(study, step, results, trained):
            outdated |= _outdated([member for member in members if member.path not in results], force=force)
            for member in members:
                trained.add(member.path)
                logger.info("member %d of %d: %s", len(trained), max(len(trained), len(results)), member.title)
                error = ""
                try:
                    error = _train(member, force=member.path in outdated)
                finally:  # also after Ctrl-C
                    results[member.path] = MemberResult.of(member, error=error)
                    _write(StudyResult(study, tuple(results.values())))
                if results[member.path].state == "complete" and not study.file.keep_checkpoints:
                    _delete_checkpoints(member.path)
        _leave_out(study, step, results, trained)
    result = _score_chosen(StudyResult(study, tuple(results.values())))
    warn_of_sizes({setting.setting.title: Run(setting.members[0].member.path) for setting in result.ranking})
    _write(result)
    _draw(result)
    return result


def _untrained(
    study: Study, step: Step, results: Mapping[Path, MemberResult], trained: Collection[Path]
) -> list[Member]:
    """The members that a step proposes and that have not been trained."""
    known = StudyResult(study, tuple(result for path, result in results.items() if path in trained)).settings
    return [member for member in study.members_of(step.propose(known)) if member.path not in trained]


def _leave_out(study: Study, step: Step, results: dict[Path, MemberResult], trained: Collection[Path]) -> None:
    """Remove the members of a step that are not trained because its condition is not met."""
    left_out = [member for member in study.members_of(step.propose(())) if member.path not in trained]
    for member in left_out:
        del results[member.path]
    if left_out:
        logger.info("step %s is left out: its condition is not met", step.name)


def _outdated(members: Sequence[Member], *, force: bool) -> set[Path]:
    """Folders that hold a run of another recipe, or on other data; such folders are refused without ``force``."""
    changes = {}
    # If every member is complete, nothing is trained, and the data need not be read.
    reads_data = force or any(_state(member) != "complete" for member in members)
    identities: dict[str, DataIdentity | None] = {}
    for member in members:
        keys = changed_keys(Run(member.path).recipe, member.recipe) if _state(member) != "new" else []
        if keys:
            changes[member.path] = f"{member.title} was trained with another recipe: {'; '.join(keys)}."
        elif reads_data and _has_other_data(member, identities):
            changes[member.path] = f"{member.title} was trained on other data: {member.path}."
    if changes and not force:
        raise RunError(
            "\n".join(changes.values()),
            hint="Restore the former values and files, rename the step or the study, or train these members again with "
            "--force.",
        )
    return set(changes)


def _state(member: Member) -> State:
    """State of a member that is not being trained."""
    restore_replaced(member.path)
    state = Run(member.path).state
    if state == "running":
        raise RunError(
            f"{member.title} is being trained right now: {member.path} ({Run(member.path).process}).",
            hint="Wait for that study, or stop it; the same command resumes it.",
        )
    return state


def _has_other_data(member: Member, identities: dict[str, DataIdentity | None]) -> bool:
    """True if a member was trained on other data than its recipe reads now; ``identities`` has data read before."""
    run, recipe = Run(member.path), member.recipe
    before = run.manifest.get("data", {}) if run.layout.is_run() else {}
    if not before.get("fingerprint"):
        return False
    key = f"{recipe.data.model_dump_json()} {recipe.train.folds}"
    if key not in identities:
        try:
            identities[key] = dataset_of(recipe).identity
        except SluglineError:  # training or scoring reports it, for each member
            identities[key] = None
    identity = identities[key]
    return identity is not None and not identity.matches(before)


def _train(member: Member, *, force: bool) -> str:
    """Train or resume a member, or skip it if it is complete.

    Args:
        member: member whose folder may hold a run of the same recipe in any state.
        force: start over.

    Returns:
        The error it failed with; empty if it is complete.
    """
    state = Run(member.path).state
    if state == "complete" and not force:
        logger.info("%s is complete already", member.path)
        return ""
    is_unfinished = state in ("interrupted", "failed") and not force
    try:
        train(member.recipe, run_dir=member.path, resume=is_unfinished, force=force)
    except SluglineError as error:
        logger.warning("%s failed: %s", member.title, error.message)
        return error.message
    except Exception as error:
        # One member must not end the study: the others may succeed.
        logger.exception("%s failed", member.title)
        return f"{type(error).__name__}: {error}"
    return ""


def _delete_checkpoints(path: Path) -> None:
    """Delete checkpoints, which only an unfinished run needs; a cross-validation has one run folder per fold."""
    for manifest in list(path.rglob(RunLayout(path).manifest.name)):
        folder = RunLayout(manifest.parent).checkpoints
        if folder.is_dir():
            with disk_errors(folder):
                shutil.rmtree(folder)


def _score_chosen(result: StudyResult) -> StudyResult:
    """Add the test scores of the chosen setting, and its comparison with the second best."""
    if result.differing_rows:
        logger.warning("%s", result.differing_rows)
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
    comparison = _comparison(result.ranking, metric=result.study.chosen_by.name)
    return replace(result, test=test, comparison=comparison, failures=tuple(failures))


def _comparison(ranking: Sequence[SettingResult], *, metric: str) -> Comparison | None:
    """The two best settings compared over all their seeds; None if there is only one."""
    if len(ranking) < 2:
        return None
    predictions = {
        setting.setting.title: [Run(each.member.path).predictions(each.split) for each in setting.members]
        for setting in ranking[:2]
    }
    without_seed = [
        setting.setting.title
        for setting in ranking[:2]
        if not setting.members[0].member.recipe.model.capabilities.has_random_training
    ]
    return compare(predictions, metric=metric, without_seed=without_seed)


def _draw(result: StudyResult) -> None:
    """Draw learning curves if the study varies the number of training rows."""
    metric = result.study.chosen_by.name
    curves = learning_curves(result.settings, metric)
    # Members with other validation rows are not comparable.
    if curves and not result.differing_rows:
        with replacing_folder(result.study.layout.plots) as folder:
            split = next(member.split for member in result.members if member.split)
            title = f"{result.study.file.name}: {metric} on {split} by number of training rows"
            plot_learning_curves(curves, f"{metric} on {split}", folder / "learning-curves", title=title)


def _write(result: StudyResult) -> None:
    with replacing(result.study.layout.summary) as temporary:
        text = json.dumps(result.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
