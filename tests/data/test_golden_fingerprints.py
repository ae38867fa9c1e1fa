"""Fingerprints of small sets never change: ids, texts, labels, splits and folds are the same in every version.

A change of these values is a change of the contract: runs of earlier versions would be refused as runs on other data.
"""

from __future__ import annotations

import csv
import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slugline.data.folds import folds_of
from slugline.data.load import load_dataset
from slugline.recipe.data_section import DataSection

WORDS = [*(f"w{number}" for number in range(300)), "Zürich", "naïve", "表現", "l\u200ba"]


def rows_of(count: int, seed: int) -> list[dict[str, Any]]:
    """Rows with every kind of label, some of them repeated, near duplicates, or the same text with another label."""
    generator = random.Random(seed)
    rows = [
        {
            "uid": f"r{number}",
            "title": " ".join(generator.choices(WORDS, k=3)),
            "text": " ".join(generator.choices(WORDS, k=generator.randint(4, 25))),
            "label": generator.choices(["sport", "business", "tech"], [6, 3, 1])[0],
            "area": generator.choice("AB"),
            "field": generator.choice("xyz"),
            "urgent": generator.randint(0, 1),
            "angry": generator.randint(0, 1),
            "tags": generator.sample(["a", "b", "c"], generator.randint(0, 2)),
            "author": f"a{generator.randint(0, count // 4)}",
            "date": f"2020-{generator.randint(1, 12):02d}-{generator.randint(1, 28):02d}",
        }
        for number in range(count)
    ]
    for number in range(0, count, 17):
        rows[number]["text"] = rows[(number + 5) % count]["text"]
    for number in range(3, count, 23):
        rows[number]["text"] = f"{rows[(number + 2) % count]['text']} changed"
    for number in range(0, count, 31):
        rows[number] = rows[(number + 7) % count] | {"uid": f"r{number}"}
    return rows


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [name for name in rows[0] if name != "tags"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same rows in several formats."""
    folder = tmp_path_factory.mktemp("golden")
    rows = rows_of(300, 1)
    write_csv(folder / "a.csv", rows)
    write_csv(folder / "b.csv", rows_of(120, 2))
    gaps = [
        {name: value for name, value in row.items() if name != "title"} if n % 7 else row for n, row in enumerate(rows)
    ]
    mixed = [row | {"area": n} if n % 50 == 3 else row for n, row in enumerate(gaps)]
    lines = [json.dumps(row, ensure_ascii=False) for row in mixed]
    (folder / "a.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(rows), folder / "a.parquet")
    for number, split in enumerate(("train", "validation", "test")):
        write_csv(folder / "splits" / f"{split}.csv", rows_of((200, 50, 70)[number], 3 + number))
    for row in rows[:120]:
        path = folder / "classes" / row["label"] / f"{row['uid']}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(row["text"], encoding="utf-8")
    return folder


#: Keys of the data section beside the path, and the first characters of the fingerprint: of rows and class names, and
#: of rows alone.
SINGLE = {"text": ["text"], "label": ["label"]}
MULTI = {"text": ["text"], "label": ["tags"], "validation_fraction": 0.2}
GOLDEN: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "csv": ("a.csv", SINGLE, "981ba929014c", "1402174d3738"),
    "subset": (
        "a.csv",
        {**SINGLE, "max_train_examples": 60, "keep_classes": ["sport", "tech"]},
        "37edd3ed0387",
        "81b61667b2a6",
    ),
    "fractions": (
        "a.csv",
        {**SINGLE, "test_fraction": 0.3, "validation_fraction": 0.2, "split_seed": 9},
        "46dab781515a",
        "f1c545c5561e",
    ),
    "ids": ("a.csv", {**SINGLE, "id": "uid"}, "026d716b0fcc", "d5c5ce2810aa"),
    "groups": ("a.csv", {**SINGLE, "group": "author"}, "f2ae3cce1bca", "1bd637b45cdc"),
    "times": ("a.csv", {**SINGLE, "time": "date"}, "8459c0a51f32", "b9d7a204ac0f"),
    "two texts": ("a.csv", {"text": ["title", "text"], "label": ["label"]}, "b52d98e402b2", "247930306ad1"),
    "indicators": ("a.csv", {"text": ["text"], "label": ["urgent", "angry"]}, "149a68268c3b", "28ae87700b55"),
    "indicators, labelled": (
        "a.csv",
        {"text": ["text"], "label": ["urgent", "angry"], "unlabelled": "drop"},
        "3e3e755a0b0f",
        "6898dcc72643",
    ),
    "levels": (
        "a.csv",
        {"text": ["text"], "label": ["area", "field"], "label_kind": "hierarchical"},
        "25ad55b27f6e",
        "1717026e8912",
    ),
    "json lines": ("a.jsonl", SINGLE, "d2f41084e174", "6ed27085c3de"),
    "lists in json lines": ("a.jsonl", MULTI, "ceaf4d6dfb30", "e72d2cf6230c"),
    "parquet": ("a.parquet", SINGLE, "46e61b4923d9", "09533a72c89b"),
    "lists in parquet": ("a.parquet", MULTI, "5c4ef4c2512e", "8aa21a93a153"),
    "given splits": ("splits", SINGLE, "2fd643694d4e", "fbef948c5df5"),
    "class folders": ("classes", {}, "f90a9cd5c0db", "54cc8cf246d7"),
}
FOLDS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "single": ("a.csv", SINGLE, ["ba345515f3c0", "0e78ab8b394e", "b20be72ab59d"]),
    "groups": ("a.csv", {**SINGLE, "group": "author"}, ["5c69833183ad", "6a038749dee6", "1cbc4ffca123"]),
    "times": ("a.csv", {**SINGLE, "time": "date"}, ["36c11f0222ae", "22d5f904e262", "ad33d165aee0"]),
    "multi": ("a.jsonl", MULTI, ["82dbcf916f6f", "a0c60856055f", "a0715cfa934b"]),
    "given splits": ("splits", SINGLE, ["36a1a292d82e", "1e88e89d20a0", "4cbfce6a946b"]),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_fingerprints_are_those_of_earlier_versions(folder: Path, name: str) -> None:
    path, keys, fingerprint, former = GOLDEN[name]
    dataset = load_dataset(DataSection.model_validate({**keys, "path": str(folder / path)}))
    assert (dataset.fingerprint[:12], dataset.former_fingerprint[:12]) == (fingerprint, former)


def test_fingerprints_of_several_sources_are_those_of_earlier_versions(folder: Path) -> None:
    sources = [{**SINGLE, "path": str(folder / name)} for name in ("a.csv", "b.csv")]
    dataset = load_dataset(DataSection.model_validate({"sources": sources}))
    assert (dataset.fingerprint[:12], dataset.former_fingerprint[:12]) == ("4e06dac919c0", "8ca4179ffac5")


@pytest.mark.parametrize("name", FOLDS)
def test_folds_hold_the_rows_of_earlier_versions(folder: Path, name: str) -> None:
    path, keys, expected = FOLDS[name]
    section = DataSection.model_validate({**keys, "validation_fraction": 0, "path": str(folder / path)})
    folds = folds_of(load_dataset(section), 3, seed=4)
    held_out = [hashlib.sha256(" ".join(fold["validation"]["id"][:]).encode()).hexdigest()[:12] for fold in folds]
    assert held_out == expected
