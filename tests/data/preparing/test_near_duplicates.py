"""Near duplicates: the same as pairs of texts that are compared one by one."""

from __future__ import annotations

import logging
import random
import zlib
from pathlib import Path

import numpy as np
import pytest

from slugline.data.preparing.similar import near_duplicates, pairs
from slugline.data.preparing.similar.sketches import (
    MINHASH_SEED,
    PERMUTATIONS,
    CharacterShingles,
    Sketcher,
    WordShingles,
)
from slugline.data.preparing.similar.sorting import sorted_texts

WORDS = [f"word{number}" for number in range(500)]


def random_words(seed: int, length: int = 60) -> list[str]:
    return random.Random(seed).choices(WORDS, k=length)


def test_near_duplicates_are_found_and_different_texts_are_not() -> None:
    first, second = random_words(1), random_words(2)
    changed = [*first[:-1], "ending"]
    texts = [" ".join(words) for words in (first, second, changed, random_words(3), second)]
    assert near_duplicates.near_duplicates(texts) == [[0, 2], [1, 4]]


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
    pairs = {(a, b) for cluster in near_duplicates.near_duplicates(texts) for a in cluster for b in cluster if a < b}
    for one in range(0, len(texts), 2):
        a, b = set(WordShingles().of(texts[one])), set(WordShingles().of(texts[one + 1]))
        similarity = len(a & b) / len(a | b)
        if similarity > 0.9 or similarity < 0.6:
            assert ((one, one + 1) in pairs) == (similarity > 0.9)
    assert all(b == a + 1 and a % 2 == 0 for a, b in pairs)


def test_clusters_do_not_depend_on_the_order_of_texts() -> None:
    texts = [" ".join([*random_words(seed // 3), str(seed)]) for seed in range(60)]
    shuffled = random.Random(0).sample(texts, k=len(texts))
    found = {frozenset(texts[index] for index in cluster) for cluster in near_duplicates.near_duplicates(texts)}
    again = {frozenset(shuffled[index] for index in cluster) for cluster in near_duplicates.near_duplicates(shuffled)}
    assert found == again
    assert len(found) == 20


def test_empty_texts_are_not_near_duplicates() -> None:
    assert near_duplicates.near_duplicates(["", "", "a b c d"]) == []


def test_clusters_are_cached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLUGLINE_CACHE", str(tmp_path))
    monkeypatch.setattr(near_duplicates, "MIN_CACHED_TEXTS", 2)
    texts = [" ".join(random_words(1)), " ".join([*random_words(1), "more"]), "another text"]
    first = near_duplicates.near_duplicates(texts)
    monkeypatch.setattr(near_duplicates, "_clusters", lambda _: pytest.fail("searched again"))
    assert near_duplicates.near_duplicates(texts) == first == [[0, 1]]
    assert len(list(tmp_path.rglob("*.json"))) == 1


def test_an_unusable_cache_is_only_a_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("SLUGLINE_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(near_duplicates, "MIN_CACHED_TEXTS", 2)
    texts = [" ".join(random_words(1)), " ".join([*random_words(1), "more"]), "another text"]
    with caplog.at_level(logging.WARNING, logger="slugline"):
        assert near_duplicates.near_duplicates(texts) == [[0, 1]]
    assert [record.message.partition(":")[0] for record in caplog.records] == ["near duplicates are not cached"]


def test_a_broken_cache_file_is_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLUGLINE_CACHE", str(tmp_path))
    monkeypatch.setattr(near_duplicates, "MIN_CACHED_TEXTS", 2)
    texts = [" ".join(random_words(1)), " ".join([*random_words(1), "more"]), "another text"]
    near_duplicates.near_duplicates(texts)
    (file,) = tmp_path.rglob("*.json")
    content = file.read_text()
    file.write_text(content[:3])
    assert near_duplicates.near_duplicates(texts) == [[0, 1]]
    assert file.read_text() == content


def test_pairs_below_the_threshold_make_no_cluster() -> None:
    """MinHash estimates some similarities of 0.7 as 0.8; single linkage joined them into clusters that grew."""
    template = [f"t{number}" for number in range(86)]
    texts = [" ".join([*template, *(f"own{n}x{k}" for k in range(18))]) for n in range(600)]
    one, other = (set(WordShingles().of(text)) for text in texts[:2])
    assert 0.68 < len(one & other) / len(one | other) < 0.72
    assert near_duplicates.near_duplicates(texts) == []


def test_templates_do_not_cost_quadratic_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[float] = []
    exact = pairs.jaccard
    monkeypatch.setattr(pairs, "jaccard", lambda a, b: compared.append(exact(a, b)) or compared[-1])
    template = [f"t{number}" for number in range(86)]
    near_duplicates.near_duplicates([" ".join([*template, *(f"own{n}x{k}" for k in range(18))]) for n in range(600)])
    assert 0 < len(compared) < 600 * 100


@pytest.mark.parametrize("length", [12, 16, 20])
def test_short_texts_with_one_changed_word_are_found(length: int) -> None:
    vocabulary = ["".join(random.Random(n).choices("abcdefghijklmnopqrstuvwxyz", k=5)) for n in range(2000)]
    texts = []
    for seed in range(30):
        words = random.Random(seed).sample(vocabulary, k=length)
        texts += [" ".join(words), " ".join([*words[: length // 2], "xyzzy", *words[length // 2 + 1 :]])]
    assert near_duplicates.near_duplicates(texts) == [[n, n + 1] for n in range(0, 60, 2)]


@pytest.mark.parametrize("first", [0x4E00, 0x0E01])
def test_scripts_without_blanks_are_compared_by_characters(first: int) -> None:
    letters = [chr(first + number) for number in range(46)]
    texts = []
    for seed in range(20):
        text = "".join(random.Random(seed).choices(letters, k=60))
        texts += [text, text[:30] + letters[0] * 2 + text[32:]]
    assert near_duplicates.near_duplicates(texts) == [[n, n + 1] for n in range(0, 40, 2)]


def test_sketches_are_those_of_the_library() -> None:
    from datasketch import MinHash

    texts = [" ".join(random_words(seed, seed % 30 + 1)) for seed in range(100)]
    for shingles in (WordShingles(), CharacterShingles()):
        sketches = MinHash.generator(
            (shingles.of(text) for text in texts), num_perm=PERMUTATIONS, seed=MINHASH_SEED, hashfunc=zlib.crc32
        )
        expected = [sketch.hashvalues for sketch in sketches]
        assert (Sketcher().sketches(map(shingles.hashes, texts)) == np.array(expected)).all()


def test_candidates_are_the_first_and_the_latest_of_a_bucket() -> None:
    hashes = np.random.default_rng(5).choice(6, 200, p=[0.5, 0.3, 0.1, 0.05, 0.04, 0.01]).astype(np.uint64)
    expected = set()
    buckets: dict[int, list[int]] = {}
    for member, value in enumerate(hashes.tolist()):
        bucket = buckets.setdefault(value, [])
        expected |= {(other, member) for other in [*bucket[:10], *bucket[10:][-10:]]}
        bucket.append(member)
    found = [pair for parts in pairs._candidates(hashes) for pair in zip(*(p.tolist() for p in parts), strict=True)]
    assert set(found) == expected


@pytest.mark.parametrize("block", [1, 7, 10_000])
def test_different_texts_are_sorted_by_their_characters(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr("slugline.data.preparing.similar.sorting.BATCH_ROWS", block)
    generator = random.Random(3)
    parts = ["", "a", "b\0", "the same beginning of ", "é", "\U0001f600", "\uffff", "z"]
    texts = ["".join(generator.choices(parts, k=generator.randint(0, 5))) for _ in range(500)]
    found, places = sorted_texts(texts)
    expected = sorted(set(texts) - {""})
    assert list(found) == expected
    assert [expected[place] if place >= 0 else "" for place in places] == texts
    assert not len(sorted_texts([])[0])
