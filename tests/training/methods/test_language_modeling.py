"""Masking: shares as in BERT, no special tokens, a pure function of sequence and key."""

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

MASK_ID = 4
NON_SPECIAL = np.arange(1000) > 9


@dataclass
class Counts:
    selected: int = 0
    masked: int = 0
    replaced: int = 0
    kept: int = 0


def count_selected(masking: Masking, *, sequences: int, length: int) -> Counts:
    counts, random = Counts(), np.random.default_rng(0)
    for row in range(sequences):
        ids = random.integers(10, 1000, length)
        input_ids, labels = masking(ids, (1, 13, 0, row))
        selected = labels != IGNORED
        assert (labels[selected] == ids[selected]).all()
        assert (input_ids[~selected] == ids[~selected]).all()
        assert NON_SPECIAL[input_ids[selected & (input_ids != MASK_ID)]].all()
        counts.selected += int(selected.sum())
        counts.masked += int((input_ids[selected] == MASK_ID).sum())
        counts.kept += int((input_ids[selected] == ids[selected]).sum())
    counts.replaced = counts.selected - counts.masked - counts.kept
    return counts


def test_shares_of_selected_masked_and_replaced_tokens() -> None:
    counts = count_selected(Masking(0.15, MASK_ID, NON_SPECIAL), sequences=500, length=100)
    assert counts.selected == 500 * 15
    # Four standard deviations of 7,500 draws.
    assert counts.masked / counts.selected == pytest.approx(0.8, abs=0.0185)
    assert counts.replaced / counts.selected == pytest.approx(0.1, abs=0.014)
    assert counts.kept / counts.selected == pytest.approx(0.1, abs=0.014)


def test_special_tokens_are_never_selected_and_at_least_one_other_token_is() -> None:
    masking = Masking(0.15, MASK_ID, NON_SPECIAL)
    ids = np.array([2, 500, 3, 3, 0, 1])
    for row in range(50):
        _, labels = masking(ids, (row,))
        assert labels.tolist() == [IGNORED, 500, IGNORED, IGNORED, IGNORED, IGNORED]
    input_ids, labels = masking(np.array([2, 3]), (1,))
    assert (input_ids.tolist(), labels.tolist()) == ([2, 3], [IGNORED, IGNORED])


def test_masking_is_a_pure_function_of_sequence_and_key() -> None:
    masking, ids = Masking(0.15, MASK_ID, NON_SPECIAL), np.arange(10, 110)
    before = ids.copy()
    first = masking(ids, (1, 13, 2, 7))
    np.random.default_rng(5).random(100)
    again = masking(ids, (1, 13, 2, 7))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert (ids == before).all()
    for other in ((1, 14, 2, 7), (1, 13, 3, 7), (1, 13, 2, 8), (2, 13, 2, 7)):
        assert (masking(ids, other)[1] != first[1]).any(), other


def test_the_unknown_token_is_special(masked_base: Path) -> None:
    tokenizer = load_tokenizer(str(masked_base))
    non_special = non_special_tokens(tokenizer, len(tokenizer) + 5)
    assert not non_special[tokenizer.all_special_ids].any()
    assert not non_special[tokenizer.unk_token_id]
    assert not non_special[-5:].any()
    assert non_special.sum() == len(tokenizer) - len(tokenizer.all_special_ids)


def test_a_tokenizer_without_mask_token_is_refused(tiny_base: Path) -> None:
    with pytest.raises(ModelError, match=r"no mask token(.|\n)*Choose"):
        build_masking(PretrainSection(), load_tokenizer(str(tiny_base)), NON_SPECIAL)
