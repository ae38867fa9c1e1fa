"""Findings about the data."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slugline.data import findings
from slugline.data.findings import Finding


def test_findings_list_at_most_max_examples() -> None:
    finding = Finding.of("leak", [str(number) for number in range(2000)], "rows: {count}")
    assert (finding.count, finding.message) == (2000, "rows: 2,000")
    assert len(finding.examples) == findings.MAX_EXAMPLES


@pytest.mark.parametrize(("count", "listed"), [(1, "0"), (5, "0, 1, 2, 3, 4"), (6, "0, 1, 2, 3, 4, ...")])
def test_a_message_lists_some_names(count: int, listed: str) -> None:
    finding = Finding.of("absent", [str(number) for number in range(count)], "{split}: {count} ({names})")
    assert finding.message == f"{{split}}: {count} ({listed})"


@pytest.mark.parametrize(
    ("options", "level", "is_warning"),
    [
        ({}, "note", False),
        ({"is_warning": True}, "warning", True),
        ({"level": "warning"}, "warning", True),
        ({"level": "error"}, "error", True),
        ({"level": "error", "is_warning": False}, "error", True),
    ],
)
def test_level_and_is_warning_agree(options: dict[str, Any], level: str, is_warning: bool) -> None:
    finding = Finding("leak", 1, "a leak", **options)
    assert (finding.level, finding.is_warning) == (level, is_warning)
    assert (finding.to_json()["level"], finding.to_json()["is_warning"]) == (level, is_warning)


def test_a_finding_in_json_has_lists() -> None:
    finding = Finding("leak", 1, "a leak", ("1",), advice="Drop it.", excerpts=("1 a text",))
    assert json.loads(json.dumps(finding.to_json())) == finding.to_json()
