"""What is wrong with texts, before anything is trained on them: cleaning, repetitions, near duplicates, leaks, lengths.

Takes lists of texts and labels, gives findings and indices; never prints, never drops a row. Which rows go is decided
in `slugline.data.preparing.examples`.
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


#: Texts are near duplicates when at least this share of their word triples is common to both (Jaccard).
NEAR = 0.8
SHINGLE_WORDS = 3
PERMUTATIONS = 128
MINHASH_SEED = 1

#: Below this many texts a search is faster than a look into the cache is worth.
WORTH_CACHING = 5_000


def same_text_key(text: str) -> str:
    """Equal for texts that count as the same: after NFC, case folding and collapsing white space."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return " ".join(folded.split())


def repetitions(texts: Sequence[str], labels: Sequence[str]) -> list[list[int]]:
    """Rows that say the same thing twice.

    Args:
        texts: (N,) compared as they are.
        labels: (N,) their labels.

    Returns:
        Groups of two and more indices with equal text and label.
    """
    return _groups(zip(texts, labels, strict=True))


def conflicts(keys: Sequence[str], labels: Sequence[str]) -> list[list[int]]:
    """Texts that bear several labels.

    Args:
        keys: (N,) from `same_text_key`.
        labels: (N,) their labels.

    Returns:
        One group of indices a text.
    """
    return [group for group in _groups(keys) if len({labels[index] for index in group}) > 1]


def leaks(keys: Mapping[Split, Sequence[str]]) -> list[int]:
    """Rows of train whose text also stands in validation or test.

    Args:
        keys: by split, from `same_text_key`.

    Returns:
        Indices into train.
    """
    held_out = {key for split, some in keys.items() if split != "train" for key in some}
    return [index for index, key in enumerate(keys["train"]) if key in held_out]


def _groups(values: Iterable[Any]) -> list[list[int]]:
    """Indices of equal values, where there are two and more."""
    places: dict[Any, list[int]] = defaultdict(list)
    for index, value in enumerate(values):
        places[value].append(index)
    return [group for group in places.values() if len(group) > 1]


def near_duplicates(keys: Sequence[str]) -> list[list[int]]:
    """Texts that are the same or nearly so, by MinHash over word triples (Broder 1997), remembered between calls.

    Args:
        keys: (N,) from `same_text_key`.

    Returns:
        Clusters of two and more indices, each sorted, in order of their first; whoever is near to one member belongs
        to all. Which texts form a cluster does not depend on their order.
    """
    unique = sorted(set(keys) - {""})
    places: dict[str, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        places[key].append(index)
    clusters = [[unique[member] for member in cluster] for cluster in _remembered_clusters(unique)]
    near = {key for cluster in clusters for key in cluster}
    clusters += [[key] for key in unique if key not in near and len(places[key]) > 1]
    return sorted(sorted(index for key in cluster for index in places[key]) for cluster in clusters)


def _remembered_clusters(texts: Sequence[str]) -> list[list[int]]:
    if len(texts) < WORTH_CACHING:
        return _clusters(texts)
    settings = f"{NEAR} {SHINGLE_WORDS} {PERMUTATIONS} {MINHASH_SEED}\n"
    digest = hashlib.sha256(settings.encode())
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\n")
    path = cache_dir() / "near_duplicates" / f"{digest.hexdigest()[:32]}.json"
    clusters = _recall(path)
    if clusters is None:
        clusters = _clusters(texts)
        _remember(path, clusters)
    return clusters


def _recall(path: Path) -> list[list[int]] | None:
    """What was remembered, or None: a cache that cannot be read is one that remembers nothing."""
    try:
        remembered: list[list[int]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return remembered


def _remember(path: Path, clusters: list[list[int]]) -> None:
    try:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(clusters), encoding="utf-8")
    except (OSError, RunError) as error:  # the next search takes as long as this one, which is all that is lost
        reason = error.message if isinstance(error, RunError) else str(error)
        logger.warning("near duplicates are not remembered: %s", reason)


def _clusters(texts: Sequence[str]) -> list[list[int]]:
    """Connected components of the pairs whose estimated Jaccard similarity is at least `NEAR`."""
    from datasketch import MinHash, MinHashLSH

    # Weighted towards finding: a false candidate costs one comparison below, a missed one is never seen again.
    index = MinHashLSH(threshold=NEAR, num_perm=PERMUTATIONS, weights=(0.2, 0.8))
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
                # Pairs that others have joined already need no comparison; that keeps boilerplate from going quadratic.
                if one != two and (hashes[number] == hashes[other]).mean() >= NEAR:
                    parents[max(one, two)] = min(one, two)
            index.insert(number, sketch, check_duplication=False)
            advance(1)
    return _groups(root(member) for member in range(len(texts)))


def _shingles(text: str) -> list[bytes]:
    """The text's word triples, each once; a shorter text is one shingle."""
    words = text.encode("utf-8", "surrogatepass").split(b" ")
    count = max(1, len(words) - SHINGLE_WORDS + 1)
    return list({b" ".join(words[start : start + SHINGLE_WORDS]) for start in range(count)})
