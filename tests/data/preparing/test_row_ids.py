"""Row ids and fingerprints."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter

import pytest

from slugline.core.errors import DataError
from slugline.core.labels import Split
from slugline.data.preparing.row_ids import fingerprint, joint_row_ids, row_ids
from slugline.data.tables.digests import row_digests
from slugline.data.tables.rows import Row, Rows

SPLITS: list[Split] = ["train", "validation", "test"]


Splits = dict[Split, list[Row]]


def ids_of(splits: Splits, *, column: str = "") -> dict[Split, list[str]]:
    rows = {split: Rows.write(rows) for split, rows in splits.items()}
    return {split: list(ids) for split, ids in row_ids(rows, column=column).items()}


def test_an_id_is_the_hash_of_the_row() -> None:
    row: Row = {"text": "Zinsen hoch", "label": 3}
    expected = hashlib.sha256(b'{"label":3,"text":"Zinsen hoch"}').hexdigest()[:16]
    assert ids_of({"train": [row, dict(reversed(row.items())), row]}) == {
        "train": [expected, f"{expected}-2", f"{expected}-3"]
    }


def test_new_train_rows_rename_no_test_row() -> None:
    row: Row = {"text": "a"}
    ids = ids_of({"train": [row], "test": [row]})
    assert list(ids) == ["train", "test"]
    assert ids["test"][0] + "-2" == ids["train"][0]


def test_ids_from_a_column() -> None:
    assert ids_of({"train": [{"n": 1}, {"n": 2}]}, column="n") == {"train": ["1", "2"]}


def test_ids_of_several_sources_are_numbered_like_one_name_after_another() -> None:
    """Names that look like numbered ones take part: ``a-2`` may be an id of a file, or the second ``a``."""
    generator = random.Random(4)
    names = ["a", "a-2", "a-2-2", "a-3", "b", "c-1"]
    for _ in range(50):
        sources: list[tuple[str, Splits, str]] = []
        for address in "yxz":
            splits: Splits = {
                split: [{"id": name, "text": name} for name in generator.sample(names, generator.randint(1, 5))]
                for split in generator.sample(SPLITS, generator.randint(1, 3))
            }
            sources.append((address, splits, generator.choice(["id", "id", ""])))
        stored = [(a, {split: Rows.write(rows) for split, rows in s.items()}, column) for a, s, column in sources]
        found = [{split: list(ids) for split, ids in of.items()} for of in joint_row_ids(stored)]
        seen: set[str] = set()
        counts: Counter[str] = Counter()
        for split in ("test", "validation", "train"):
            for number in (1, 0, 2):
                _, rows, column = sources[number]
                for index, row in enumerate(rows.get(split, [])):
                    name = str(row["id"]) if column else f"{row_digests([row])[0]:016x}"
                    expected = name
                    if name in seen:
                        counts[name] = max(counts[name], 1)
                        while expected in seen:
                            counts[name] += 1
                            expected = f"{name}-{counts[name]}"
                    seen.add(expected)
                    assert found[number][split][index] == expected
        assert [list(of) for of in found] == [list(splits) for _, splits, _ in sources]


@pytest.mark.parametrize(
    ("rows", "column", "words"),
    [
        ([{"n": 1}, {"n": 1}], "n", "'n' has repeated values in train: 1, among them '1'"),
        ([{"n": 1}, {"n": None}], "n", "row 2 of train has no 'n'"),
        ([{"name": 1}], "nam", "Did you mean 'name'"),
    ],
)
def test_bad_id_columns(rows: list[Row], column: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        ids_of({"train": rows}, column=column)


def test_a_fingerprint_is_the_hash_of_the_rows_as_json() -> None:
    ids, texts = ["a", "b", 'c"'], ['"quoted"\n\\', "\u2028 é", "\ud800"]
    labels: list[object] = [0, [1, 2], []]
    digest = hashlib.sha256()
    for row in zip(ids, texts, labels, strict=True):
        digest.update(json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
    assert fingerprint(ids, texts, labels) == digest.hexdigest()


def test_fingerprint_depends_on_ids_texts_labels_and_their_boundaries() -> None:
    one = fingerprint(["a"], ["text"], [0])
    others = [(["b"], ["text"], [0]), (["a"], ["texts"], [0]), (["a"], ["text"], [1]), (["at"], ["ext"], [0])]
    assert one == fingerprint(["a"], ["text"], [0])
    assert len({one, *(fingerprint(*other) for other in others)}) == 5
