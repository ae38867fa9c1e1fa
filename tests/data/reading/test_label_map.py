"""Label maps rename and merge classes; orders of classes are joined."""

from __future__ import annotations

import pytest

from slugline.core.errors import DataError
from slugline.core.labels import RowLabels, Split
from slugline.data.reading.labels.label_map import join_orders, map_labels

LABELS: dict[Split, list[RowLabels | None]] = {"train": [("tech",), ("sport",), ("politics",)], "test": [("sport",)]}
ORDER = ("politics", "sport", "tech", "weather")


def test_classes_are_renamed_and_merged_in_the_order_of_the_map() -> None:
    label_map = {"tech": "Sci/Tech", "sport": "sport", "politics": "World", "weather": "World"}
    assert map_labels(LABELS, ORDER, label_map, where="news.csv") == (
        {"train": [("Sci/Tech",), ("sport",), ("World",)], "test": [("sport",)]},
        ("Sci/Tech", "sport", "World"),
    )


def test_an_empty_map_keeps_all_names() -> None:
    assert map_labels(LABELS, ORDER, {}, where="news.csv") == (LABELS, ORDER)


def test_names_may_be_swapped() -> None:
    swapped, _ = map_labels({"train": [("0",), ("1",)]}, ("0", "1"), {"0": "1", "1": "0"}, where="news.csv")
    assert swapped == {"train": [("1",), ("0",)]}


def test_the_error_lists_labels_without_an_entry_and_their_counts() -> None:
    with pytest.raises(DataError) as caught:
        map_labels(
            {"train": [("a", "b"), ("c",), ("b",), None], "test": [("b",), ("c",)]},
            ("a", "b", "c"),
            {"a": "x"},
            where="n.csv",
        )
    assert caught.value.message == "n.csv: labels without an entry in label_map: 'b' (3 rows), 'c' (2 rows)."
    assert '"b" = "b" keeps a class' in caught.value.hint
    many = [f"class{number}" for number in range(14)]
    with pytest.raises(DataError, match=r"'class10' \(1 rows\), and 3 more\."):
        map_labels({"train": [(name,) for name in many]}, many, {"class0": "x"}, where="n.csv")


def test_the_error_lists_entries_that_are_no_classes_and_suggests_the_nearest() -> None:
    with pytest.raises(DataError, match=r"entries for 'sports', 'x', which are not classes\. Did you mean 'sport'\?"):
        map_labels(LABELS, ORDER, {"sports": "Sports", "x": "y"}, where="news.csv")


def test_joined_orders_keep_the_first_position_of_each_name() -> None:
    assert join_orders([("b", "a"), ("c", "a"), ()]) == ("b", "a", "c")


def test_labels_of_a_row_that_become_one_class_stand_once() -> None:
    rows: dict[Split, list[RowLabels | None]] = {"train": [("a", "b", "c"), (), None]}
    mapped, _ = map_labels(rows, ("a", "b", "c"), {"a": "x", "b": "y", "c": "x"}, where="news.csv")
    assert mapped == {"train": [("x", "y"), (), None]}
