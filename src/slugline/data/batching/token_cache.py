"""Cache of tokens on disk. Every text has its own entry, so that folds and subsets of a data set share them.

A tokenizer has a folder, in which each addition is a segment of two files:

- ``NAME.tokens``: the tokens of the added texts end to end, int32;
- ``NAME.rows.npy``: (4, N) uint64: both halves of the keys of the texts, starts and lengths; sorted by the keys.

Segments are never changed. One without its second file, or of another size, is ignored.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import RunError
from slugline.core.progress import track
from slugline.core.storage import cache_dir, disk_errors, replacing
from slugline.data.batching.token_arrays import TokenArrays
from slugline.data.batching.token_ids import RULES, each_of, encode
from slugline.data.batching.tokenizer_properties import tokenizer_fingerprint
from slugline.data.tables.digests import order_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

#: Bytes of a key, of which a row has two halves.
KEY_BYTES = 16

#: Tokens and rows on disk.
TOKEN, ROW = np.dtype("<i4"), np.dtype("<u8")

#: (2, N): the keys of N texts.
Keys = NDArray[np.uint64]


def tokens_in_memory(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> TokenArrays:
    """Tokenise texts without the cache.

    Args:
        texts: N texts.
        tokenizer: tokenizer of the model.

    Returns:
        Tokens of the N texts.
    """
    ids, lengths = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
    for some_ids, some_lengths in encode(each_of(texts), tokenizer):
        ids.append(some_ids)
        lengths.append(some_lengths)
    return TokenArrays.end_to_end(np.concatenate(ids), np.concatenate(lengths))


def cached_tokens(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> TokenArrays:
    """Read the tokens of texts from the cache; tokenise and add the texts that it lacks, each once.

    Args:
        texts: N texts; a column of a data set is read batch by batch.
        tokenizer: tokenizer of the model.

    Returns:
        Tokens of the N texts, mapped from the files of the cache; in memory if the cache cannot be written, which is
        logged.
    """
    try:
        return _read_or_add(texts, tokenizer)
    except (OSError, RunError, NotImplementedError) as error:  # the last: a file system without locks
        reason = (error.message if isinstance(error, RunError) else str(error)).rstrip(".")
        hint = "Set SLUGLINE_CACHE to a folder with space that you may write to"
        logger.warning("tokens are not cached: %s. %s; the texts are tokenised in memory now.", reason, hint)
        return tokens_in_memory(texts, tokenizer)


def _read_or_add(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> TokenArrays:
    from filelock import FileLock

    folder = cache_dir() / "tokens" / _folder_name(tokenizer)
    keys = _keys(texts)
    found, missing = _find(folder, keys)
    if not len(missing):
        return found
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        # Folds that are trained side by side need the same texts: one tokenises them, the others wait.
        with FileLock(folder / "lock"):
            _, missing = _find(folder, keys)
            if len(missing):
                _add(folder, texts, keys, _distinct(keys, missing), tokenizer)
    found, missing = _find(folder, keys)
    if len(missing):
        raise RunError(f"{folder}: the files that were just written cannot be read.", hint="Check the disk.")
    return found


def _folder_name(tokenizer: PreTrainedTokenizerBase) -> str:
    """Hash of everything that determines the tokens of a text."""
    packages = [version("transformers"), version("tokenizers")]
    return hashlib.sha256(f"{RULES} {packages} {tokenizer_fingerprint(tokenizer)}".encode()).hexdigest()[:32]


def _keys(texts: Sequence[str]) -> Keys:
    digests = bytearray()
    for text in each_of(texts):
        digests += hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()
    return np.ascontiguousarray(np.frombuffer(digests, ROW).reshape(-1, 2).T)


def _distinct(keys: Keys, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first row of each key, ascending."""
    of_rows = keys[:, rows].T
    order = order_of(of_rows)
    is_new = np.ones(len(order), dtype=np.bool_)
    is_new[1:] = (of_rows[order[1:]] != of_rows[order[:-1]]).any(axis=1)
    return np.sort(rows[np.minimum.reduceat(order, np.flatnonzero(is_new))])


def _find(folder: Path, keys: Keys) -> tuple[TokenArrays, NDArray[np.int64]]:
    """Tokens of the texts with these keys, and the indices of those that no segment has."""
    count = keys.shape[1]
    part_of, starts, lengths = np.full(count, -1, np.int32), np.zeros(count, np.int64), np.zeros(count, np.int64)
    missing = np.arange(count)
    parts: list[NDArray[np.int32]] = []
    for ids, rows in _segments(folder):
        places = np.minimum(np.searchsorted(rows[0], keys[0, missing]), rows.shape[1] - 1)
        is_here = (rows[0][places] == keys[0, missing]) & (rows[1][places] == keys[1, missing])
        here, places = missing[is_here], places[is_here]
        if len(here):
            part_of[here], starts[here], lengths[here] = len(parts), rows[2][places], rows[3][places]
            parts.append(ids)
            missing = missing[~is_here]
    return TokenArrays(tuple(parts), part_of, starts, lengths), missing


def _segments(folder: Path) -> Iterator[tuple[NDArray[np.int32], NDArray[np.uint64]]]:
    """The tokens and the rows of each intact segment, memory-mapped."""
    for path in sorted(folder.glob("*.rows.npy")):
        try:
            rows = np.load(path, mmap_mode="r", allow_pickle=False)
            total = int((rows[2] + rows[3]).max())
            tokens_path = path.with_name(path.name.replace(".rows.npy", ".tokens"))
            if rows.dtype != ROW or tokens_path.stat().st_size != total * TOKEN.itemsize:
                continue
            # Plain arrays that are views of the map: slices of `memmap` objects are slow.
            ids = np.asarray(np.memmap(tokens_path, TOKEN, "r")) if total else np.empty(0, TOKEN)
        except (OSError, ValueError, IndexError, EOFError):
            continue
        yield ids, np.asarray(rows)


def _add(
    folder: Path, texts: Sequence[str], keys: Keys, added: NDArray[np.int64], tokenizer: PreTrainedTokenizerBase
) -> None:
    """Tokenise some of the texts, which have different keys, and write them as a segment."""
    added_keys = keys[:, added]
    name = hashlib.sha256(added_keys.tobytes()).hexdigest()[:KEY_BYTES]
    is_added = np.zeros(len(texts), np.bool_)
    is_added[added] = True
    lengths = _write_tokens(folder / f"{name}.tokens", compress(each_of(texts), is_added), len(added), tokenizer)
    order = np.lexsort((added_keys[1], added_keys[0]))
    rows = np.empty((4, len(added)), ROW)
    for row, values in zip(rows, (*added_keys, np.cumsum(lengths) - lengths, lengths), strict=True):
        row[:] = values[order]
    with replacing(folder / f"{name}.rows.npy") as temporary:
        np.save(temporary, rows)


def _write_tokens(path: Path, texts: Iterable[str], count: int, tokenizer: PreTrainedTokenizerBase) -> NDArray[Any]:
    """Write the tokens of texts batch by batch; returns the number of tokens of each text, as integers."""
    lengths = np.zeros(count, ROW)
    with (
        replacing(path) as temporary,
        temporary.open("wb") as file,
        track("tokenising", count, unit="texts") as advance,
    ):
        done = 0
        for ids, some_lengths in encode(texts, tokenizer):
            file.write(ids.astype(TOKEN).tobytes())
            lengths[done : done + len(some_lengths)] = some_lengths
            done += len(some_lengths)
            advance(len(some_lengths))
    return lengths
