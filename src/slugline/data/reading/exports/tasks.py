"""`Task`: a text with the answers of its annotators. The majority of the answers is the label of the text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from slugline.core.labels import RowLabels
from slugline.data.reading.formats import Row


@dataclass(frozen=True)
class Task:
    """A text with the answers of its annotators.

    Args:
        row: columns of the text and of what else is known about it, without labels.
        answers: answers to each question; an answer has any number of labels. Skipped tasks have no answers.
        is_suggested: True if the answers are those of a model, because no person answered.
        is_skipped: True if annotators discarded or ignored the task.
    """

    row: Row
    answers: Mapping[str, Sequence[RowLabels]] = field(default_factory=dict)
    is_suggested: bool = False
    is_skipped: bool = False


@dataclass(frozen=True)
class Majority:
    """The answer of most annotators.

    Args:
        labels: labels of the majority; None without an answer.
        is_disputed: True if two annotators gave different answers.
        is_tied: True if no answer, or no label of a multi-label question, has more votes than another.
    """

    labels: RowLabels | None
    is_disputed: bool = False
    is_tied: bool = False


def majority(answers: Sequence[RowLabels], *, is_multi: bool) -> Majority:
    """Find the labels that most annotators gave.

    Args:
        answers: labels from each annotator.
        is_multi: a label counts by itself, if more than half of the annotators gave it; else whole answers count.

    Returns:
        The majority. Of tied answers the first one given is taken; of tied labels none.
    """
    if not answers:
        return Majority(None)
    is_disputed = len({frozenset(answer) for answer in answers}) > 1
    if is_multi:
        votes = Counter(label for answer in answers for label in dict.fromkeys(answer))
        chosen = tuple(label for label, count in votes.items() if 2 * count > len(answers))
        return Majority(chosen, is_disputed, any(2 * count == len(answers) for count in votes.values()))
    counts = Counter(answers)
    first, best = counts.most_common(1)[0]
    return Majority(first, is_disputed, sum(count == best for count in counts.values()) > 1)
