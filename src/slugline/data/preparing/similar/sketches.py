"""Shingles of texts, and MinHash sketches of many texts at once (Broder 1997)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

SHINGLE_WORDS = 3
SHINGLE_CHARACTERS = 3
PERMUTATIONS = 128
MINHASH_SEED = 1

#: Different triples of characters whose hashes are kept.
MAX_KNOWN_TRIPLES = 1_000_000


class Shingles(Protocol):
    """Kind of shingles that texts are compared by."""

    def of(self, text: str) -> frozenset[bytes]:
        """Return the different shingles of a text."""
        ...

    def hashes(self, text: str) -> Sequence[int]:
        """Return the CRC-32 of each different shingle of a text."""
        ...


class WordShingles:
    """Triples of words; a shorter text is one shingle."""

    def of(self, text: str) -> frozenset[bytes]:
        """Return the different triples."""
        words = text.encode("utf-8", "surrogatepass").split(b" ")
        if len(words) <= SHINGLE_WORDS:
            return frozenset([b" ".join(words)])
        return frozenset(map(b" ".join, zip(words, words[1:], words[2:], strict=False)))

    def hashes(self, text: str) -> Sequence[int]:
        """Return the CRC-32 of each different triple."""
        return list(map(zlib.crc32, self.of(text)))


class CharacterShingles:
    """Triples of characters; a shorter text is one shingle."""

    def __init__(self) -> None:
        self._known = _TripleHashes()

    def of(self, text: str) -> frozenset[bytes]:
        """Return the different triples."""
        return frozenset(triple.encode("utf-8", "surrogatepass") for triple in self._triples(text))

    def hashes(self, text: str) -> Sequence[int]:
        """Return the CRC-32 of each different triple."""
        return list(map(self._known.__getitem__, self._triples(text)))

    @staticmethod
    def _triples(text: str) -> set[str]:
        if len(text) <= SHINGLE_CHARACTERS:
            return {text}
        return set(map("".join, zip(text, text[1:], text[2:], strict=False)))


class _TripleHashes(dict[str, int]):
    """CRC-32 of triples of characters, computed when they are first read."""

    def __missing__(self, triple: str) -> int:
        if len(self) >= MAX_KNOWN_TRIPLES:
            self.clear()
        self[triple] = zlib.crc32(triple.encode("utf-8", "surrogatepass"))
        return self[triple]


class Sketcher:
    """Computes the sketches of `datasketch.MinHash`, of many texts at once."""

    def __init__(self) -> None:
        from datasketch import MinHash

        # The permutations are a * h + b modulo 2**32, of hashes that were mixed before.
        self._factors, self._summands = (
            each.astype(np.uint32) for each in MinHash(PERMUTATIONS, MINHASH_SEED, scheme="affine32").permutations
        )

    def sketches(self, hashes: Iterable[Sequence[int]]) -> NDArray[np.uint32]:
        """Return the sketches of texts.

        Args:
            hashes: hashes of the shingles of N texts, at least one of each text.

        Returns:
            (N, `PERMUTATIONS`) minima of the permuted hashes.
        """
        of_texts = list(hashes)
        starts = np.cumsum([0, *map(len, of_texts)], dtype=np.int64)[:-1]
        mixed = _mixed(np.fromiter(chain.from_iterable(of_texts), np.uint32))
        sketches = np.empty((PERMUTATIONS, len(of_texts)), dtype=np.uint32)
        permuted = np.empty_like(mixed)
        for number in range(PERMUTATIONS):
            np.multiply(mixed, self._factors[number], out=permuted)
            np.add(permuted, self._summands[number], out=permuted)
            np.minimum.reduceat(permuted, starts, out=sketches[number])
        return np.ascontiguousarray(sketches.T)


def _mixed(hashes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the finalizer of MurmurHash3."""
    hashes ^= hashes >> np.uint32(16)
    hashes *= np.uint32(0x85EBCA6B)
    hashes ^= hashes >> np.uint32(13)
    hashes *= np.uint32(0xC2B2AE35)
    return hashes ^ (hashes >> np.uint32(16))
