"""Annotation exports: Label Studio, Doccano, Prodigy, Argilla."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from conftest import articles
from slugline.core.errors import DataError
from slugline.data.load import load_dataset
from slugline.data.reading import sources
from slugline.data.reading.exports.tasks import majority
from slugline.data.reading.raw_data import RawData
from slugline.recipe.data_section import DataSection


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    lines = path.suffix == ".jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) if lines else json.dumps(rows), encoding="utf-8")
    return path


def read(path: Path, **keys: Any) -> RawData:
    return sources.read(DataSection(path=str(path), **keys))


def labels(raw: RawData, column: str = "label") -> dict[str, object]:
    return {str(row["text"]): row[column] for row in raw.rows["train"]}


def kinds(raw: RawData) -> dict[str, tuple[int, tuple[str, ...]]]:
    return {finding.kind: (finding.count, finding.examples) for finding in raw.findings}


def choices(*names: str, question: str = "topic", **more: Any) -> dict[str, Any]:
    value = {"choices": list(names)}
    return {"result": [{"from_name": question, "to_name": "text", "type": "choices", "value": value}], **more}


def studio(text: str, *annotations: dict[str, Any], number: int = 1) -> dict[str, Any]:
    return {"id": number, "data": {"text": text}, "annotations": list(annotations), "predictions": [], "meta": {}}


def test_label_studio(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [
        studio("a", choices("sport")),
        studio("b", choices("sport"), choices("tech"), choices("tech"), number=2),
        studio("c", choices("sport"), choices("tech"), number=3),
        studio("d", choices("sport", was_cancelled=True), number=4),
        studio("e", number=5),
        studio("f", choices("sport"), choices("tech", ground_truth=True), number=6),
    ]
    with caplog.at_level(logging.INFO, logger="slugline"):
        raw = read(write(tmp_path / "export.json", rows))
    assert 'read as an export of Label Studio (guessed; set data.export = "label-studio")' in caplog.text
    assert labels(raw, "topic") == {"a": "sport", "b": "tech", "c": "sport", "e": None, "f": "tech"}
    assert raw.columns["label"] == "topic"
    assert kinds(raw) == {
        "skipped text": (1, ()),
        "disagreement": (2, ("2", "3")),
        "tied answers": (1, ("3",)),
    }


def test_several_choices_and_questions_of_label_studio(tmp_path: Path) -> None:
    def both(*topics: str) -> dict[str, Any]:
        return {"result": [*choices(*topics)["result"], *choices("good", question="tone")["result"]]}

    rows = [studio("a", both("x", "y"), both("x", "z"), both("x")), studio("b", both("y"), number=2)]
    raw = read(write(tmp_path / "export.json", rows), export="label-studio")
    assert labels(raw, "topic") == {"a": ["x"], "b": ["y"]}
    assert labels(raw, "tone") == {"a": "good", "b": "good"}
    assert "label" not in raw.columns
    taxonomy = {"from_name": "t", "type": "taxonomy", "value": {"taxonomy": [["sport", "tennis"]]}}
    raw = read(write(tmp_path / "paths.json", [studio("a", {"result": [taxonomy]})]))
    assert labels(raw, "t") == {"a": "sport/tennis"}


def test_doccano(tmp_path: Path) -> None:
    for name, label in (("admin", "sport"), ("other", "tech")):
        rows = [
            {"id": 1, "text": "a", "label": ["sport"], "Comments": []},
            {"id": 2, "text": "b", "label": [label], "Comments": []},
            {"id": 3, "text": "c", "label": [], "Comments": []},
        ]
        write(tmp_path / f"{name}.jsonl", rows)
    assert labels(read(tmp_path / "admin.jsonl")) == {"a": "sport", "b": "sport", "c": None}
    raw = read(tmp_path / "*.jsonl", export="doccano")
    assert labels(raw) == {"a": "sport", "b": "sport", "c": None}
    assert kinds(raw) == {"disagreement": (1, ("2",)), "tied answers": (1, ("2",))}
    assert raw.locate("train", 1).endswith("row 2")


def prodigy(text: str, label: str, answer: str, annotator: str = "p", **more: Any) -> dict[str, Any]:
    own = {"_input_hash": hash(text), "_task_hash": 1, "_annotator_id": annotator}
    return {"text": text, "label": label, "answer": answer, **own, **more}


def test_accept_and_reject_of_prodigy(tmp_path: Path) -> None:
    rows = [
        prodigy("a", "SPAM", "accept"),
        prodigy("b", "SPAM", "reject"),
        prodigy("c", "SPAM", "ignore"),
        prodigy("d", "SPAM", "accept", "p"),
        prodigy("d", "SPAM", "reject", "q"),
        prodigy("d", "SPAM", "reject", "r"),
    ]
    raw = read(write(tmp_path / "a.jsonl", rows))
    assert labels(raw) == {"a": "SPAM", "b": "not SPAM", "d": "not SPAM"}
    assert kinds(raw) == {"skipped text": (1, ()), "disagreement": (1, ("3",))}
    assert set(raw.rows["train"][0]) == {"text", "label"}


def test_several_labels_and_choices_of_prodigy(tmp_path: Path) -> None:
    rows = [
        prodigy("a", "X", "accept"),
        prodigy("a", "Y", "reject"),
        prodigy("b", "X", "reject"),
        prodigy("c", "Y", "accept"),
    ]
    assert labels(read(write(tmp_path / "a.jsonl", rows))) == {"a": "X", "b": None, "c": "Y"}
    assert labels(read(write(tmp_path / "b.jsonl", [*rows, prodigy("c", "X", "accept")])))["c"] == ["Y", "X"]
    options = [{"id": "X", "text": "x"}, {"id": "Y", "text": "y"}]
    rows = [
        {"text": "a", "options": options, "accept": ["X"], "answer": "accept"},
        {"text": "b", "options": options, "accept": [], "answer": "reject"},
    ]
    assert labels(read(write(tmp_path / "c.jsonl", rows))) == {"a": "X", "b": None}


def test_responses_of_argilla_come_before_suggestions(tmp_path: Path) -> None:
    def record(text: str, *responses: tuple[str, str], suggestion: str = "") -> dict[str, Any]:
        given = [{"value": value, "status": status, "user_id": "u"} for value, status in responses]
        suggested = {"topic": {"value": suggestion, "score": 0.9, "agent": "m"}} if suggestion else {}
        return {
            "id": text,
            "fields": {"text": text},
            "metadata": {},
            "suggestions": suggested,
            "responses": {"topic": given},
        }

    rows = [
        record("a", ("sport", "submitted"), suggestion="tech"),
        record("b", ("sport", "draft"), suggestion="tech"),
        record("c", ("sport", "discarded"), suggestion="tech"),
        record("d", ("sport", "submitted"), ("tech", "submitted"), ("tech", "submitted")),
        record("e"),
    ]
    raw = read(write(tmp_path / "a.json", rows))
    assert labels(raw, "topic") == {"a": "sport", "b": "tech", "d": "tech", "e": None}
    assert kinds(raw) == {
        "skipped text": (1, ()),
        "suggested label": (1, ("b",)),
        "disagreement": (1, ("d",)),
    }


@pytest.mark.parametrize(
    "row",
    [
        {"fields": {"text": "a"}, "responses": [{"status": "submitted", "values": {"label": {"value": "x"}}}]},
        {"fields": {"text": "a"}, "suggestions": [{"question_name": "label", "value": "x"}], "responses": []},
        {"text": "a", "label.responses": ["x"], "label.responses.status": ["submitted"], "label.suggestion": "y"},
        {"text": "a", "label.responses": None, "label.suggestion": "x"},
        {"inputs": {"text": "a"}, "annotation": "x", "prediction": None, "status": "Validated"},
        {"text": "a", "annotation": None, "prediction": [["y", 0.2], ["x", 0.8]], "status": "Default"},
    ],
)
def test_records_of_all_versions_of_argilla(tmp_path: Path, row: dict[str, Any]) -> None:
    assert labels(read(write(tmp_path / "a.jsonl", [row]), export="argilla")) == {"a": "x"}
    assert labels(read(tmp_path / "a.jsonl")) == {"a": "x"}


@pytest.mark.parametrize(
    ("export", "row", "words"),
    [
        ("label-studio", {"text": "a", "label": "x"}, "row 1: has no object 'data'"),
        ("doccano", {"label": ["x"]}, "row 1: has no 'text'"),
        ("doccano", {"id": 1, "text": "a", "label": [[0, 1, "PER"]]}, "mark parts of a text"),
        ("prodigy", {"text": "a", "label": "x"}, "row 1: has no 'answer'"),
        ("argilla", {"text": "a"}, "row 1: has neither 'fields' nor responses"),
        ("label-studio", studio("a"), "no text of this export of Label Studio has a label"),
        (
            "label-studio",
            studio("a", {"result": [{"type": "labels", "value": {"start": 0, "end": 1, "labels": ["PER"]}}]}),
            "mark parts of a text",
        ),
    ],
)
def test_other_files_are_refused(tmp_path: Path, export: str, row: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        read(write(tmp_path / "a.jsonl", [row]), export=export)
    assert caught.value.hint


def test_own_files_are_not_taken_for_exports(tmp_path: Path) -> None:
    rows = [{"id": 1, "text": "a", "label": ["x"]}, {"id": 2, "text": "b", "label": ["y"], "answer": "yes"}]
    raw = read(write(tmp_path / "a.jsonl", rows))
    assert raw.rows["train"][0] == rows[0]
    assert not raw.columns


def test_majorities() -> None:
    assert majority([], is_multi=False).labels is None
    assert majority([("a",), ("b",), ("b",)], is_multi=False).labels == ("b",)
    assert majority([("a", "b"), ("b", "a")], is_multi=True).is_disputed is False
    tied = majority([("a",), ("b", "a"), (), ("c",)], is_multi=True)
    assert (tied.labels, tied.is_tied) == ((), True)


def test_an_export_is_prepared_with_a_test_file_of_its_own(tmp_path: Path) -> None:
    for name, seed in (("train", 0), ("test", 1)):
        rows = [
            studio(row["text"] + str(seed), choices(row["label"]), number=n)
            for n, row in enumerate(articles(60, seed=seed))
        ]
        write(tmp_path / f"{name}.json", rows)
    section = DataSection(path=str(tmp_path / "train.json"), test_path=str(tmp_path / "test.json"))
    dataset = load_dataset(section)
    assert dataset.labels.names == ("business", "sport", "tech")
    assert len(dataset["test"]) == 60
    assert set(load_dataset(DataSection(path=str(tmp_path))).splits) == {"train", "validation", "test"}
