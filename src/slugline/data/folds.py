"""Folds of a data set for cross-validation."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from slugline.data.dataset import TextDataset
from slugline.data.preparing.splits.rows_to_split import RowsToSplit
from slugline.data.preparing.splits.split_rules import SPLIT_RULES
from slugline.data.tables.coded import Coded

if TYPE_CHECKING:
    import datasets


def folds_of(dataset: TextDataset, count: int, *, seed: int) -> list[TextDataset]:
    """Cut train, together with a given validation split, into stratified folds.

    Args:
        dataset: data set loaded with ``validation_fraction = 0``.
        count: number of folds K.
        seed: value of ``data.split_seed``.

    Returns:
        K data sets with the same labels and test rows. ``validation`` is one fold, ``train`` is all other folds. Near
        duplicates and groups stay in one fold. With ``data.time``, each fold is a block of time.

    Raises:
        DataError: a class has fewer rows than there are folds, near duplicates counted once.
    """
    import datasets

    pool = datasets.concatenate_datasets(
        [dataset[split] for split in ("train", "validation") if split in dataset.splits]
    )
    held_out = SPLIT_RULES[dataset.split_rule].folds(_rows_to_split(dataset, pool), count, seed)

    def fold_fingerprint(of_dataset: str, number: int) -> str:
        return hashlib.sha256(f"{of_dataset} {seed} {number}/{count}".encode()).hexdigest()

    test = {"test": dataset.splits["test"]} if "test" in dataset.splits else {}
    return [
        replace(
            dataset,
            splits={
                "train": pool.select([index for index, fold in enumerate(held_out) if fold != number]),
                "validation": pool.select([index for index, fold in enumerate(held_out) if fold == number]),
                **test,  # type: ignore[dict-item]
            },
            fingerprint=fold_fingerprint(dataset.fingerprint, number),
            former_fingerprint=fold_fingerprint(dataset.former_fingerprint, number),
        )
        for number in range(count)
    ]


def _rows_to_split(dataset: TextDataset, pool: datasets.Dataset) -> RowsToSplit:
    ids: list[str] = pool["id"][:]
    index_of = {name: index for index, name in enumerate(ids)}
    clusters = [[index_of[name] for name in cluster if name in index_of] for cluster in dataset.clusters]
    labels = Coded.of(dataset.labels.decode(dataset.labels.targets(pool["label"][:])))
    origins = np.zeros(len(ids), dtype=np.int32)
    return RowsToSplit(ids, labels, origins, [cluster for cluster in clusters if cluster], times=dataset.times)
