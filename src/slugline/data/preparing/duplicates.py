"""Duplicates: repetitions, texts with several labels, leaks, and near duplicates.

The functions take texts or keys, and return indices. `slugline.data.preparing.filters` decides which rows are dropped.
"""

from __future__ import annotations

import hashlib
import json
import logging
import unicodedata
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from slugline.core.errors import RunError
from slugline.core.labels import Split
from slugline.core.progress import track
from slugline.core.storage import cache_dir, replacing

logger = logging.getLogger(__name__)

#: Jaccard similarity of word triples from which two texts are near duplicates.
MIN_SIMILARITY = 0.8
SHINGLE_WORDS = 3
PERMUTATIONS = 128
MINHASH_SEED = 1

#: Clusters of fewer texts are not cached: finding them again is faster.
MIN_CACHED_TEXTS = 5_000


def same_text_key(text: str) -> str:
    """Return a key that is equal for texts that count as the same: NFC, case folded, white space collapsed."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return " ".join(folded.split())


def repetitions(texts: Sequence[str], labels: Sequence[str]) -> list[list[int]]:
    """Find rows with equal text and label.

    Args:
        texts: (N,) texts, compared as they are.
        labels: (N,) labels of the texts.

    Returns:
        Groups of two or more indices.
    """
    return _groups(zip(texts, labels, strict=True))


def conflicts(keys: Sequence[str], labels: Sequence[str]) -> list[list[int]]:
    """Find texts with several labels.

    Args:
        keys: (N,) keys of the texts, from `same_text_key`.
        labels: (N,) labels of the texts.

    Returns:
        One group of indices per text.
    """
    return [group for group in _groups(keys) if len({labels[index] for index in group}) > 1]


def leaks(keys: Mapping[Split, Sequence[str]]) -> list[int]:
    """Find train rows whose text is also in validation or test.

    Args:
        keys: keys of the texts by split, from `same_text_key`.

    Returns:
        Indices into train.
    """
    held_out = {key for split in keys if split != "train" for key in keys[split]}
    return [index for index, key in enumerate(keys["train"]) if key in held_out]


def _groups(values: Iterable[Any]) -> list[list[int]]:
    """Return the indices of each value that occurs at least twice."""
    indices: dict[Any, list[int]] = defaultdict(list)
    for index, value in enumerate(values):
        indices[value].append(index)
    return [group for group in indices.values() if len(group) > 1]


def near_duplicates(keys: Sequence[str]) -> list[list[int]]:
    """Find texts that are the same or nearly the same, by MinHash over word triples (Broder 1997).

    Clusters of many texts are cached on disk.

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
    settings = f"{MIN_SIMILARITY} {SHINGLE_WORDS} {PERMUTATIONS} {MINHASH_SEED}\n"
    digest = hashlib.sha256(settings.encode())
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
    """Return the connected components of all pairs with an estimated similarity of at least `MIN_SIMILARITY`."""
    from datasketch import MinHash, MinHashLSH

    # The weights favour recall: a false candidate costs one comparison below, a missed one is never found.
    index = MinHashLSH(threshold=MIN_SIMILARITY, num_perm=PERMUTATIONS, weights=(0.2, 0.8))
    sketches = MinHash.generator(map(_shingles, texts), num_perm=PERMUTATIONS, seed=MINHASH_SEED, hashfunc=zlib.crc32)
    hashes = np.empty((len(texts), PERMUTATIONS), dtype=np.uint64)
    parents = list(range(len(texts)))

    def root(member: int) -> int:
        while parents[member] != member:
            parents[member] = member = parents[parents[member]]
        return member

    with track("looking for near duplicates", len(texts), unit="texts") as advance:
        for number, sketch in enumerate(sketches):
            hashes[number] = sketch.hashvalues
            for other in index.query(sketch):
                one, two = root(number), root(other)
                # Pairs of one component are not compared again, so that boilerplate does not cost quadratic time.
                if one != two and (hashes[number] == hashes[other]).mean() >= MIN_SIMILARITY:
                    parents[max(one, two)] = min(one, two)
            index.insert(number, sketch, check_duplication=False)
            advance(1)
    return _groups(root(member) for member in range(len(texts)))


def _shingles(text: str) -> list[bytes]:
    """Return the distinct word triples of a text; a shorter text is one shingle."""
    words = text.encode("utf-8", "surrogatepass").split(b" ")
    count = max(1, len(words) - SHINGLE_WORDS + 1)
    return list({b" ".join(words[start : start + SHINGLE_WORDS]) for start in range(count)})
