"""Repetitions, texts with several labels, leaks, and near duplicates."""

from __future__ import annotations

import logging
import random
from pathlib import Path

import pytest

from slugline.core.labels import Split
from slugline.data.preparing import duplicates
from slugline.data.preparing.duplicates import same_text_key
from slugline.data.tables.coded import Coded
from slugline.data.tables.digests import text_digests


def test_same_text_ignores_case_composition_and_white_space() -> None:
    assert same_text_key("Cafe\u0301  STRASSE\n") == same_text_key("café straße")
    assert same_text_key("cafe") != same_text_key("café")


def test_repetitions_have_the_same_text_and_label() -> None:
    texts, labels = text_digests(["a", "a", "a", "b"]), Coded.of([("x",), ("y",), ("x",), ("x",)])
    assert duplicates.repetitions(texts, labels) == [[0, 2]]


def test_conflicts_are_texts_with_several_labels() -> None:
    keys, labels = text_digests(["b", "b", "a", "a"]), Coded.of([("x",), ("y",), ("x",), ("x",)])
    assert duplicates.conflicts(keys, labels) == [[0, 1]]


def test_groups_are_in_the_order_of_their_first_rows() -> None:
    generator = random.Random(2)
    texts = [str(generator.randrange(50)) for _ in range(200)]
    labels = Coded.of((generator.choice("xyz"),) for _ in texts)
    groups: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for index, pair in enumerate(zip(texts, labels, strict=True)):
        groups.setdefault(pair, []).append(index)
    assert duplicates.repetitions(text_digests(texts), labels) == [group for group in groups.values() if group[1:]]


def test_leaks_are_rows_of_train() -> None:
    keys: dict[Split, list[str]] = {"train": ["a", "b", "c"], "validation": ["b"], "test": ["c", "d"]}
    assert duplicates.leaks({split: text_digests(texts) for split, texts in keys.items()}).tolist() == [1, 2]


WORDS = [f"word{number}" for number in range(500)]


def random_words(seed: int, length: int = 60) -> list[str]:
    return random.Random(seed).choices(WORDS, k=length)


def test_near_duplicates_are_found_and_different_texts_are_not() -> None:
    first, second = random_words(1), random_words(2)
    changed = [*first[:-1], "ending"]
    texts = [" ".join(words) for words in (first, second, changed, random_words(3), second)]
    assert duplicates.near_duplicates(texts) == [[0, 2], [1, 4]]


def test_near_duplicates_agree_with_exact_jaccard() -> None:
    """MinHash estimates the similarity, so only pairs far from the threshold are checked."""
    generator = random.Random(5)
    texts = []
    for seed in range(60):
        words = random_words(seed, 100)
        texts.append(" ".join(words))
        for position in generator.sample(range(100), generator.choice([1, 20])):
            words[position] = "changed"
        texts.append(" ".join(words))
    pairs = {(a, b) for cluster in duplicates.near_duplicates(texts) for a in cluster for b in cluster if a < b}
    for one in range(0, len(texts), 2):
        a, b = set(duplicates._shingles(texts[one])), set(duplicates._shingles(texts[one + 1]))
        similarity = len(a & b) / len(a | b)
        if similarity > 0.9 or similarity < 0.6:
            assert ((one, one + 1) in pairs) == (similarity > 0.9)
    assert all(b == a + 1 and a % 2 == 0 for a, b in pairs)


def test_clusters_do_not_depend_on_the_order_of_texts() -> None:
    texts = [" ".join([*random_words(seed // 3), str(seed)]) for seed in range(60)]
    shuffled = random.Random(0).sample(texts, k=len(texts))
    found = {frozenset(texts[index] for index in cluster) for cluster in duplicates.near_duplicates(texts)}
    again = {frozenset(shuffled[index] for index in cluster) for cluster in duplicates.near_duplicates(shuffled)}
    assert found == again
    assert len(found) == 20


def test_empty_texts_are_not_near_duplicates() -> None:
    assert duplicates.near_duplicates(["", "", "a b c d"]) == []


def test_clusters_are_cached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLUGLINE_CACHE", str(tmp_path))
    monkeypatch.setattr(duplicates, "MIN_CACHED_TEXTS", 2)
    texts = [" ".join(random_words(1)), " ".join([*random_words(1), "more"]), "another text"]
    first = duplicates.near_duplicates(texts)
    monkeypatch.setattr(duplicates, "_clusters", lambda _: pytest.fail("searched again"))
    assert duplicates.near_duplicates(texts) == first == [[0, 1]]
    assert len(list(tmp_path.rglob("*.json"))) == 1


def test_an_unusable_cache_is_only_a_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("SLUGLINE_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(duplicates, "MIN_CACHED_TEXTS", 2)
    texts = [" ".join(random_words(1)), " ".join([*random_words(1), "more"]), "another text"]
    with caplog.at_level(logging.WARNING, logger="slugline"):
        assert duplicates.near_duplicates(texts) == [[0, 1]]
    assert [record.message.partition(":")[0] for record in caplog.records] == ["near duplicates are not cached"]


def test_a_broken_cache_file_is_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLUGLINE_CACHE", str(tmp_path))
    monkeypatch.setattr(duplicates, "MIN_CACHED_TEXTS", 2)
    texts = [" ".join(random_words(1)), " ".join([*random_words(1), "more"]), "another text"]
    duplicates.near_duplicates(texts)
    (file,) = tmp_path.rglob("*.json")
    content = file.read_text()
    file.write_text(content[:3])
    assert duplicates.near_duplicates(texts) == [[0, 1]]
    assert file.read_text() == content


def test_pairs_below_the_threshold_make_no_cluster() -> None:
    """MinHash estimates some similarities of 0.7 as 0.8; single linkage joined them into clusters that grew."""
    template = [f"t{number}" for number in range(86)]
    texts = [" ".join([*template, *(f"own{n}x{k}" for k in range(18))]) for n in range(600)]
    one, other = (set(duplicates._shingles(text)) for text in texts[:2])
    assert 0.68 < len(one & other) / len(one | other) < 0.72
    assert duplicates.near_duplicates(texts) == []


def test_templates_do_not_cost_quadratic_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[float] = []
    exact = duplicates._jaccard
    monkeypatch.setattr(duplicates, "_jaccard", lambda a, b: compared.append(exact(a, b)) or compared[-1])
    template = [f"t{number}" for number in range(86)]
    duplicates.near_duplicates([" ".join([*template, *(f"own{n}x{k}" for k in range(18))]) for n in range(600)])
    assert 0 < len(compared) < 600 * 100


@pytest.mark.parametrize("length", [12, 16, 20])
def test_short_texts_with_one_changed_word_are_found(length: int) -> None:
    vocabulary = ["".join(random.Random(n).choices("abcdefghijklmnopqrstuvwxyz", k=5)) for n in range(2000)]
    texts = []
    for seed in range(30):
        words = random.Random(seed).sample(vocabulary, k=length)
        texts += [" ".join(words), " ".join([*words[: length // 2], "xyzzy", *words[length // 2 + 1 :]])]
    assert duplicates.near_duplicates(texts) == [[n, n + 1] for n in range(0, 60, 2)]


@pytest.mark.parametrize("first", [0x4E00, 0x0E01])
def test_scripts_without_blanks_are_compared_by_characters(first: int) -> None:
    letters = [chr(first + number) for number in range(46)]
    texts = []
    for seed in range(20):
        text = "".join(random.Random(seed).choices(letters, k=60))
        texts += [text, text[:30] + letters[0] * 2 + text[32:]]
    assert duplicates.near_duplicates(texts) == [[n, n + 1] for n in range(0, 40, 2)]
