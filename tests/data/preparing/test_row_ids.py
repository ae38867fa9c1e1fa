"""Row ids and fingerprints."""

from __future__ import annotations

import hashlib

import pytest

from slugline.core.errors import DataError
from slugline.data.preparing.row_ids import fingerprint, row_ids


def test_an_id_is_the_hash_of_the_row() -> None:
    row = {"text": "Zinsen hoch", "label": 3}
    expected = hashlib.sha256(b'{"label":3,"text":"Zinsen hoch"}').hexdigest()[:16]
    assert row_ids({"train": [row, dict(reversed(row.items())), row]}) == {
        "train": [expected, f"{expected}-2", f"{expected}-3"]
    }


def test_new_train_rows_rename_no_test_row() -> None:
    row = {"text": "a"}
    ids = row_ids({"train": [row], "test": [row]})
    assert list(ids) == ["train", "test"]
    assert ids["test"][0] + "-2" == ids["train"][0]


def test_ids_from_a_column() -> None:
    assert row_ids({"train": [{"n": 1}, {"n": 2}]}, column="n") == {"train": ["1", "2"]}


@pytest.mark.parametrize(
    ("rows", "column", "words"),
    [
        ([{"n": 1}, {"n": 1}], "n", "'n' has repeated values in train: 1, among them '1'"),
        ([{"n": 1}, {"n": None}], "n", "row 2 of train has no 'n'"),
        ([{"name": 1}], "nam", "Did you mean 'name'"),
    ],
)
def test_bad_id_columns(rows: list[dict[str, object]], column: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        row_ids({"train": rows}, column=column)


def test_fingerprint_depends_on_ids_texts_labels_and_their_boundaries() -> None:
    one = fingerprint(["a"], ["text"], [0])
    others = [(["b"], ["text"], [0]), (["a"], ["texts"], [0]), (["a"], ["text"], [1]), (["at"], ["ext"], [0])]
    assert one == fingerprint(["a"], ["text"], [0])
    assert len({one, *(fingerprint(*other) for other in others)}) == 5
