"""Text lengths and class imbalance."""

from __future__ import annotations

from slugline.data.preparing import statistics


def test_length_quantiles() -> None:
    lengths = statistics.length_quantiles(["one", "one two", "one two three"])
    assert lengths["words"]["p50"] == lengths["words"]["mean"] == 2
    assert lengths["characters"]["p100"] == 13
    assert statistics.length_quantiles([]) == {}


def test_imbalance() -> None:
    assert statistics.imbalance({"a": 3, "b": 1, "c": 0}) == 3
