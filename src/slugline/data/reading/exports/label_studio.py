"""Label Studio's JSON: a list of tasks with ``data``, ``annotations`` and ``predictions``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slugline.core.errors import DataError
from slugline.core.labels import PATH_SEPARATOR, RowLabels
from slugline.data.reading.exports.tasks import Task
from slugline.data.reading.formats import Row


def is_label_studio(rows: Sequence[Row]) -> bool:
    """True if rows have the columns of Label Studio's JSON."""
    return all(isinstance(row.get("data"), dict) and ("annotations" in row or "completions" in row) for row in rows)


def label_studio_tasks(rows: Sequence[Row], where: str) -> list[Task]:
    """Read the tasks of Label Studio's JSON.

    Args:
        rows: rows as read.
        where: the file, for messages.

    Returns:
        One task a row. Cancelled annotations are skipped; one that is marked as ground truth counts alone.

    Raises:
        DataError: a row is not of this format, or its annotations mark parts of a text.
    """
    tasks = []
    for number, row in enumerate(rows, start=1):
        data = row.get("data")
        if not isinstance(data, dict):
            raise DataError(
                f"{where}, row {number}: has no object 'data', so that it is not a task of Label Studio.",
                hint="Export the project as JSON (not JSON-MIN), or leave data.export out.",
            )
        given = _objects(row.get("annotations") or row.get("completions"))
        finished = [each for each in given if not each.get("was_cancelled") and each.get("result")]
        certain = [each for each in finished if each.get("ground_truth")]
        answers: dict[str, list[RowLabels]] = {}
        for annotation in certain or finished:
            for question, labels in _answers(annotation, f"{where}, row {number}").items():
                answers.setdefault(question, []).append(labels)
        values = {"id": row.get("id"), **data}
        tasks.append(Task(values, answers, is_skipped=bool(given) and not finished))
    return tasks


def _answers(annotation: Mapping[str, Any], where: str) -> dict[str, RowLabels]:
    """The labels that one annotator gave to each question."""
    answers: dict[str, RowLabels] = {}
    for result in _objects(annotation.get("result")):
        value = result.get("value") or {}
        if "choices" in value:
            labels = tuple(map(str, value["choices"]))
        elif "taxonomy" in value:
            labels = tuple(PATH_SEPARATOR.join(map(str, path)) for path in value["taxonomy"])
        elif "labels" in value:
            raise DataError(
                f"{where}: the annotations mark parts of a text (type {result.get('type')!r}), not whole texts.",
                hint="Export a project whose labelling interface has Choices or Taxonomy.",
            )
        else:
            continue
        question = str(result.get("from_name") or "label")
        answers[question] = (*answers.get(question, ()), *labels)
    return answers


def _objects(values: object) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []
