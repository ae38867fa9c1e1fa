"""Argilla's records: the responses of annotators, else the suggestions of a model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from slugline.core.errors import DataError
from slugline.core.labels import RowLabels
from slugline.data.reading.exports.tasks import Task
from slugline.data.reading.formats import Row

#: Statuses of responses and records that do not count.
UNFINISHED = ("discarded", "draft", "pending", "default")


def is_argilla(rows: Sequence[Row]) -> bool:
    """True if rows have the columns of Argilla's records."""
    return all(_has_fields(row) or _is_flat(row) or _is_old(row) for row in rows)


def argilla_tasks(rows: Sequence[Row], where: str) -> list[Task]:
    """Read the tasks of Argilla's records, of versions 1 and 2, nested or flat.

    Args:
        rows: rows as read.
        where: the file, for messages.

    Returns:
        One task a row. Suggestions are the answers of tasks without a submitted response, unless it was discarded.

    Raises:
        DataError: a row is not of this format.
    """
    tasks = []
    for number, row in enumerate(rows, start=1):
        if _has_fields(row):
            tasks.append(_from_fields(row))
        elif _is_flat(row):
            tasks.append(_from_flat(row))
        elif _is_old(row):
            tasks.append(_from_old(row))
        else:
            raise DataError(
                f"{where}, row {number}: has neither 'fields' nor responses, so that it is not a record of Argilla.",
                hint="Export the records with to_json, or leave data.export out.",
            )
    return tasks


def _has_fields(row: Row) -> bool:
    return isinstance(row.get("fields"), dict) and ("responses" in row or "suggestions" in row)


def _is_flat(row: Row) -> bool:
    return any(name.endswith((".responses", ".suggestion")) for name in row)


def _is_old(row: Row) -> bool:
    return "annotation" in row and "status" in row and ("inputs" in row or "text" in row)


def _from_fields(row: Row) -> Task:
    """A nested record: responses and suggestions by question (version 2), or in lists (version 1)."""
    answers: dict[str, list[RowLabels]] = defaultdict(list)
    was_discarded = False
    for question, response in _responses(row.get("responses")):
        if str(response.get("status") or "submitted") not in UNFINISHED and response.get("value") is not None:
            answers[question].append(_labels(response["value"]))
        was_discarded |= response.get("status") == "discarded"
    fields = row["fields"]
    values = {"id": row.get("id"), **(fields if isinstance(fields, dict) else {})}
    suggested = {
        question: [_labels(suggestion["value"])]
        for question, suggestion in _suggestions(row.get("suggestions"))
        if suggestion.get("value") is not None
    }
    return _task(values, answers, suggested, was_discarded=was_discarded)


def _task(
    values: Row,
    answers: Mapping[str, Sequence[RowLabels]],
    suggested: Mapping[str, Sequence[RowLabels]],
    *,
    was_discarded: bool,
) -> Task:
    if answers or was_discarded:
        return Task(values, dict(answers), is_skipped=not answers)
    return Task(values, suggested, is_suggested=bool(suggested))


def _responses(responses: object) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Responses with their questions."""
    if isinstance(responses, dict):
        for question, given in responses.items():
            yield from ((question, each) for each in given or ())
    for response in responses if isinstance(responses, list) else ():
        if not response.get("values"):
            yield "label", {"status": response.get("status")}
        for question, value in (response.get("values") or {}).items():
            yield question, {"status": response.get("status"), "value": value.get("value")}


def _suggestions(suggestions: object) -> Iterable[tuple[str, Mapping[str, Any]]]:
    if isinstance(suggestions, dict):
        yield from suggestions.items()
    for suggestion in suggestions if isinstance(suggestions, list) else ():
        yield str(suggestion.get("question_name") or "label"), suggestion


def _from_flat(row: Row) -> Task:
    """A flat record: columns ``QUESTION.responses``, ``QUESTION.responses.status`` and ``QUESTION.suggestion``."""
    questions = list(
        dict.fromkeys(name.rpartition(".")[0] for name in row if name.endswith((".responses", ".suggestion")))
    )
    answers: dict[str, list[RowLabels]] = {}
    suggested: dict[str, list[RowLabels]] = {}
    was_discarded = False
    for question in questions:
        given = _as_list(row.get(f"{question}.responses"))
        statuses = _as_list(row.get(f"{question}.responses.status")) or ["submitted"] * len(given)
        was_discarded |= "discarded" in statuses
        finished = [_labels(v) for v, s in zip(given, statuses, strict=False) if s not in UNFINISHED and v is not None]
        answers |= {question: finished} if finished else {}
        if row.get(f"{question}.suggestion") is not None:
            suggested[question] = [_labels(row[f"{question}.suggestion"])]
    values = {name: value for name, value in row.items() if not name.startswith(tuple(f"{q}." for q in questions))}
    return _task(values, answers, suggested, was_discarded=was_discarded)


def _from_old(row: Row) -> Task:
    """A record of Argilla's first data sets: ``annotation``, ``prediction`` and ``status``."""
    inputs = row.get("inputs")
    values = {"id": row.get("id"), **(inputs if isinstance(inputs, dict) else {"text": row.get("text")})}
    status = str(row["status"]).lower()
    annotation = row["annotation"]
    answers = {"label": [_labels(annotation)]} if annotation is not None and status != "discarded" else {}
    predicted = _as_list(row.get("prediction"))
    best = max(predicted, key=_score, default=None)
    suggested = {"label": [_labels(best["label"] if isinstance(best, dict) else best[0])]} if best else {}
    return _task(values, answers, suggested, was_discarded=status == "discarded")


def _score(prediction: Any) -> float:
    return float(prediction["score"] if isinstance(prediction, dict) else prediction[1])


def _as_list(value: object) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [] if value is None else [value]


def _labels(value: object) -> RowLabels:
    return tuple(map(str, _as_list(value)))
