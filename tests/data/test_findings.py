"""Findings about the data."""

from __future__ import annotations

from slugline.data import findings
from slugline.data.findings import Finding


def test_findings_list_at_most_max_examples() -> None:
    finding = Finding.of("leak", [str(number) for number in range(2000)], "rows: {count}")
    assert (finding.count, finding.message) == (2000, "rows: 2,000")
    assert len(finding.examples) == findings.MAX_EXAMPLES
