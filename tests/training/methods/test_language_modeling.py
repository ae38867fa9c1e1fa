"""What is hidden in a sequence: BERT's shares, never a special token, the same again for the same key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from slugline.core.errors import ModelError
from slugline.data.batching.packing import IGNORED
from slugline.models.tokenizers import load_tokenizer
from slugline.recipe.train_section import PretrainSection
from slugline.training.methods.language_modeling import Masking, build_masking, non_special_tokens

MASK = 4
ORDINARY = np.arange(1000) > 9


@dataclass
class Counts:
    chosen: int = 0
    hidden: int = 0
    swapped: int = 0
    kept: int = 0


def count_fates(masking: Masking, *, sequences: int, length: int) -> Counts:
    counts, random = Counts(), np.random.default_rng(0)
    for row in range(sequences):
        ids = random.integers(10, 1000, length)
        read, labels = masking(ids, (1, 13, 0, row))
        chosen = labels != IGNORED
        assert (labels[chosen] == ids[chosen]).all()
        assert (read[~chosen] == ids[~chosen]).all()
        assert ORDINARY[read[chosen & (read != MASK)]].all()
        counts.chosen += int(chosen.sum())
        counts.hidden += int((read[chosen] == MASK).sum())
        counts.kept += int((read[chosen] == ids[chosen]).sum())
    counts.swapped = counts.chosen - counts.hidden - counts.kept
    return counts


def test_fifteen_in_a_hundred_are_to_be_found_and_eight_in_ten_of_them_are_hidden() -> None:
    counts = count_fates(Masking(0.15, MASK, ORDINARY), sequences=500, length=100)
    assert counts.chosen == 500 * 15
    # Four standard deviations of 7,500 draws.
    assert counts.hidden / counts.chosen == pytest.approx(0.8, abs=0.0185)
    assert counts.swapped / counts.chosen == pytest.approx(0.1, abs=0.014)
    assert counts.kept / counts.chosen == pytest.approx(0.1, abs=0.014)


def test_special_tokens_are_never_hidden_and_something_always_is() -> None:
    masking = Masking(0.15, MASK, ORDINARY)
    ids = np.array([2, 500, 3, 3, 0, 1])
    for row in range(50):
        _, labels = masking(ids, (row,))
        assert labels.tolist() == [IGNORED, 500, IGNORED, IGNORED, IGNORED, IGNORED]
    read, labels = masking(np.array([2, 3]), (1,))
    assert (read.tolist(), labels.tolist()) == ([2, 3], [IGNORED, IGNORED])


def test_masking_is_a_pure_function_of_sequence_and_key() -> None:
    masking, ids = Masking(0.15, MASK, ORDINARY), np.arange(10, 110)
    before = ids.copy()
    first = masking(ids, (1, 13, 2, 7))
    np.random.default_rng(5).random(100)
    again = masking(ids, (1, 13, 2, 7))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert (ids == before).all()
    for other in ((1, 14, 2, 7), (1, 13, 3, 7), (1, 13, 2, 8), (2, 13, 2, 7)):
        assert (masking(ids, other)[1] != first[1]).any(), other


def test_the_unknown_token_is_no_ordinary_one(masked_base: Path) -> None:
    tokenizer = load_tokenizer(str(masked_base))
    non_special = non_special_tokens(tokenizer, len(tokenizer) + 5)
    assert not non_special[tokenizer.all_special_ids].any()
    assert not non_special[tokenizer.unk_token_id]
    assert not non_special[-5:].any()
    assert non_special.sum() == len(tokenizer) - len(tokenizer.all_special_ids)


def test_a_tokenizer_without_mask_token_is_refused(tiny_base: Path) -> None:
    with pytest.raises(ModelError, match=r"no mask token(.|\n)*Choose"):
        build_masking(PretrainSection(), load_tokenizer(str(tiny_base)), ORDINARY)
