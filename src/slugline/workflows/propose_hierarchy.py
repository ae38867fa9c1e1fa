"""`propose_hierarchy`: groups similar classes of a run into a tree of two levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import DataError
from slugline.core.labels import PATH_SEPARATOR
from slugline.core.predictions import Predictions
from slugline.data.reading.labels.hierarchy import SEPARATOR_IN_PART
from slugline.recipe.recipe import Recipe
from slugline.run.run import Run

#: Classes in the name of a group.
NAMED_CLASSES = 3


@dataclass(frozen=True)
class ProposedHierarchy:
    """Classes in groups.

    Args:
        groups: classes of each group, by its name; the largest group first.
        split: split whose predictions the groups come from.
        errors: number of errors on this split.
        errors_within: number of them whose true and predicted class are in one group.
    """

    groups: Mapping[str, tuple[str, ...]]
    split: str
    errors: int
    errors_within: int

    @property
    def label_map(self) -> dict[str, str]:
        """Path of each class: group, then class."""
        return {
            name: f"{_part(group)}{PATH_SEPARATOR}{_part(name)}"
            for group, names in self.groups.items()
            for name in names
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "groups": {group: list(names) for group, names in self.groups.items()},
            "split": self.split,
            "errors": self.errors,
            "errors_within": self.errors_within,
        }

    def applied_to(self, recipe: Recipe) -> Recipe:
        """Return a recipe with the paths as labels; its own label maps are applied first."""
        data = recipe.data
        if data.sources:
            sources = [each.model_copy(update={"label_map": self._composed(each.label_map)}) for each in data.sources]
            data = data.model_copy(update={"sources": sources})
        else:
            data = data.model_copy(update={"label_map": self._composed(data.label_map), "label_kind": "hierarchical"})
        return recipe.model_copy(update={"data": data, "name": f"{recipe.name}-hierarchy"})

    def _composed(self, label_map: Mapping[str, str]) -> dict[str, str]:
        paths = self.label_map
        return {name: paths.get(new, new) for name, new in label_map.items()} if label_map else paths


def propose_hierarchy(run: Run, *, groups: int = 0) -> ProposedHierarchy:
    """Group classes that a run confuses, by average linkage (Sokal and Michener 1958).

    Two classes are near if texts of one get a high probability of the other, on the rows held out from training. The
    test split is not used.

    Args:
        run: complete run with one label per text and three or more classes.
        groups: number of groups; 0 = the square root of the number of classes.

    Returns:
        The groups. Each class is in one.

    Raises:
        DataError: the labels are not single, there are fewer than three classes, or the number of groups does not fit.
        RunError: the run has no predictions on validation or out of fold.
    """
    split = "validation" if "validation" in run.scored_splits else "out_of_fold"
    predictions = run.predictions(split)
    names = predictions.labels.names
    if predictions.labels.kind != "single":
        raise DataError(f"{run.path}: its labels are {predictions.labels.kind}.", hint="Give a run with single labels.")
    if len(names) < 3:
        raise DataError(f"{run.path}: {len(names)} classes cannot be grouped.", hint="Give a run with three or more.")
    if groups and not 2 <= groups < len(names):
        raise DataError(
            f"{groups} groups of {len(names)} classes.", hint=f"Give a number of groups from 2 to {len(names) - 1}."
        )
    group_of = _linked(_similarities(predictions), groups or max(2, round(len(names) ** 0.5)))
    targets, predicted = np.asarray(predictions.targets), np.asarray(predictions.predicted)
    wrong = targets != predicted
    return ProposedHierarchy(
        _named_groups(names, group_of, np.bincount(targets, minlength=len(names))),
        split,
        int(wrong.sum()),
        int((wrong & (group_of[targets] == group_of[predicted])).sum()),
    )


def _similarities(predictions: Predictions) -> NDArray[np.float64]:
    """(K, K): mean probability of one class for texts of the other, relative to their own; symmetric, at most one."""
    count = len(predictions.labels)
    means = np.eye(count)
    for index in range(count):
        rows = predictions.targets == index
        if rows.any():
            means[index] = predictions.probabilities[rows].mean(axis=0)
    own = np.maximum(np.diag(means), 1e-12)
    return np.asarray(np.minimum(1.0, (means + means.T) / (own[:, None] + own[None, :])))


def _linked(similarities: NDArray[np.float64], groups: int) -> NDArray[np.int64]:
    """(K,): group of each class."""
    from sklearn.cluster import AgglomerativeClustering

    distances = 1.0 - similarities
    np.fill_diagonal(distances, 0.0)
    model = AgglomerativeClustering(n_clusters=groups, metric="precomputed", linkage="average")
    return np.asarray(model.fit_predict(distances), dtype=np.int64)


def _named_groups(
    names: Sequence[str], group_of: NDArray[np.int64], support: NDArray[np.int64]
) -> dict[str, tuple[str, ...]]:
    """Groups by name, the largest first: the names of their most frequent classes."""
    members = [np.flatnonzero(group_of == number).tolist() for number in range(int(group_of.max()) + 1)]
    named: dict[str, tuple[str, ...]] = {}
    for indices in sorted(members, key=lambda indices: (-len(indices), indices)):
        frequent = sorted(indices, key=lambda index: (-int(support[index]), index))[:NAMED_CLASSES]
        more = f" + {len(indices) - NAMED_CLASSES} more" if len(indices) > NAMED_CLASSES else ""
        named[" + ".join(names[index] for index in frequent) + more] = tuple(names[index] for index in indices)
    return named


def _part(name: str) -> str:
    return name.replace(PATH_SEPARATOR, SEPARATOR_IN_PART)
