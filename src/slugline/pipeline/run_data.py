"""The data set of a run: loaded from its recipe, and compared with the data that the run started with."""

from __future__ import annotations

from collections.abc import Sequence

from slugline.core.errors import DataError, RunError
from slugline.data.dataset import TextDataset
from slugline.data.folds import folds_of
from slugline.data.identity import DataIdentity
from slugline.data.load import load_dataset
from slugline.recipe.recipe import Recipe
from slugline.run.run import Run


def dataset_of(recipe: Recipe, *, fold: int = 0) -> TextDataset:
    """Load the data set of a recipe; with folds, without validation rows of its own.

    Args:
        recipe: recipe with all defaults.
        fold: number of a fold, counted from 1, whose data set is returned; 0 = the whole data set.

    Returns:
        The data set.

    Raises:
        DataError: the data cannot be found, read, or used.
    """
    section = recipe.data
    if recipe.train.folds:
        section = section.model_copy(update={"validation_fraction": 0.0})
    dataset = load_dataset(section, pooled=bool(recipe.train.folds))
    return folds_of(dataset, recipe.train.folds, seed=section.split_seed)[fold - 1] if fold else dataset


def check_data(run: Run, dataset: TextDataset, splits: Sequence[str], *, accept_changes: bool) -> None:
    """Refuse data with which the run would fail later.

    Args:
        run: run opened for writing.
        dataset: data set of the recipe.
        splits: names of the splits that the run needs.
        accept_changes: accept data that has changed since the run started.

    Raises:
        DataError: a split is missing or empty.
        RunError: the data has changed.
    """
    for split in splits:
        if not len(dataset[split]):
            raise DataError(f"the {split} split of {dataset.source.name} has no rows.", hint=_empty_hint(dataset))
    check_unchanged(run, dataset.identity, accept_changes=accept_changes)


def _empty_hint(dataset: TextDataset) -> str:
    """Advice for an empty split: the findings that say why no row could be cut, else the filters."""
    causes = [finding.message for finding in dataset.findings if finding.kind in ("single row", "class not split")]
    if not causes:
        return "Check the class filters."
    return f"Found: {'; '.join(causes)}. Check that data.label is the column of classes, or add rows to its classes."


def check_unchanged(run: Run, identity: DataIdentity, *, accept_changes: bool) -> None:
    """Refuse to resume a run with other data than it started with.

    Args:
        run: run opened for writing.
        identity: identity of the present data.
        accept_changes: accept data that has changed.

    Raises:
        RunError: the data has changed.
    """
    before = run.manifest.get("data", {})
    if before.get("fingerprint") and not identity.matches(before) and not accept_changes:
        raise RunError(
            f"the data has changed since {run.path} was started: its training rows may be test rows now.",
            hint="Start over with --force, or resume with --accept-changes.",
        )


def own_data(run: Run) -> TextDataset:
    """Load the data that a run was trained on, if it has not changed.

    Args:
        run: run whose data was loaded.

    Returns:
        The data set.

    Raises:
        DataError: the data cannot be read, or has changed.
    """
    dataset = dataset_of(run.recipe, fold=run.manifest.get("fold", 0))
    if not dataset.identity.matches(run.manifest["data"]):
        raise DataError(
            f"the data of {run.path} has changed since its training: its test rows can no longer be identified.",
            hint="Give the data with --data to score all of it.",
        )
    return dataset
