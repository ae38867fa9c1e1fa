"""Token dropout: masks tokens only in training, never all tokens of a text; padding stays masked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import with_changes
from slugline import train
from slugline.training.loop import method
from slugline.training.methods.token_dropout import drop_tokens


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.booleans(), st.floats(0, 1), st.integers(0, 2**31))
def test_first_and_last_token_are_kept_and_padding_stays_masked(
    lengths: list[int], on_the_left: bool, share: float, seed: int
) -> None:
    torch.manual_seed(seed)
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)).long()
    mask = mask.flip(1) if on_the_left else mask
    kept = drop_tokens(mask, share)
    assert kept.dtype == mask.dtype
    assert (kept <= mask).all()
    for row, before in zip(kept, mask, strict=True):
        positions = before.nonzero().squeeze(1)
        assert row[positions[0]] == row[positions[-1]] == 1


def test_the_share_of_masked_tokens_is_as_configured() -> None:
    torch.manual_seed(0)
    kept = drop_tokens(torch.ones(100, 102, dtype=torch.int64), 0.3)
    assert kept[:, 1:-1].float().mean().item() == pytest.approx(0.7, abs=0.02)
    assert len({tuple(row.tolist()) for row in kept}) == 100


def test_tokens_are_masked_only_in_training_and_reproducibly(
    recipe_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []

    def forward(model: Any, batch: dict[str, torch.Tensor]) -> Any:
        modes.append((model.training, bool((batch["attention_mask"].diff(dim=1) == 1).any())))
        return original(model, batch)

    original = method.forward_texts
    monkeypatch.setattr("slugline.training.inputs.forward_texts", forward)
    losses = []
    for name, share in (("none", 0.0), ("dropout", 0.5), ("again", 0.5)):
        run = train(with_changes(recipe_values, train={"epochs": 1, "token_dropout": share}), run_dir=tmp_path / name)
        losses.append([line["loss"] for line in run.history if "loss" in line])
        assert set(modes) == {(True, share > 0)}
        modes.clear()
    assert losses[0] != losses[1] == losses[2]
