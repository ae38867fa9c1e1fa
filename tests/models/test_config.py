"""Configurations: pooling, dropout and the longest input of models to be trained."""

from __future__ import annotations

import json
from pathlib import Path

from slugline.core.labels import LabelSet
from slugline.models.build import build_pretrained
from slugline.models.config import pooling_of
from slugline.models.pretrained import longest_input
from slugline.models.tokenizers import load_tokenizer
from slugline.recipe.model_section import ModelSection

LABELS = LabelSet(("short", "long"))


def test_auto_pooling_uses_the_configuration_of_the_base(tiny_base: Path, tmp_path: Path) -> None:
    assert pooling_of(ModelSection(base=str(tiny_base))) == "native"
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    assert pooling_of(ModelSection(base=str(tmp_path))) == "cls"
    assert pooling_of(ModelSection(base=str(tmp_path), pooling="native")) == "native"


def test_the_head_determines_the_default_pooling(tiny_base: Path) -> None:
    assert pooling_of(ModelSection(base=str(tiny_base), head="native")) == "native"
    assert pooling_of(ModelSection(base=str(tiny_base), head="mlp")) == "mean"
    assert pooling_of(ModelSection(kind="decoder", base=str(tiny_base), adapt="adapter")) == "last"


def test_dropout_is_set_under_the_names_of_each_family(tiny_base: Path) -> None:
    section = ModelSection(base=str(tiny_base), pooling="native", dropout=0.3, attention_dropout=0.0, head_dropout=0.4)
    config = build_pretrained(section, LABELS, "cpu").config
    assert config.hidden_dropout_prob == 0.3
    assert config.attention_probs_dropout_prob == 0.0
    assert config.classifier_dropout == 0.4


def test_the_longest_input_is_that_of_the_model(tiny_base: Path) -> None:
    from transformers import BertConfig, GPT2Config, RobertaConfig

    tokenizer = load_tokenizer(str(tiny_base))
    tokenizer.model_max_length = 10**30
    assert longest_input(BertConfig(max_position_embeddings=64), tokenizer) == 64
    assert longest_input(RobertaConfig(max_position_embeddings=514, pad_token_id=1), tokenizer) == 512
    assert longest_input(GPT2Config(n_positions=1024), tokenizer) == 1024
