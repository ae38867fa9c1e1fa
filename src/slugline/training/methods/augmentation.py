"""Augmentation: changed copies of the training texts of small classes, added before training.

The copies depend only on the training rows and the seed. Nothing is added to other splits; a fold of a cross-validation
copies only rows of its own training part.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from slugline.core.errors import DataError
from slugline.core.hardware import Device
from slugline.core.labels import RowLabels
from slugline.data.dataset import TextDataset
from slugline.recipe.data_section import AugmentationName, DataSection
from slugline.recipe.kinds import resolve

logger = logging.getLogger(__name__)

#: Copies of a text at most: more would repeat the same words.
MOST_COPIES = 10

#: Texts and a random generator to as many changed texts.
Augmentation = Callable[[Sequence[str], np.random.Generator], list[str]]


@dataclass(frozen=True)
class AugmentationOptions:
    """The share of changed words, and the model, of an augmentation.

    Args:
        share: share of the words of a text that are changed, at least one word.
        model: folder or Hub name of the model that the augmentation uses, if it uses one.
        device: device for the model.
    """

    share: float
    model: str = ""
    device: Device = "cpu"


def build_dropout(options: AugmentationOptions) -> Augmentation:
    """Build the augmentation that leaves out words (Wei and Zou 2019).

    Args:
        options: its options.

    Returns:
        The augmentation; a text of one word stays as it is.
    """

    def drop(text: str, rng: np.random.Generator) -> str:
        words = text.split()
        dropped = set(chosen_words(len(words), options.share, rng)[: max(0, len(words) - 1)])
        return " ".join(word for index, word in enumerate(words) if index not in dropped)

    return lambda texts, rng: [drop(text, rng) for text in texts]


def build_swap(options: AugmentationOptions) -> Augmentation:
    """Build the augmentation that exchanges pairs of words (Wei and Zou 2019).

    Args:
        options: its options.

    Returns:
        The augmentation; a text of one word stays as it is.
    """

    def swap(text: str, rng: np.random.Generator) -> str:
        words = text.split()
        for first in chosen_words(len(words), options.share, rng) if len(words) > 1 else ():
            second = (first + int(rng.integers(1, len(words)))) % len(words)
            words[first], words[second] = words[second], words[first]
        return " ".join(words)

    return lambda texts, rng: [swap(text, rng) for text in texts]


#: ``data.augment`` -> function from its options to the augmentation, or ``module:function``. A row is one augmentation.
AUGMENTATIONS: dict[AugmentationName, str | Callable[[AugmentationOptions], Augmentation]] = {
    "dropout": build_dropout,
    "swap": build_swap,
    "neighbours": "slugline.training.methods.augmenting_models:build_neighbours",
    "masked": "slugline.training.methods.augmenting_models:build_masked",
    "paraphrase": "slugline.training.methods.augmenting_models:build_paraphrase",
}


def chosen_words(count: int, share: float, rng: np.random.Generator) -> list[int]:
    """Return the positions of the words of a text that are changed.

    Args:
        count: number of words.
        share: share of them; at least one word is chosen.
        rng: random generator.

    Returns:
        Distinct positions; none for a text without words.
    """
    size = min(count, max(1, round(share * count)))
    return [int(position) for position in rng.choice(count, size, replace=False)] if count else []


def build_augmentations(section: DataSection, *, base: str, device: Device) -> dict[AugmentationName, Augmentation]:
    """Build the augmentations of a recipe; their models are loaded.

    Args:
        section: data section of the recipe.
        base: value of ``model.base``, the model that augmentations use by default.
        device: device for the models.

    Returns:
        Augmentations by name, in the order of ``data.augment``.

    Raises:
        ModelError: a model cannot be loaded, or is of another kind.
    """
    models = {str(name): model for name, model in section.augment_models.items()}
    return {
        name: resolve(AUGMENTATIONS[name])(AugmentationOptions(section.augment_share, models.get(name, base), device))
        for name in section.augment
    }


def augmented(
    dataset: TextDataset, section: DataSection, augmentations: Mapping[AugmentationName, Augmentation], *, seed: int
) -> tuple[TextDataset, dict[str, int]]:
    """Add changed copies to the training rows of small classes.

    Args:
        dataset: data set with training rows.
        section: data section of the recipe.
        augmentations: from `build_augmentations`; they make copies in turn.
        seed: seed of the choice of rows, and of the changes.

    Returns:
        The data set with the copies, and their number by class. A copy that equals its original is left out.

    Raises:
        DataError: the training rows have no labels.
    """
    import datasets

    train, rng = dataset["train"], np.random.default_rng(seed)
    texts, rows = train["text"][:], dataset.labels.decode(dataset.targets("train"))
    sources = rows_to_copy(rows, size=section.augment_to, rng=rng)
    copies: dict[int, str] = {}
    for turn, augmentation in enumerate(augmentations.values()):
        own = range(turn, len(sources), len(augmentations))
        copies |= dict(zip(own, augmentation([texts[sources[index]] for index in own], rng), strict=True))
    kept = [index for index, text in sorted(copies.items()) if text.strip() and text != texts[sources[index]]]
    if not kept:
        return dataset, {}
    columns: dict[str, Any] = train.select([sources[index] for index in kept]).to_dict()
    columns["text"] = [copies[index] for index in kept]
    columns["id"] = [f"{name}~{index}" for name, index in zip(columns["id"], kept, strict=True)]
    both = datasets.concatenate_datasets([train, datasets.Dataset.from_dict(columns, features=train.features)])
    counts = Counter(name for index in kept for name in rows[sources[index]])
    added = {name: counts[name] for name in dataset.labels.names if counts[name]}
    logger.info("%s texts added to train by %s: %s", f"{len(kept):,}", " and ".join(augmentations), _shown(added))
    # The cache of tokens is found by the fingerprint.
    digest = hashlib.sha256("\n".join([dataset.fingerprint, *columns["id"], *columns["text"]]).encode()).hexdigest()
    return replace(dataset, splits={**dataset.splits, "train": both}, fingerprint=digest), added


def _shown(added: Mapping[str, int]) -> str:
    largest = sorted(added.items(), key=lambda item: -item[1])[:5]
    return ", ".join(f"{name} {count:,}" for name, count in largest) + (", ..." if len(added) > len(largest) else "")


def rows_to_copy(rows: Sequence[RowLabels], *, size: int, rng: np.random.Generator) -> list[int]:
    """Choose the rows that are copied until each class has enough rows.

    Classes are filled from the smallest on. The rows of a class are copied in random order, each at most `MOST_COPIES`
    times. A copy counts for all labels of its row.

    Args:
        rows: labels of N rows.
        size: rows that each class is filled up to; 0 = the median of the classes.
        rng: random generator.

    Returns:
        Indices of rows, with repetitions.

    Raises:
        DataError: no row has a label.
    """
    members: dict[str, list[int]] = {}
    for index, names in enumerate(rows):
        for name in names:
            members.setdefault(name, []).append(index)
    if not members:
        raise DataError("data.augment: no training row has a label.", hint="Leave data.augment out.")
    counts = Counter({name: len(indices) for name, indices in members.items()})
    wanted = size or int(np.median(list(counts.values())))
    copied: Counter[int] = Counter()
    chosen: list[int] = []
    for name in sorted(members, key=lambda name: (len(members[name]), name)):
        for _ in range(MOST_COPIES):
            for index in rng.permutation(members[name]).tolist():
                if counts[name] >= wanted:
                    break
                if copied[index] < MOST_COPIES:
                    copied[index] += 1
                    counts.update(rows[index])
                    chosen.append(index)
    return chosen
