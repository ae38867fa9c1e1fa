"""Hashes of rows and texts, as arrays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from json.encoder import encode_basestring

import numpy as np
from numpy.typing import NDArray

#: Texts that are hashed between two copies into the array.
BATCH_TEXTS = 8_192

_JSON = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)


def row_digests(rows: Sequence[Mapping[str, object]]) -> NDArray[np.uint64]:
    """Return the first 64 bits of the SHA-256 of rows: of their JSON in UTF-8, with sorted keys and without blanks.

    Args:
        rows: N rows.

    Returns:
        (N,) hashes.
    """
    sha256 = hashlib.sha256
    hashed = b"".join(sha256(text.encode("utf-8", "surrogatepass")).digest()[:8] for text in _canonical(rows))
    return np.frombuffer(hashed, dtype=">u8").astype(np.uint64)


def _canonical(rows: Sequence[Mapping[str, object]]) -> Iterable[str]:
    """Return the JSON of rows; of rows with the same keys a column at a time, which is faster."""
    names = rows[0].keys() if rows else ()
    if not all(isinstance(name, str) for name in names) or any(row.keys() != names for row in rows):
        return map(_JSON.encode, rows)
    ordered = sorted(names)
    template = ",".join(f"{encode_basestring(name)}:".replace("%", "%%") + "%s" for name in ordered)
    columns = [_encoded([row[name] for row in rows]) for name in ordered]
    return map(f"{{{template}}}".__mod__, zip(*columns, strict=True)) if ordered else map(_JSON.encode, rows)


def _encoded(values: Sequence[object]) -> Iterable[str]:
    """Return the JSON of each value."""
    kinds = set(map(type, values))
    if kinds == {str}:
        return map(encode_basestring, values)  # type: ignore[arg-type]  # all are texts
    return map(int.__repr__ if kinds == {int} else _JSON.encode, values)


def order_of(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the indices of rows of hashes in ascending order.

    Args:
        hashes: (N, columns) rows, which are compared by their first column, then by the next.

    Returns:
        (N,) indices; equal rows are in any order.
    """
    order: NDArray[np.int64] = np.argsort(hashes[:, 0])
    first = hashes[order, 0]
    equal = np.flatnonzero(first[1:] == first[:-1])
    if (hashes[order[equal]] != hashes[order[equal + 1]]).any():
        order = np.lexsort(hashes.T[::-1])
    return order


def text_digests(texts: Iterable[str]) -> NDArray[np.uint64]:
    """Return 128-bit hashes of texts (XXH3): different texts have different hashes, also among billions.

    Texts can be made whose hashes are equal; the hashes find repetitions, they protect nothing.

    Args:
        texts: N texts.

    Returns:
        (N, 2) hashes.
    """
    from xxhash import xxh3_128_digest

    hashed = bytearray()
    iterator = iter(texts)
    while batch := [text.encode("utf-8", "surrogatepass") for text in islice(iterator, BATCH_TEXTS)]:
        hashed += b"".join(map(xxh3_128_digest, batch))
    return np.frombuffer(hashed, dtype=np.uint64).reshape(-1, 2)
