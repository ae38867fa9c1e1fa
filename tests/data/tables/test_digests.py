"""Hashes of rows and texts."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping

import pytest

from slugline.data.tables.digests import row_digests, text_digests


def digest(row: Mapping[str, object]) -> int:
    """The definition: SHA-256 of the JSON with sorted keys."""
    text = json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    return int(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16], 16)


ROWS: list[list[dict[str, object]]] = [
    [{"text": 'a "quoted"\\ \n text \u2028 \u007f \U0001f600', "label": "é"}, {"label": "", "text": "\ud800"}],
    [{"b%s": 1, 'a"': 2**80, "": -1}, {"": 0, 'a"': 5, "b%s": 3}],
    [{"x": True, "y": 1.0, "z": None}, {"x": False, "y": float("nan"), "z": "1"}],
    [{"x": {"b": 1, "a": [1, {"z": 0, "c": "é"}]}, "y": datetime.date(2024, 1, 1)}],
    [{"x": 1}, {"x": 1, "y": 2}, {}],
    [{}, {}],
]


@pytest.mark.parametrize("rows", ROWS)
def test_digests_of_rows_are_those_of_their_json(rows: list[dict[str, object]]) -> None:
    assert row_digests(rows).tolist() == [digest(row) for row in rows]


def test_digests_of_texts_differ_if_the_texts_do() -> None:
    texts = ["", "a", "b", "a\ud800", "a"]
    digests = [tuple(row) for row in text_digests(texts).tolist()]
    assert digests[1] == digests[4]
    assert len(set(digests)) == 4
    assert text_digests([]).shape == (0, 2)
