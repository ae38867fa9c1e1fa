"""Answers in a hierarchy: the path of each text, the probability of each level, and where to stop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import DataError
from slugline.core.labels import LabelSet


@dataclass(frozen=True)
class LevelAnswer:
    """The most probable class of one level for one text.

    Args:
        level: name of the level.
        path: path of the class, from the top level down to this one.
        probability: sum of the probabilities of the leaves below it.
    """

    level: str
    path: str
    probability: float


def level_answers(labels: LabelSet, probabilities: NDArray[np.float64]) -> list[tuple[LevelAnswer, ...]]:
    """Return the answer of each level.

    Args:
        labels: hierarchical label set with K leaves.
        probabilities: (N, K) probabilities of the leaves.

    Returns:
        For each of the N texts one answer for each level, top first. The class of a level need not lie below the class
        of the level above it: many unlikely leaves can be more probable together than one likely leaf.
    """
    columns = []
    for number, level in enumerate(labels.level_names, start=1):
        names, group_of = labels.at_level(number)
        sums = np.zeros((len(probabilities), len(names)))
        for leaf, group in enumerate(group_of.tolist()):
            sums[:, group] += probabilities[:, leaf]
        best = sums.argmax(axis=1)
        columns.append(
            [
                LevelAnswer(level, names[group], min(1.0, float(row[group])))
                for row, group in zip(sums, best, strict=True)
            ]
        )
    return list(zip(*columns, strict=True))


def stop_at(answers: tuple[LevelAnswer, ...], threshold: float) -> LevelAnswer:
    """Choose the deepest answer that is certain enough.

    Args:
        answers: answers of all levels, top first.
        threshold: smallest probability of an answer.

    Returns:
        The deepest answer with at least this probability; the answer of the top level if none has.
    """
    return next((answer for answer in reversed(answers) if answer.probability >= threshold), answers[0])


def check_level_threshold(labels: LabelSet, threshold: float) -> None:
    """Refuse a threshold for levels that the label set does not have.

    Args:
        labels: label set of the model.
        threshold: smallest probability of an answer; 0 = always the leaf.

    Raises:
        DataError: the threshold is not between 0 and 1, or the label set is not hierarchical.
    """
    if not 0 <= threshold <= 1:
        raise DataError(f"the level threshold is {threshold:g}, not between 0 and 1.", hint="Give a probability.")
    if threshold and labels.kind != "hierarchical":
        raise DataError(
            f"the model has a {labels.kind} label set, without levels.", hint="Leave the level threshold out."
        )
