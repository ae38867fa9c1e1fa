"""Poolings: padding is ignored; plain transformers refuses the saved classifier by its model type."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from slugline.core.labels import LabelSet
from slugline.models.architectures.pooled import PooledConfig, pool
from slugline.models.build import build_pretrained
from slugline.models.saving import save
from slugline.models.tokenizers import load_tokenizer
from slugline.recipe.model_section import ModelSection

LABELS = LabelSet(("business", "sport", "tech"))
POOLINGS = ("cls", "last", "mean", "max")


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_is_ignored(pooling: str, side: str) -> None:
    torch.manual_seed(0)
    states = torch.randn(2, 4, 8)
    padding = torch.full((2, 3, 8), 1e3)
    ones, zeros = torch.ones(2, 4, dtype=torch.int64), torch.zeros(2, 3, dtype=torch.int64)
    parts = ((padding, states), (zeros, ones)) if side == "left" else ((states, padding), (ones, zeros))
    padded, padded_mask = torch.cat(parts[0], 1), torch.cat(parts[1], 1)
    torch.testing.assert_close(pool(padded, padded_mask, pooling), pool(states, ones, pooling))  # type: ignore[arg-type]


def test_values_of_the_poolings() -> None:
    states = torch.tensor([[[1.0], [5.0], [3.0]]])
    mask = torch.ones(1, 3, dtype=torch.int64)
    assert [pool(states, mask, name).item() for name in POOLINGS] == [1.0, 3.0, 3.0, 5.0]  # type: ignore[arg-type]


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(ValueError, match="pooling is 'sum'"):
        PooledConfig(pooling="sum")  # type: ignore[arg-type]


def test_the_tanh_pooler_is_neither_trained_nor_saved(tiny_base: Path) -> None:
    model = build_pretrained(ModelSection(base=str(tiny_base), pooling="mean"), LABELS, "cpu")
    assert not [name for name, _ in model.named_parameters() if "pooler" in name]


def test_plain_transformers_refuses_the_folder_by_name(tiny_base: Path, tmp_path: Path) -> None:
    model = build_pretrained(ModelSection(base=str(tiny_base), pooling="mean"), LABELS, "cpu")
    save(model, load_tokenizer(str(tiny_base)), tmp_path)
    script = (
        "from transformers import AutoModelForSequenceClassification as Auto\n"
        f"try: Auto.from_pretrained({str(tmp_path)!r})\n"
        "except ValueError as error: assert 'slugline_pooled' in str(error), error\n"
        "else: raise SystemExit('it loaded')\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    assert "slugline.load" in (tmp_path / "README.md").read_text()
