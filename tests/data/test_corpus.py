"""Texts to pre-train on: their sources, and that no validation or test text is among them."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from conftest import articles, write_csv
from slugline.core.errors import DataError
from slugline.data.corpus import load_corpus
from slugline.data.load import load_dataset
from slugline.data.preparing.duplicates import same_text_key
from slugline.recipe.data_section import DataSection, SourceSection


def folder_of(tmp_path: Path, **splits: list[dict[str, str]]) -> Path:
    folder = tmp_path / "set"
    folder.mkdir()
    for split, rows in splits.items():
        write_csv(folder / f"{split}.csv", rows)
    return folder


def keys(texts: list[str]) -> set[str]:
    return {same_text_key(text) for text in texts}


def test_texts_need_no_labels(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "raw.csv", [{"id": str(n), "text": f"news number {n}"} for n in range(5)])
    corpus = load_corpus([SourceSection(path=str(path))], None)
    assert corpus.texts == [f"news number {n}" for n in range(5)]
    lines = tmp_path / "lines.txt"
    lines.write_text("one text\nanother text\n", encoding="utf-8")
    both = load_corpus([SourceSection(path=str(path)), SourceSection(path=str(lines))], None)
    assert both.texts[-2:] == ["one text", "another text"]
    assert both.to_manifest()["rows"] == {"train": 7}
    assert both.fingerprint != corpus.fingerprint


def test_only_training_rows_without_leaks_are_used(tmp_path: Path) -> None:
    rows = articles(30)
    leaked = [{"text": f"  {rows[20]['text'].upper()} ", "label": "tech"}, {"text": rows[25]["text"], "label": "tech"}]
    folder = folder_of(tmp_path, train=[*rows[:20], *leaked], validation=rows[20:25], test=rows[25:])
    corpus = load_corpus([SourceSection(path=str(folder))], None)
    assert corpus.texts == [row["text"] for row in rows[:20]]
    assert {finding.kind: finding.count for finding in corpus.findings} == {"leak": 2}


def test_held_out_texts_of_the_data_are_dropped_from_other_sources(tmp_path: Path, news_csv: Path) -> None:
    data = DataSection(path=str(news_csv))
    dataset = load_dataset(data)
    held_out = keys([*dataset["validation"]["text"][:], *dataset["test"]["text"][:]])
    everything = [{"body": row["text"]} for row in articles(150)] + [{"body": "a text of its own"}]
    corpus = load_corpus([SourceSection(path=str(write_csv(tmp_path / "other.csv", everything)))], data)
    assert not keys(corpus.texts) & held_out
    assert keys(corpus.texts) == keys([*dataset["train"]["text"][:], "a text of its own"])


def test_without_sources_the_training_texts_of_the_data_are_used(news_csv: Path, tmp_path: Path) -> None:
    dataset = load_dataset(DataSection(path=str(news_csv)))
    assert load_corpus([], DataSection(path=str(news_csv))).texts == dataset["train"]["text"][:]
    rows = articles(30)
    folder = folder_of(tmp_path, train=rows[:25], test=rows[20:])
    kept = load_corpus([], DataSection(path=str(folder), leaks="keep", validation_fraction=0.2))
    assert not keys(kept.texts) & keys([row["text"] for row in rows[20:]])
    assert kept.texts


def test_held_out_rows_are_dropped_whatever_their_text_columns(tmp_path: Path) -> None:
    """The title of a test row is dropped, although the test reads title and text."""
    rows = [{"title": f"title {index}", **row} for index, row in enumerate(articles(60))]
    path = write_csv(tmp_path / "titled.csv", rows)
    data = DataSection(path=str(path), text=["title", "text"], label="label")
    dataset = load_dataset(data)
    held_out = {f"title {text.split()[1]}" for split in ("validation", "test") for text in dataset[split]["text"][:]}
    corpus = load_corpus([SourceSection(path=str(path), text=["title"])], data)
    assert len(held_out) > 10
    assert set(corpus.texts) == {row["title"] for row in rows} - held_out


def test_empty_and_repeated_texts_are_dropped(tmp_path: Path) -> None:
    texts = ["a  text", "", "A text", "another"]
    path = write_csv(tmp_path / "raw.csv", [{"id": str(n), "text": text} for n, text in enumerate(texts)])
    corpus = load_corpus([SourceSection(path=str(path))], None)
    assert corpus.texts == ["a text", "another"]
    assert {finding.kind for finding in corpus.findings} == {"empty text", "repetition"}


def test_the_cleaning_steps_of_the_data_are_used(tmp_path: Path, news_csv: Path) -> None:
    path = write_csv(tmp_path / "raw.csv", [{"text": "LOUD news", "id": "1"}])
    source = SourceSection(path=str(path))
    assert load_corpus([source], None).texts == ["LOUD news"]
    assert load_corpus([source], DataSection(path=str(news_csv), clean=["lowercase"])).texts == ["loud news"]


def test_a_source_without_test_rows_is_a_warning(news_csv: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="slugline"):
        load_corpus([SourceSection(path=str(news_csv))], None)
    assert "no test rows of its own" in caplog.text


def test_no_texts_are_an_error(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "empty.csv", [{"id": "1", "text": ""}, {"id": "2", "text": " "}])
    with pytest.raises(DataError, match=r"no text to pre-train on"):
        load_corpus([SourceSection(path=str(path), text=["text"])], None)
    with pytest.raises(DataError, match=r"no column 'words'"):
        load_corpus([SourceSection(path=str(path), text=["words"])], None)


@pytest.mark.parametrize("spelling", ["./titled.csv", "sub/../titled.csv", "link.csv"])
def test_held_out_rows_are_dropped_however_the_path_is_spelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelling: str
) -> None:
    rows = [{"title": f"title {index}", **row} for index, row in enumerate(articles(60))]
    path = write_csv(tmp_path / "titled.csv", rows)
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.csv").symlink_to(path)
    monkeypatch.chdir(tmp_path)
    data = DataSection(path="titled.csv", text=["title", "text"], label="label")
    dataset = load_dataset(data)
    held_out = {f"title {text.split()[1]}" for split in ("validation", "test") for text in dataset[split]["text"][:]}
    corpus = load_corpus([SourceSection(path=spelling, text=["title"])], data)
    assert set(corpus.texts) == {row["title"] for row in rows} - held_out
