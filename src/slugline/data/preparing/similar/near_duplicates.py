"""Clusters of texts that are the same or nearly the same: MinHash finds candidates (Broder 1997), Jaccard decides."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from slugline.core.errors import RunError
from slugline.core.storage import cache_dir, replacing
from slugline.data.preparing.similar.pairs import ESTIMATION_ERROR, REPRESENTATIVES, connect, roots_of
from slugline.data.preparing.similar.sketches import (
    MINHASH_SEED,
    PERMUTATIONS,
    SHINGLE_CHARACTERS,
    SHINGLE_WORDS,
    CharacterShingles,
    WordShingles,
)
from slugline.data.preparing.similar.sorting import sorted_texts
from slugline.data.tables.texts import Texts

logger = logging.getLogger(__name__)

#: Jaccard similarity of word triples from which two texts are near duplicates.
MIN_SIMILARITY = 0.8
#: One changed word changes three word triples, so short texts and scripts without blanks are compared by characters.
MIN_CHARACTER_SIMILARITY = 0.7
MIN_SHORT_WORDS, MAX_SHORT_WORDS = 8, 24
#: Characters per word, and of the whole text, from which a text counts as one without blanks.
MIN_UNSPACED_CHARACTERS, MIN_UNSPACED_LENGTH = 15, 24

#: Clusters of fewer texts are not cached: finding them again is faster.
MIN_CACHED_TEXTS = 5_000


def near_duplicates(keys: Iterable[str]) -> list[list[int]]:
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
    texts, places = sorted_texts(keys)
    order = np.argsort(places, kind="stable")
    starts = np.searchsorted(places[order], np.arange(len(texts) + 1))

    def rows_of(place: int) -> list[int]:
        rows: list[int] = order[starts[place] : starts[place + 1]].tolist()
        return rows

    clusters = _cached_clusters(texts)
    is_alone = np.diff(starts) > 1
    is_alone[[place for cluster in clusters for place in cluster]] = False
    clusters += [[place] for place in np.flatnonzero(is_alone).tolist()]
    return sorted(sorted(row for place in cluster for row in rows_of(place)) for cluster in clusters)


def _cached_clusters(texts: Texts) -> list[list[int]]:
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


def _clusters(texts: Texts) -> list[list[int]]:
    """Return the connected components of all verified pairs."""
    parents = np.arange(len(texts))
    connect(texts, parents.copy(), parents, WordShingles(), MIN_SIMILARITY)
    is_short = np.fromiter(map(_is_compared_by_characters, texts), np.bool_, len(texts))
    connect(texts, np.flatnonzero(is_short), parents, CharacterShingles(), MIN_CHARACTER_SIMILARITY)
    roots = roots_of(parents, np.arange(len(parents)))
    joined = np.flatnonzero(np.bincount(roots, minlength=len(roots))[roots] > 1)
    clusters: dict[int, list[int]] = defaultdict(list)
    for member, root in zip(joined.tolist(), roots[joined].tolist(), strict=True):
        clusters[root].append(member)
    return list(clusters.values())


def _is_compared_by_characters(text: str) -> bool:
    n_words = text.count(" ") + 1
    is_unspaced = len(text) >= max(MIN_UNSPACED_LENGTH, MIN_UNSPACED_CHARACTERS * n_words)
    return is_unspaced or MIN_SHORT_WORDS <= n_words <= MAX_SHORT_WORDS
