"""Prodigy's JSON lines: a label that is accepted or rejected, or options of which some are accepted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from slugline.core.errors import DataError
from slugline.core.labels import RowLabels
from slugline.data.reading.exports.tasks import Task
from slugline.data.reading.formats import Row

ANSWERS = ("accept", "reject", "ignore")

#: Columns of an annotation, which are no columns of the text.
ANNOTATION = ("label", "answer", "accept", "options", "config", "spans", "tokens", "score", "priority", "style")

#: The text of a class of texts for which the only label of a file was rejected.
NOT = "not {label}"


def is_prodigy(rows: Sequence[Row]) -> bool:
    """True if rows have the columns of Prodigy's JSON lines."""
    return all(row.get("answer") in ANSWERS and ("label" in row or "accept" in row) for row in rows)


def prodigy_tasks(rows: Sequence[Row], where: str) -> list[Task]:
    """Read the tasks of Prodigy's JSON lines.

    Args:
        rows: rows as read; a text has one row for each label and annotator.
        where: the file, for messages.

    Returns:
        One task a text. If all rows are about one label, texts for which it was rejected get the class ``not LABEL``.

    Raises:
        DataError: a row is not of this format.
    """
    texts: dict[str, list[Row]] = defaultdict(list)
    for number, row in enumerate(rows, start=1):
        if row.get("answer") not in ANSWERS or not ("label" in row or "accept" in row):
            raise DataError(
                f"{where}, row {number}: has no 'answer' with a 'label' or 'accept', so that it is not an annotation "
                "of Prodigy.",
                hint="Export with db-out, or leave data.export out.",
            )
        texts[str(row.get("_input_hash") or row.get("text"))].append(row)
    labels = {str(row["label"]) for row in rows if "accept" not in row}
    only = labels.pop() if len(labels) == 1 and not any("accept" in row for row in rows) else ""
    return [_task(annotations, only) for annotations in texts.values()]


def _task(annotations: Sequence[Row], only: str) -> Task:
    values = {
        name: value for name, value in annotations[0].items() if not name.startswith("_") and name not in ANNOTATION
    }
    given = [row for row in annotations if row["answer"] != "ignore"]
    chosen: list[RowLabels] = [_choice(row) for row in given if "accept" in row and row["answer"] == "accept"]
    answers = chosen or _accepted(given, only)
    return Task(values, {"label": answers} if answers else {}, is_skipped=not given)


def _choice(row: Row) -> RowLabels:
    accepted = row["accept"] if isinstance(row["accept"], list) else [row["accept"]]
    return tuple(map(str, accepted))


def _accepted(rows: Sequence[Row], only: str) -> list[RowLabels]:
    """One answer for each annotator: the labels that this annotator accepted, or the class of a rejected only label."""
    by_annotator: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if "accept" not in row:
            by_annotator[_annotator(row)].append(row)
    answers = []
    for own in by_annotator.values():
        accepted = tuple(dict.fromkeys(str(row["label"]) for row in own if row["answer"] == "accept"))
        if only and not accepted:
            accepted = (NOT.format(label=only),)
        answers += [accepted] if accepted else []
    return answers


def _annotator(row: Mapping[str, object]) -> str:
    return str(row.get("_annotator_id") or row.get("_session_id") or "")
