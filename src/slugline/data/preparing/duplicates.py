"""Duplicates: repetitions, texts with several labels, leaks, and near duplicates.

The functions take hashes of texts, and return indices. `filters` decides which rows are dropped.
"""

from __future__ import annotations

import hashlib
import json
import logging
import unicodedata
import zlib
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import RunError
from slugline.core.labels import RowLabels, Split
from slugline.core.progress import track
from slugline.core.storage import cache_dir, replacing
from slugline.data.tables.coded import Coded

logger = logging.getLogger(__name__)

#: Jaccard similarity of word triples from which two texts are near duplicates.
MIN_SIMILARITY = 0.8
SHINGLE_WORDS = 3
#: One changed word changes three word triples, so short texts and scripts without blanks are compared by characters.
MIN_CHARACTER_SIMILARITY = 0.7
SHINGLE_CHARACTERS = 3
MIN_SHORT_WORDS, MAX_SHORT_WORDS = 8, 24
#: Characters per word, and of the whole text, from which a text counts as one without blanks.
MIN_UNSPACED_CHARACTERS, MIN_UNSPACED_LENGTH = 15, 24
PERMUTATIONS = 128
MINHASH_SEED = 1
#: A text is compared with at most this many texts at each end (the first, the latest) of a bucket.
REPRESENTATIVES = 10
#: Estimated similarities are lower than the exact ones by at most about this, 4 standard deviations.
ESTIMATION_ERROR = 0.15

#: Clusters of fewer texts are not cached: finding them again is faster.
MIN_CACHED_TEXTS = 5_000


def same_text_key(text: str) -> str:
    """Return a key that is equal for texts that count as the same: NFC, case folded, white space collapsed."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return " ".join(folded.split())


def repetitions(texts: NDArray[np.uint64], labels: Coded[RowLabels]) -> list[list[int]]:
    """Find rows with equal text and label.

    Args:
        texts: (N, 2) hashes of the texts, compared as they are.
        labels: (N,) labels of the texts.

    Returns:
        Groups of two or more indices.
    """
    return _groups(np.column_stack([texts, labels.codes.astype(np.uint64)]))


def conflicts(keys: NDArray[np.uint64], labels: Coded[RowLabels]) -> list[list[int]]:
    """Find texts with several labels.

    Args:
        keys: (N, 2) hashes of the keys of the texts, from `same_text_key`.
        labels: (N,) labels of the texts.

    Returns:
        One group of indices per text.
    """
    return [group for group in _groups(keys) if len(set(labels.codes[group].tolist())) > 1]


def leaks(keys: Mapping[Split, NDArray[np.uint64]]) -> NDArray[np.int64]:
    """Find train rows whose text is also in validation or test.

    Args:
        keys: (N, 2) hashes of the keys of the texts by split, from `same_text_key`.

    Returns:
        Indices into train.
    """
    held_out = [of_split for split, of_split in keys.items() if split != "train"]
    numbers = group_numbers(np.concatenate([keys["train"], *held_out]))
    n_train = len(keys["train"])
    return np.flatnonzero(np.isin(numbers[:n_train], numbers[n_train:]))


def group_numbers(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Number rows so that equal rows have equal numbers.

    Args:
        hashes: (N, columns) rows.

    Returns:
        (N,) numbers from 0.
    """
    order = np.lexsort(hashes.T)
    is_new = np.ones(len(order), dtype=np.bool_)
    is_new[1:] = (np.diff(hashes[order].T) != 0).any(axis=0)
    numbers = np.empty(len(order), dtype=np.int64)
    numbers[order] = np.cumsum(is_new) - 1
    return numbers


def _groups(hashes: NDArray[np.uint64]) -> list[list[int]]:
    """Return the indices of each row that occurs at least twice, in the order of the first ones."""
    numbers = group_numbers(hashes)
    repeated = np.flatnonzero(np.bincount(numbers)[numbers] > 1)
    order = repeated[np.argsort(numbers[repeated], kind="stable")]
    groups = np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)
    return sorted(group.tolist() for group in groups if len(group))


def _members(values: Iterable[int]) -> list[list[int]]:
    """Return the indices of each value that occurs at least twice."""
    indices: dict[int, list[int]] = defaultdict(list)
    for index, value in enumerate(values):
        indices[value].append(index)
    return [group for group in indices.values() if len(group) > 1]


def near_duplicates(keys: Sequence[str]) -> list[list[int]]:
    """Find texts that are the same or nearly the same: MinHash finds candidates (Broder 1997), Jaccard decides.

    All texts are compared by word triples, texts of 8 to 24 words and scripts without blanks also by character triples:
    in still shorter texts, a template such as "goal number 3" would exceed any limit. In a bucket of candidates, a text
    is compared only with the first and the latest `REPRESENTATIVES` texts before it, so that templates do not cost
    quadratic time. Other pairs of a larger bucket are not checked, unless they also share a smaller one. Clusters of
    many texts are cached on disk.

    Args:
        keys: (N,) keys of the texts, from `same_text_key`.

    Returns:
        Clusters of two or more indices, sorted, in the order of their first index. A near duplicate of one member
        belongs to the cluster. Clusters do not depend on the order of the texts.
    """
    unique = sorted(set(keys) - {""})
    indices: dict[str, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        indices[key].append(index)
    clusters = [[unique[member] for member in cluster] for cluster in _cached_clusters(unique)]
    clustered = {key for cluster in clusters for key in cluster}
    clusters += [[key] for key in unique if key not in clustered and len(indices[key]) > 1]
    return sorted(sorted(index for key in cluster for index in indices[key]) for cluster in clusters)


def _cached_clusters(texts: Sequence[str]) -> list[list[int]]:
    if len(texts) < MIN_CACHED_TEXTS:
        return _clusters(texts)
    settings = [MIN_SIMILARITY, SHINGLE_WORDS, MIN_CHARACTER_SIMILARITY, SHINGLE_CHARACTERS, MIN_SHORT_WORDS]
    settings += [MAX_SHORT_WORDS, MIN_UNSPACED_CHARACTERS, MIN_UNSPACED_LENGTH, PERMUTATIONS, MINHASH_SEED]
    settings += [REPRESENTATIVES, ESTIMATION_ERROR]
    digest = hashlib.sha256(f"exact {settings}\n".encode())
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\n")
    path = cache_dir() / "near_duplicates" / f"{digest.hexdigest()[:32]}.json"
    clusters = _read_cache(path)
    if clusters is None:
        clusters = _clusters(texts)
        _write_cache(path, clusters)
    return clusters


def _read_cache(path: Path) -> list[list[int]] | None:
    """Return cached clusters; None if the file is missing or unreadable."""
    try:
        clusters: list[list[int]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return clusters


def _write_cache(path: Path, clusters: list[list[int]]) -> None:
    try:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(clusters), encoding="utf-8")
    except (OSError, RunError) as error:  # without the cache, the next search only takes longer
        reason = error.message if isinstance(error, RunError) else str(error)
        logger.warning("near duplicates are not cached: %s", reason)


def _clusters(texts: Sequence[str]) -> list[list[int]]:
    """Return the connected components of all verified pairs."""
    parents = list(range(len(texts)))
    short = [index for index, text in enumerate(texts) if _is_compared_by_characters(text)]
    _connect(texts, range(len(texts)), parents, _shingles, MIN_SIMILARITY)
    _connect(texts, short, parents, _character_shingles, MIN_CHARACTER_SIMILARITY)
    return _members(_root(parents, member) for member in range(len(texts)))


def _root(parents: list[int], member: int) -> int:
    while parents[member] != member:
        parents[member] = member = parents[parents[member]]
    return member


@dataclass
class _Bucket:
    """The first and the latest texts of a bucket."""

    first: list[int] = field(default_factory=list)
    latest: deque[int] = field(default_factory=lambda: deque(maxlen=REPRESENTATIVES))

    def add(self, member: int) -> None:
        if len(self.first) < REPRESENTATIVES:
            self.first.append(member)
        else:
            self.latest.append(member)


def _connect(
    texts: Sequence[str],
    members: Sequence[int],
    parents: list[int],
    shingles: Callable[[str], list[bytes]],
    smallest: float,
) -> None:
    """Join the components of pairs whose exact Jaccard similarity is at least ``smallest``."""
    from datasketch import MinHash, MinHashLSH

    # The weights favour recall: a false candidate costs one comparison below, a missed one is never found.
    plan = MinHashLSH(threshold=smallest, num_perm=PERMUTATIONS, weights=(0.2, 0.8))
    buckets: list[dict[bytes, _Bucket]] = [defaultdict(_Bucket) for _ in range(plan.b)]
    sketches = MinHash.generator(
        (shingles(texts[member]) for member in members),
        num_perm=PERMUTATIONS,
        seed=MINHASH_SEED,
        hashfunc=zlib.crc32,
    )
    hashes = np.empty((len(texts), PERMUTATIONS), dtype=np.uint64)

    @lru_cache(maxsize=4096)
    def shingle_set(member: int) -> frozenset[bytes]:
        return frozenset(shingles(texts[member]))

    with track("looking for near duplicates", len(members), unit="texts") as advance:
        for member, sketch in zip(members, sketches, strict=True):
            hashes[member] = sketch.hashvalues
            candidates: set[int] = set()
            for band, table in enumerate(buckets):
                bucket = table[hashes[member, band * plan.r : (band + 1) * plan.r].tobytes()]
                candidates.update(bucket.first, bucket.latest)
                bucket.add(member)
            for other in sorted(candidates):
                one, two = _root(parents, member), _root(parents, other)
                if one == two or (hashes[member] == hashes[other]).mean() < smallest - ESTIMATION_ERROR:
                    continue
                if _jaccard(shingle_set(member), shingle_set(other)) >= smallest:
                    parents[max(one, two)] = min(one, two)
            advance(1)


def _jaccard(one: frozenset[bytes], other: frozenset[bytes]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def _shingles(text: str) -> list[bytes]:
    """Return the distinct word triples of a text; a shorter text is one shingle."""
    words = text.encode("utf-8", "surrogatepass").split(b" ")
    count = max(1, len(words) - SHINGLE_WORDS + 1)
    return list({b" ".join(words[start : start + SHINGLE_WORDS]) for start in range(count)})


def _is_compared_by_characters(text: str) -> bool:
    n_words = text.count(" ") + 1
    is_unspaced = len(text) >= max(MIN_UNSPACED_LENGTH, MIN_UNSPACED_CHARACTERS * n_words)
    return is_unspaced or MIN_SHORT_WORDS <= n_words <= MAX_SHORT_WORDS


def _character_shingles(text: str) -> list[bytes]:
    """Return the distinct character triples of a text; a shorter text is one shingle."""
    count = max(1, len(text) - SHINGLE_CHARACTERS + 1)
    triples = {text[start : start + SHINGLE_CHARACTERS] for start in range(count)}
    return [triple.encode("utf-8", "surrogatepass") for triple in triples]
