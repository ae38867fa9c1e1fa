"""Duplicates: repetitions, texts with several labels, and leaks.

The functions take hashes of texts, and return indices. `filters` decides which rows are dropped.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from slugline.core.labels import RowLabels, Split
from slugline.data.preparing.cleaning import is_plain
from slugline.data.tables.coded import Coded
from slugline.data.tables.digests import order_of


def same_text_key(text: str) -> str:
    """Return a key that is equal for texts that count as the same: NFC, case folded, white space collapsed."""
    if is_plain(text):
        return text.lower()
    if text.isascii():
        return " ".join(text.lower().split())
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
    groups = []
    for of_text in _groups(texts):
        by_label = defaultdict[int, list[int]](list)
        for index in of_text:
            by_label[int(labels.codes[index])].append(index)
        groups += [group for group in by_label.values() if len(group) > 1]
    return sorted(groups)


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
    order = order_of(hashes)
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
