"""The base that a pre-training started from."""

from __future__ import annotations

from pathlib import Path

import pytest

from slugline.core.layouts import RunLayout
from slugline.recipe import defaults
from slugline.recipe.kinds import KINDS
from slugline.recipe.model_section import ModelSection

DEFAULT_KIND = ModelSection.model_fields["kind"].default


@pytest.mark.parametrize(
    ("model", "base"),
    [
        ("", KINDS[DEFAULT_KIND].default_base),
        ("[model]\nkind = 'unknown'\n", ""),
        ("[model]\nbase = 'own/base'\n", "own/base"),
    ],
)
def test_the_origin_of_a_pretrained_base_without_a_model_section(tmp_path: Path, model: str, base: str) -> None:
    recipe = RunLayout(tmp_path).recipe
    recipe.write_text(f"{model}[pretrain]\n")
    assert defaults._origin_of(str(tmp_path / "model")) == base
