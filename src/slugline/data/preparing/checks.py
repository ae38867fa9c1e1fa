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
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from slugline.core.errors import RunError
from slugline.core.labels import Split
from slugline.core.progress import track
from slugline.core.storage import cache_dir, replacing
from slugline.data.preparing.artefacts import remove_artefacts

logger = logging.getLogger("slugline")

#: Rows that a finding names.
EXAMPLES = 5

#: Texts are near duplicates when at least this share of their word triples is common to both (Jaccard).
NEAR = 0.8
SHINGLE_WORDS = 3
PERMUTATIONS = 128
MINHASH_SEED = 1

#: Below this many texts a search is faster than a look into the cache is worth.
WORTH_CACHING = 5_000

QUANTILES = (0, 5, 25, 50, 75, 95, 99, 100)


@dataclass(frozen=True)
class Finding:
    """One thing that was noticed about the data.

    Args:
        kind: short name, for programs: ``"leak"``, ``"repetition"``, ``"encoding"``.
        count: how many rows, texts or files it concerns.
        message: one sentence for people, what was found and what was done about it.
        examples: row ids, labels or files, at most `EXAMPLES`.
        is_warning: whether somebody should look at it before trusting the results.
    """

    kind: str
    count: int
    message: str
    examples: tuple[str, ...] = ()
    is_warning: bool = False

    @classmethod
    def of(cls, kind: str, concerned: Sequence[str], message: str, *, is_warning: bool = False) -> Finding:
        """A finding about listed things; the message may hold ``{count}``."""
        count = len(concerned)
        return cls(kind, count, message.format(count=f"{count:,}"), tuple(concerned[:EXAMPLES]), is_warning)


def clean(text: str, steps: Sequence[str]) -> str:
    """Clean one text. Cleaning a clean text changes nothing, so that training and serving cannot disagree.

    Args:
        text: as read.
        steps: names of `STEPS`, in the order in which they are taken.

    Returns:
        The text after all steps.
    """
    # One step may make work for an earlier one (lower case can undo a composition), hence until nothing changes.
    for _ in range(10):
        cleaned = text
        for step in steps:
            cleaned = STEPS[step](cleaned)
        if cleaned == text:
            return text
        text = cleaned
    return text


def _mend_encoding(text: str) -> str:
    if text.isascii() and "&" not in text and text.replace("\n", "").replace("\t", "").isprintable():
        return text  # nothing that ftfy would touch, and most texts are like that
    import ftfy

    return ftfy.fix_text(text, uncurl_quotes=False)


def _collapse_whitespace(text: str) -> str:
    return " ".join(text.split())


#: Cleaning steps by name.
STEPS: dict[str, Callable[[str], str]] = {
    "encoding": _mend_encoding,
    "whitespace": _collapse_whitespace,
    "lowercase": str.lower,
    "artefacts": remove_artefacts,
}


def same_text_key(text: str) -> str:
    """Equal for texts that count as the same: after NFC, case folding and collapsing white space."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return " ".join(folded.split())


def empty_texts(texts: Sequence[str]) -> list[int]:
    """Indices of texts of nothing but white space."""
    return [index for index, text in enumerate(texts) if not text.strip()]


def short_texts(texts: Sequence[str], smallest: int) -> list[int]:
    """Indices of texts of fewer words than that, as white space parts them; empty texts among them."""
    return [index for index, text in enumerate(texts) if len(text.split()) < smallest] if smallest else []


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


def length_quantiles(texts: Sequence[str]) -> dict[str, dict[str, float]]:
    """How long texts are.

    Args:
        texts: (N,) cleaned.

    Returns:
        For ``characters`` and ``words``: the mean, and `QUANTILES` in percent as ``"p50"``; empty where N is 0.
    """
    if not texts:
        return {}
    counts = {"characters": [len(text) for text in texts], "words": [len(text.split()) for text in texts]}
    return {
        unit: {"mean": round(float(np.mean(values)), 1)}
        | {
            f"p{q}": round(float(value), 1)
            for q, value in zip(QUANTILES, np.percentile(values, QUANTILES), strict=True)
        }
        for unit, values in counts.items()
    }


def imbalance(labels: Sequence[str]) -> float:
    """Rows of the largest class for each row of the smallest; 1 is balanced."""
    counts = Counter(labels).values()
    return max(counts) / min(counts) if counts else 1.0
