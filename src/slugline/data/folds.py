"""Folds of a data set for cross-validation."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from slugline.data.dataset import TextDataset
from slugline.data.preparing.splits.assign_splits import assign_folds
from slugline.data.preparing.splits.time_splits import time_folds


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
    if dataset.time_order:
        held_out = time_folds(pool["id"][:], dataset.time_order, count=count)
    else:
        labels = dataset.labels.decode(dataset.labels.targets(pool["label"][:]))
        held_out = assign_folds(pool["id"][:], labels, count=count, seed=seed, clusters=dataset.clusters)

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
