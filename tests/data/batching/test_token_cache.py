"""The token cache: shared by folds and subsets, mapped from disk, and never a reason to stop."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import articles
from slugline.core.storage import replacing
from slugline.data.batching import token_cache
from slugline.data.batching import token_ids as token_ids_module
from slugline.data.batching.token_ids import TEXTS_AT_ONCE, encode
from slugline.data.batching.tokens import Tokens, tokenise
from slugline.data.batching.truncation import Truncation
from slugline.data.folds import folds_of
from slugline.data.load import load_dataset
from slugline.models.tokenizers import load_tokenizer
from slugline.recipe.data_section import DataSection

TEXTS = [row["text"] for row in articles(40)]
LENGTH = Truncation(64)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an empty cache."""
    monkeypatch.setenv("SLUGLINE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def tokenised(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were tokenised, in order."""
    seen: list[str] = []

    def recorded(texts: Iterable[str], tokenizer: Any) -> Iterator[Any]:
        found = list(texts)
        seen.extend(found)
        return encode(found, tokenizer)

    monkeypatch.setattr(token_cache, "encode", recorded)
    return seen


def rows(tokens: Tokens) -> list[list[list[int]]]:
    return [tokens[index] for index in range(len(tokens))]


def test_a_cross_validation_tokenises_each_text_once(
    cache: Path, tokenised: list[str], tiny_base: Path, news_csv: Path
) -> None:
    from slugline.training.finetune import _tokenise

    tokenizer = load_tokenizer(str(tiny_base))
    dataset = load_dataset(DataSection(path=str(news_csv), validation_fraction=0))
    folds = folds_of(dataset, 3, seed=1)
    tokens = [_tokenise(fold, tokenizer, LENGTH) for fold in folds]
    assert sorted(tokenised) == sorted(dataset["train"]["text"][:])
    for fold, by_split in zip(folds, tokens, strict=True):
        for split, found in by_split.items():
            assert rows(found) == rows(tokenise(fold[split]["text"][:], tokenizer, LENGTH))


def test_a_subset_reads_rows_of_the_whole(cache: Path, tokenised: list[str], tiny_base: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_base))
    complete = rows(tokenise(TEXTS, tokenizer, LENGTH, cached=True))
    assert rows(tokenise(TEXTS[30:3:-3], tokenizer, LENGTH, cached=True)) == complete[30:3:-3]
    assert tokenised == TEXTS


def test_only_new_texts_are_tokenised(cache: Path, tokenised: list[str], tiny_base: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_base))
    tokenise([*TEXTS[:10], TEXTS[0]], tokenizer, LENGTH, cached=True)
    mixed = [TEXTS[20], "", TEXTS[3], "", TEXTS[20]]
    found = tokenise(mixed, tokenizer, LENGTH, cached=True)
    assert tokenised == [*TEXTS[:10], TEXTS[20], ""]
    assert rows(found) == rows(tokenise(mixed, tokenizer, LENGTH))
    assert len(found.arrays.parts) == 2


def test_cached_tokens_are_mapped_from_disk(cache: Path, tiny_base: Path) -> None:
    tokens = tokenise(TEXTS, load_tokenizer(str(tiny_base)), LENGTH, cached=True)
    (part,) = tokens.arrays.parts
    owner: Any = part
    while isinstance(owner, np.ndarray) and not isinstance(owner, np.memmap):
        owner = owner.base
    assert isinstance(owner, np.memmap)
    assert np.array_equal(np.concatenate(list(tokens.arrays.chunks())), np.concatenate([*tokens.arrays]))


@pytest.mark.parametrize("damage", ["rows", "tokens", "no tokens", "empty rows"])
def test_a_damaged_segment_is_written_again(cache: Path, tokenised: list[str], tiny_base: Path, damage: str) -> None:
    tokenizer = load_tokenizer(str(tiny_base))
    expected = rows(tokenise(TEXTS, tokenizer, LENGTH, cached=True))
    (rows_file,), (tokens_file,) = (list(cache.glob(f"tokens/*/*.{suffix}")) for suffix in ("rows.npy", "tokens"))
    if damage == "no tokens":
        tokens_file.unlink()
    else:
        path = tokens_file if damage == "tokens" else rows_file
        path.write_bytes(b"" if damage.startswith("empty") else path.read_bytes()[:-8])
    for _ in range(2):
        assert rows(tokenise(TEXTS, tokenizer, LENGTH, cached=True)) == expected
    assert len(tokenised) == 2 * len(TEXTS)


def test_the_cache_may_be_below_a_file(
    tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SLUGLINE_CACHE", str(tmp_path / "file" / "cache"))
    check_without_cache(tiny_base, caplog)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EINVAL])
@pytest.mark.parametrize("suffix", [".tokens", ".npy"])
def test_a_cache_that_cannot_be_written_only_warns(
    cache: Path,
    tiny_base: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
    suffix: str,
) -> None:
    def failing(path: Path) -> Any:
        if path.suffix == suffix:
            raise OSError(number, "failed on purpose")
        return replacing(path)

    monkeypatch.setattr(token_cache, "replacing", failing)
    check_without_cache(tiny_base, caplog)


def test_a_file_system_without_locks_only_warns(
    cache: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import filelock

    def no_lock(_: object) -> None:
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(filelock.FileLock, "acquire", no_lock)
    check_without_cache(tiny_base, caplog)


def test_a_full_disk_leaves_no_partial_file(cache: Path, tiny_base: Path, caplog: pytest.LogCaptureFixture) -> None:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        found = tokenise(TEXTS, load_tokenizer(str(tiny_base)), LENGTH, cached=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert rows(found) == rows(tokenise(TEXTS, load_tokenizer(str(tiny_base)), LENGTH))
    assert "SLUGLINE_CACHE" in caplog.text
    assert [path.name for path in cache.glob("tokens/*/*")] in ([], ["lock"])


class Column(Sequence[str]):
    """Texts that are made when they are read, some thousand at most at a time."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, place: Any) -> Any:
        places = range(self.count)[place]
        assert len(places) <= TEXTS_AT_ONCE
        return [f"market {index}" for index in places]


@pytest.mark.parametrize("cached", [True, False])
def test_texts_are_read_and_tokenised_in_batches(
    cache: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch, cached: bool
) -> None:
    tokenizer = load_tokenizer(str(tiny_base))
    calls: list[int] = []
    token_ids = token_ids_module._token_ids

    def counted(texts: list[str], tokenizer: Any) -> list[list[int]]:
        calls.append(len(texts))
        return token_ids(texts, tokenizer)

    monkeypatch.setattr(token_ids_module, "_token_ids", counted)
    tokens = tokenise(Column(10_000), tokenizer, LENGTH, cached=cached)
    assert calls == [TEXTS_AT_ONCE, TEXTS_AT_ONCE, 10_000 - 2 * TEXTS_AT_ONCE]
    assert tokens[9_999] == [tokenizer("market 9999")["input_ids"]]
    tokenise(["market " * 100_000] * 5, tokenizer, LENGTH)
    assert calls[3:] == [2, 2, 1]


def check_without_cache(base: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Tokens are right and the warning names what to set."""
    tokenizer = load_tokenizer(str(base))
    found = tokenise(TEXTS, tokenizer, LENGTH, cached=True)
    assert rows(found) == rows(tokenise(TEXTS, tokenizer, LENGTH))
    (record,) = [record for record in caplog.records if "not cached" in record.message]
    assert record.levelname == "WARNING"
    assert "SLUGLINE_CACHE" in record.message
