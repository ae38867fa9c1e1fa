"""Check: texts with patterns of personal data."""

from __future__ import annotations

from collections import defaultdict

from slugline.data.checks.checked_rows import CheckedRows
from slugline.data.checks.patterns import personal_data
from slugline.data.findings import Finding


def with_personal_data(rows: CheckedRows) -> list[Finding]:
    """Find e-mail addresses, telephone numbers, card numbers and IBANs; names and addresses are not found.

    Args:
        rows: rows to check.

    Returns:
        One finding for each pattern. The data itself is masked in the excerpts.
    """
    found: dict[str, dict[int, int]] = defaultdict(dict)
    for index, text in enumerate(rows.originals):
        for name, start, _ in personal_data(text):
            found[name].setdefault(index, start)
    return [
        rows.finding(
            "personal data",
            list(places),
            f"texts with {'an' if name[0] in 'eI' else 'a'} {name}: {{count}} ({{share}} of all rows)",
            level="warning",
            advice="Make sure that you may use and pass on this data: a model can reproduce what it was trained on. "
            "Otherwise replace it in the source, for example by <name>. Names and postal addresses are not searched.",
            places=places.values(),
        )
        for name, places in found.items()
    ]
