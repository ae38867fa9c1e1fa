"""Cross-validation: a data set several times over, with another part of its rows held out each time."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from slugline.core.errors import DataError
from slugline.data.dataset import TextDataset
from slugline.data.preparing.splits import hash_order


def folds_of(dataset: TextDataset, count: int, *, seed: int) -> list[TextDataset]:
    """Cut train, with a given validation split, into stratified folds.

    Args:
        dataset: loaded without a validation split of its own making.
        count: K folds.
        seed: data.split_seed.

    Returns:
        K data sets with the same labels and test rows: ``validation`` is one fold, ``train`` all others. Near
        duplicates are in the same fold.

    Raises:
        DataError: a class has fewer rows than there are folds, near duplicates counted once.
    """
    import datasets

    pool = datasets.concatenate_datasets(
        [dataset[split] for split in ("train", "validation") if split in dataset.splits]
    )
    held_out = assign_folds(
        pool["id"][:], dataset.labels.decode(pool["label"][:]), count=count, seed=seed, clusters=dataset.clusters
    )
    test = {"test": dataset.splits["test"]} if "test" in dataset.splits else {}
    return [
        replace(
            dataset,
            splits={
                "train": pool.select([index for index, fold in enumerate(held_out) if fold != number]),
                "validation": pool.select([index for index, fold in enumerate(held_out) if fold == number]),
                **test,  # type: ignore[dict-item]
            },
            fingerprint=hashlib.sha256(f"{dataset.fingerprint} {seed} {number}/{count}".encode()).hexdigest(),
        )
        for number in range(count)
    ]


def assign_folds(
    ids: Sequence[str], labels: Sequence[str], *, count: int, seed: int, clusters: Sequence[Sequence[str]] = ()
) -> list[int]:
    """Which fold holds each row out.

    Rows are dealt in hash order, each to the fold that has fewest of its class, and of these to the one with fewest
    rows. A cluster is dealt at once, as its first row.

    Args:
        ids: (N,) unique.
        labels: (N,) class names.
        count: K folds.
        seed: of the hash order.
        clusters: disjoint groups of ids that belong together; ids that are not there are passed over.

    Returns:
        (N,) numbers below K. Without clusters the counts of a class differ by at most one between folds.

    Raises:
        DataError: a class has fewer rows than there are folds, near duplicates counted once.
    """
    place = {name: index for index, name in enumerate(ids)}
    together: dict[int, list[int]] = {}
    for cluster in clusters:
        members = [place[name] for name in cluster if name in place]
        together |= dict.fromkeys(members, members)
    # Of a cluster whose labels differ, each label has a row.
    apart = {(label, min(together.get(index, [index]))) for index, label in enumerate(labels)}
    _require_enough(Counter(label for label, _ in apart), count)
    folds = [-1] * len(ids)
    of_class: dict[str, list[int]] = defaultdict(lambda: [0] * count)
    sizes = [0] * count
    for index in hash_order(ids, seed):
        if folds[index] >= 0:
            continue
        held = of_class[labels[index]]
        fold = min(range(count), key=lambda number: (held[number], sizes[number]))
        for member in together.get(index, [index]):
            folds[member] = fold
            of_class[labels[member]][fold] += 1
            sizes[fold] += 1
    return folds


def _require_enough(counts: Counter[str], folds: int) -> None:
    small = sorted((count, label) for label, count in counts.items() if count < folds)
    if not small:
        return
    described = ", ".join(f"{label!r} ({count})" for count, label in small[:10])
    more = f" and {len(small) - 10} more" if len(small) > 10 else ""
    names = json.dumps([label for _, label in small], ensure_ascii=False)
    raise DataError(
        f"train.folds = {folds}, but {len(small)} classes have fewer rows, near duplicates counted once: {described}{more}.",
        hint=f"Take fewer folds, or leave such classes out: data.drop_classes = {names}.",
    )
