"""Doccano's JSON lines: ``text`` with a list ``label``; one file for each annotator in a project of several."""

from __future__ import annotations

from collections.abc import Sequence

from slugline.core.errors import DataError
from slugline.core.labels import RowLabels
from slugline.data.reading.exports.tasks import Task
from slugline.data.reading.formats import Row

#: Columns with the labels, in the versions of Doccano.
LABEL_COLUMNS = ("label", "labels", "annotations", "cats")

#: Columns of comments, which no other tool writes.
COMMENTS = "Comments"


def is_doccano(rows: Sequence[Row]) -> bool:
    """True if rows have the columns of Doccano's JSON lines."""
    return all(
        "text" in row and "id" in row and isinstance(row.get(_label_column(row)), list) and COMMENTS in row
        for row in rows
    )


def doccano_tasks(rows: Sequence[Row], where: str) -> list[Task]:
    """Read the tasks of Doccano's JSON lines.

    Args:
        rows: rows as read, of the files of all annotators.
        where: the file, for messages.

    Returns:
        One task for each id and text, with an answer for each row that has labels.

    Raises:
        DataError: a row is not of this format, or its annotations mark parts of a text.
    """
    answers: dict[tuple[str, str], list[RowLabels]] = {}
    values: dict[tuple[str, str], Row] = {}
    for number, row in enumerate(rows, start=1):
        if "text" not in row:
            raise DataError(
                f"{where}, row {number}: has no 'text', so that it is not a row of Doccano.",
                hint="Export the project as JSONL, or leave data.export out.",
            )
        column = _label_column(row)
        key = (str(row.get("id", number)), str(row["text"]))
        others = {name: value for name, value in row.items() if name not in (column, COMMENTS)}
        values.setdefault(key, others)
        labels = _labels(row.get(column), f"{where}, row {number}")
        answers.setdefault(key, []).extend([labels] if labels else [])
    return [Task(values[key], {"label": given} if given else {}) for key, given in answers.items()]


def _label_column(row: Row) -> str:
    return next((column for column in LABEL_COLUMNS if column in row), "label")


def _labels(value: object, where: str) -> RowLabels:
    parts = value if isinstance(value, list) else [value] if value not in (None, "") else []
    labels = []
    for each in parts:
        part = each.get("label") if isinstance(each, dict) else each
        if isinstance(part, (list, dict)):
            raise DataError(
                f"{where}: the annotations mark parts of a text ({part}), not whole texts.",
                hint="Export a project of text classification.",
            )
        labels.append(str(part))
    return tuple(labels)
