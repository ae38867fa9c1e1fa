"""Sets by name: the table of known sets, folders under SLUGLINE_DATA, the embedded set."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import SHARED_DATA
from slugline.core.errors import DataError, MissingExtra
from slugline.data.preparing.duplicates import same_text_key
from slugline.data.reading import sources
from slugline.data.reading.columns import choose_columns
from slugline.data.reading.labels.naming import name_labels
from slugline.data.reading.places import hub, named
from slugline.data.reading.places.known_sets import KNOWN_SETS, KnownSet
from slugline.data.reading.raw_data import RawData
from slugline.data.reading.texts import join_text
from slugline.recipe.data_section import DataSection

CSV = "text,label\na,x\nb,y\n"


def fill(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")


def sizes(raw: RawData) -> dict[str, int]:
    return {split: len(rows) for split, rows in raw.rows.items()}


def test_sets_under_slugline_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    metadata = {"task": "multi-label, x", "classes": ["a"], "splits": {"train": 2, "extra": 9}, "licence": "CC0"}
    fill(tmp_path, {"mine/train.csv": CSV, "mine/metadata.json": json.dumps(metadata), "empty/readme.txt": ""})
    monkeypatch.setenv("SLUGLINE_DATA", str(tmp_path))
    raw = sources.read(DataSection(name="mine"))
    assert raw.is_known
    assert raw.source.name == "mine"
    known = {each.name: each for each in named.named_sets()}
    assert "empty" not in known
    assert (known["mine"].where, known["mine"].rows, known["mine"].available) == ("SLUGLINE_DATA", {"train": 2}, True)
    assert known["mine"].kind == "multi"


def test_parquet_files_of_other_names_are_skipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("train", "test", "extra_description_only"):
        (tmp_path / "s").mkdir(exist_ok=True)
        pq.write_table(pa.table({"text": ["a"], "label": [0]}), tmp_path / "s" / f"{name}.parquet")
    monkeypatch.setenv("SLUGLINE_DATA", str(tmp_path))
    assert sizes(named.read_named("s")) == {"train": 1, "test": 1}


def test_slugline_data_must_be_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLUGLINE_DATA", str(tmp_path / "none"))
    with pytest.raises(DataError, match="SLUGLINE_DATA"):
        named.read_named("x")


def test_the_error_of_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(DataError, match=r"no set is called 'bank77'\. Did you mean 'banking77'") as caught:
        named.read_named("bank77")
    assert "data.path" in caught.value.hint


def test_known_sets_need_no_network() -> None:
    known = {each.name: each for each in named.named_sets()}
    assert list(known) == sorted(known)
    assert known["bbc_news"].where == "embedded"
    assert known["ag_news"].where == "hub"


def test_the_embedded_set_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"slugline\[embedded\]"):
        named.read_named("bbc_news")
    known = {each.name: each for each in named.named_sets()}
    assert not known["bbc_news"].available


def test_no_hub_and_no_local_copy() -> None:
    with pytest.raises(DataError, match="ag_news: no local copy, and loading fancyzhx/ag_news from the Hub") as caught:
        named.read_named("ag_news")
    for word in ("SLUGLINE_DATA", "data.path", "HF_HOME", "HF_ENDPOINT"):
        assert word in caught.value.hint


def test_entries_of_the_table_are_complete() -> None:
    assert len(KNOWN_SETS) >= 30
    for name, known in KNOWN_SETS.items():
        assert known.name == name
        assert known.subject, name
        assert known.licence, name
        assert known.kind == "single" or known.columns, name
        assert set(known.rows) <= {"train", "validation", "test"}, name
        assert not known.classes or len(known.classes) == known.n_classes
        assert all(fault.endswith(".") for fault in known.faults), name


def hub_copy(known: KnownSet) -> datasets.DatasetDict:
    """Rows with the columns and labels of the copy on the Hub."""
    numbers = list(range(known.first_label, known.first_label + (known.n_classes or 2)))
    columns: dict[str, list[Any]] = {column: [f"{column} {n}" for n in numbers] for column in known.text or ("text",)}
    if known.kind == "multi" and len(known.label) == 1:
        columns[known.label[0]] = [[f"class {n}", f"class {(n + 1) % len(numbers)}"] for n in numbers]
    elif known.kind == "multi":
        columns |= {name: [int(n == index) for n in numbers] for index, name in enumerate(known.label)}
    else:
        columns |= dict.fromkeys(known.label or ("label",), numbers)
    part = datasets.Dataset(pa.table(columns))
    return datasets.DatasetDict(dict.fromkeys(known.rows or ("train",), part))


@pytest.mark.parametrize("known", [k for k in KNOWN_SETS.values() if k.hub], ids=lambda known: known.name)
def test_a_copy_on_the_hub_gets_columns_and_class_names(monkeypatch: pytest.MonkeyPatch, known: KnownSet) -> None:
    requested = []

    def load(repository: str, configuration: str | None, **_: Any) -> datasets.DatasetDict:
        requested.append(f"{repository}:{configuration}" if configuration else repository)
        return hub_copy(known)

    monkeypatch.setattr(datasets, "load_dataset", load)
    section = DataSection(name=known.name)
    raw = sources.read(section)
    assert requested == [known.hub]
    assert (raw.source.name, raw.is_known) == (known.name, True)
    text, label = choose_columns(raw, text=[], label=[], others=[])
    assert tuple(text) == (known.text or ("text",))
    assert tuple(label) == (known.label or ("label",))
    labels = name_labels(raw, label, section)
    assert labels.kind == known.kind
    assert len(labels.classes) == (known.n_classes or 2)
    assert not known.classes or labels.classes == known.classes


def test_labels_of_ag_news_with_title_and_description_begin_at_1(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = {"title": ["a", "b"], "description": ["c", "d"], "label": [4, 1]}
    part = datasets.Dataset(pa.table(columns))
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: datasets.DatasetDict({"train": part}))
    raw = named.read_named("ag_news_title_description")
    rows = name_labels(raw, ["label"], DataSection(name="ag_news_title_description")).rows
    assert rows["train"] == [("Sci/Tech",), ("World",)]


def test_class_names_of_lists_of_labels_on_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    feature = datasets.List(datasets.ClassLabel(names=["joy", "fear"]))
    part = datasets.Dataset.from_dict({"text": ["a"], "labels": [[1, 0]]}).cast_column("labels", feature)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: datasets.DatasetDict({"train": part}))
    assert hub.read_hub("o/s").classes_of("labels") == ("joy", "fear")


def test_a_set_without_a_copy_on_the_hub_names_its_folder() -> None:
    with pytest.raises(DataError, match="reuters46 is not on the Hub, and there is no folder 'reuters46'") as caught:
        named.read_named("reuters46")
    assert "Keras" in caught.value.hint
    assert {each.name: each.where for each in named.named_sets()}["reuters46"] == "none"


SHARED_SETS = sorted(path.parent.name for path in SHARED_DATA.glob("*/metadata.json"))


@pytest.mark.skipif(not SHARED_SETS, reason="needs the data sets in ../shared/data")
@pytest.mark.parametrize("name", SHARED_SETS)
def test_each_prepared_set_is_read_as_its_metadata_states(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("SLUGLINE_DATA", str(SHARED_DATA))
    metadata = json.loads((SHARED_DATA / name / "metadata.json").read_text(encoding="utf-8"))
    raw = sources.read(DataSection(name=name))
    assert sizes(raw) == {split: rows for split, rows in metadata["splits"].items() if split in raw.rows}
    assert set(raw.rows) == set(metadata["splits"]) & {"train", "validation", "test"}
    assert raw.classes == tuple(metadata["classes"])
    stated = {"multi-label": "multi", "hierarchical": "hierarchical"}
    kind = next((value for word, value in stated.items() if word in metadata["task"]), "single")
    assert {each.name: each.kind for each in named.named_sets()}[name] == kind
    text, label = choose_columns(raw, text=[], label=[], others=[])
    labels = name_labels(raw, label, DataSection(name=name))
    assert (labels.kind == "multi") == (kind == "multi")
    assert labels.classes == raw.classes or kind == "hierarchical"
    for split, rows in raw.rows.items():
        counts = Counter(label for row in labels.rows[split] for label in row or ())
        check_distribution(counts, metadata["label_distribution"][split])
        assert sum(not join_text(row, text).strip() for row in rows) == metadata["empty_texts"][split]
    check_duplicates(raw, text, metadata["exact_duplicates_after_whitespace_and_case_folding"])


def check_distribution(counts: Counter[str], stated: dict[str, Any]) -> None:
    if "most_common" not in stated:
        assert counts == stated
        return
    assert len(counts) == stated["classes_present"]
    assert (min(counts.values()), max(counts.values())) == (stated["min"], stated["max"])
    assert all(counts[name] == count for name, count in stated["most_common"].items())


def check_duplicates(raw: RawData, text: list[str], stated: dict[str, int]) -> None:
    keys = {split: [same_text_key(join_text(row, text)) for row in rows] for split, rows in raw.rows.items()}
    train = set(keys["train"])
    for split in keys:
        assert len(keys[split]) - len(set(keys[split])) == stated[f"within_{split}"]
        if split != "train":
            assert sum(key in train for key in keys[split]) == stated[f"{split}_rows_also_in_train"]
