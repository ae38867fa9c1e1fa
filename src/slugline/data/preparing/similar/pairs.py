"""Pairs of texts that may be similar, and the components of those that are.

MinHash finds candidates: texts with an equal band of their sketches are in one bucket. In a bucket, a text is compared
with the first and the latest `REPRESENTATIVES` texts before it. The buckets of a band are runs of its sorted hashes, so
that the memory holds one band at a time.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from slugline.core.progress import track
from slugline.data.preparing.similar.sketches import PERMUTATIONS, Shingles, Sketcher
from slugline.data.tables.table import Table, TableWriter
from slugline.data.tables.texts import Texts

#: A text is compared with at most this many texts at each end (the first, the latest) of a bucket.
REPRESENTATIVES = 10
#: Estimated similarities are lower than the exact ones by at most about this, 4 standard deviations.
ESTIMATION_ERROR = 0.15

#: Texts whose sketches are computed at once: their hashes fit into the cache of a core.
SKETCHED_AT_ONCE = 512
#: Pairs that are estimated or compared at once.
PAIRS_AT_ONCE = 8_192


def connect(
    texts: Texts, members: NDArray[np.int64], parents: NDArray[np.int64], shingles: Shingles, smallest: float
) -> None:
    """Join the components of pairs whose exact Jaccard similarity is at least ``smallest``.

    Args:
        texts: all texts.
        members: ascending numbers of the texts to compare.
        parents: a member of the component of each text, or the text itself; changed.
        shingles: what the texts are compared by.
        smallest: smallest similarity.
    """
    from datasketch import MinHashLSH

    # The weights favour recall: a false candidate costs one comparison below, a missed one is never found.
    plan = MinHashLSH(threshold=smallest, num_perm=PERMUTATIONS, weights=(0.2, 0.8))
    table = _sketched(texts, members, shingles, plan.b, plan.r)
    rejected = np.empty(0, dtype=np.int64)
    for band in range(plan.b):
        parents[:] = roots_of(parents, np.arange(len(parents)))
        hashes = table.copied(f"band_{band}")
        candidates = [np.empty(0, dtype=np.int64)]
        for one, other in _candidates(hashes):
            is_open = roots_of(parents, members[one]) != roots_of(parents, members[other])
            candidates.append(_estimated(table, one[is_open], other[is_open], smallest - ESTIMATION_ERROR))
        pairs = np.setdiff1d(np.unique(np.concatenate(candidates)), rejected)
        rejected = np.union1d(rejected, _verify(texts, members, parents, pairs, shingles, smallest))


def _sketched(texts: Texts, members: NDArray[np.int64], shingles: Shingles, n_bands: int, n_rows: int) -> Table:
    """Write the sketch of each text and the hash of each band."""
    import pyarrow as pa

    bands = [(f"band_{band}", pa.uint64()) for band in range(n_bands)]
    writer = TableWriter(pa.schema([*bands, ("sketch", pa.binary(4 * PERMUTATIONS))]))
    sketcher = Sketcher()
    factors = np.random.default_rng(0).integers(0, 2**64, n_rows, dtype=np.uint64) | np.uint64(1)
    with track("looking for near duplicates", len(members), unit="texts") as advance:
        for start in range(0, len(members), SKETCHED_AT_ONCE):
            part = texts.at(members[start : start + SKETCHED_AT_ONCE])
            sketches = sketcher.sketches(map(shingles.hashes, part))
            by_band = sketches[:, : n_bands * n_rows].reshape(len(part), n_bands, n_rows).astype(np.uint64)
            hashes = (_mixed(by_band) * factors).sum(axis=2, dtype=np.uint64)
            columns = [pa.array(hashes[:, band].copy()) for band in range(n_bands)]
            stored = pa.FixedSizeBinaryArray.from_buffers(
                writer.schema.field("sketch").type, len(part), [None, pa.py_buffer(sketches.tobytes())]
            )
            writer.write(pa.RecordBatch.from_arrays([*columns, stored], schema=writer.schema))
            advance(len(part))
    return writer.finish()


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread values over 64 bits, so that sums of them differ."""
    values = (values + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    return values ^ (values >> np.uint64(29))


def _candidates(hashes: NDArray[np.uint64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield pairs of texts of one bucket, the earlier one first."""
    order = np.argsort(hashes, kind="stable")
    in_order = hashes[order]
    starts = np.flatnonzero(np.concatenate([[True], in_order[1:] != in_order[:-1]])) if len(order) else order
    sizes = np.diff(starts, append=len(order))
    starts, sizes = starts[sizes > 1], sizes[sizes > 1]
    first = np.repeat(starts, sizes)
    place = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    for distance in range(1, REPRESENTATIVES + 1):
        later = np.flatnonzero(place >= distance)
        yield from _in_parts(order[first[later] + place[later] - distance], order[first[later] + place[later]])
    for number in range(REPRESENTATIVES):
        later = np.flatnonzero(place > number + REPRESENTATIVES)
        yield from _in_parts(order[first[later] + number], order[first[later] + place[later]])


def _in_parts(
    one: NDArray[np.int64], other: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    for start in range(0, len(one), PAIRS_AT_ONCE):
        yield one[start : start + PAIRS_AT_ONCE], other[start : start + PAIRS_AT_ONCE]


def _estimated(table: Table, one: NDArray[np.int64], other: NDArray[np.int64], smallest: float) -> NDArray[np.int64]:
    """Return the pairs whose sketches agree in a share of at least ``smallest``, as one number for each pair."""
    if not len(one):
        return one
    different, inverse = np.unique(np.concatenate([one, other]), return_inverse=True)
    sketches = _sketches(table, different)
    is_equal = sketches[inverse[: len(one)]] == sketches[inverse[len(one) :]]
    is_near = is_equal.mean(axis=1) >= smallest
    numbers: NDArray[np.int64] = one[is_near] * len(table) + other[is_near]
    return numbers


def _sketches(table: Table, rows: NDArray[np.int64]) -> NDArray[np.uint32]:
    column = table.take(rows, ["sketch"]).column(0)
    values = np.frombuffer(column.buffers()[1], dtype=np.uint32)
    start = column.offset * PERMUTATIONS
    return values[start : start + len(rows) * PERMUTATIONS].reshape(-1, PERMUTATIONS)


def _verify(
    texts: Texts,
    members: NDArray[np.int64],
    parents: NDArray[np.int64],
    pairs: NDArray[np.int64],
    shingles: Shingles,
    smallest: float,
) -> NDArray[np.int64]:
    """Join the components of pairs that are similar; return the pairs that are not."""
    rejected = []
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        part = pairs[start : start + PAIRS_AT_ONCE]
        ones, others = members[part // len(members)], members[part % len(members)]
        compared = np.unique(np.concatenate([ones, others]))
        text_of = dict(zip(compared.tolist(), texts.at(compared), strict=True))
        sets: dict[int, frozenset[bytes]] = {}
        for pair, one, other in zip(part.tolist(), ones.tolist(), others.tolist(), strict=True):
            first, second = _root(parents, one), _root(parents, other)
            if first == second:
                continue
            for member in (one, other):
                if member not in sets:
                    sets[member] = shingles.of(text_of[member])
            if jaccard(sets[one], sets[other]) >= smallest:
                parents[max(first, second)] = min(first, second)
            else:
                rejected.append(pair)
    return np.array(rejected, dtype=np.int64)


def jaccard(one: frozenset[bytes], other: frozenset[bytes]) -> float:
    """Return the share of common shingles."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def _root(parents: NDArray[np.int64], member: int) -> int:
    while parents[member] != member:
        parents[member] = member = int(parents[parents[member]])
    return member


def roots_of(parents: NDArray[np.int64], members: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the first member of the component of each member.

    Args:
        parents: parents from `connect`.
        members: M members.

    Returns:
        (M,) members.
    """
    roots = parents[members]
    while not np.array_equal(above := parents[roots], roots):
        roots = above
    return roots
