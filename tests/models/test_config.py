"""Configurations: pooling and dropout of models to be trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slugline.core.errors import ModelError
from slugline.core.labels import LabelSet
from slugline.models.build import build_pretrained
from slugline.models.config import pooling_of
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


@pytest.mark.parametrize(
    ("written", "pooling"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode_lasttoken": True}, "last"),
        ({"embedding_dimension": 384, "pooling_mode": "mean", "include_prompt": True}, "mean"),
        ({"embedding_dimension": 384, "pooling_mode": "lasttoken"}, "last"),
        ({"embedding_dimension": 384, "pooling_mode": ["max"]}, "max"),
        ({"embedding_dimension": 384, "pooling_mode": "cls"}, "cls"),
    ],
)
def test_both_forms_of_sentence_pooling_are_read(tmp_path: Path, written: dict[str, Any], pooling: str) -> None:
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(written))
    assert pooling_of(ModelSection(base=str(tmp_path))) == pooling


@pytest.mark.parametrize(
    ("written", "pooling", "named"),
    [
        ({"pooling_mode": "weightedmean"}, "mean", "weightedmean"),
        ({"pooling_mode": "mean_sqrt_len_tokens"}, "mean", "mean_sqrt_len_tokens"),
        ({"pooling_mode_weightedmean_tokens": True}, "mean", "weightedmean"),
        ({"pooling_mode": ["cls", "max"]}, "cls", "cls and max"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, "cls", "cls and mean"),
    ],
)
def test_another_sentence_pooling_is_replaced_and_logged(
    tmp_path: Path, written: dict[str, Any], pooling: str, named: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(written))
    assert pooling_of(ModelSection(base=str(tmp_path))) == pooling
    assert f'pools by {named}, which is not one of the poolings here: model.pooling = "{pooling}"' in caplog.text


def test_a_damaged_pooling_configuration_is_named(tmp_path: Path) -> None:
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode": ')
    with pytest.raises(ModelError, match=r"1_Pooling/config\.json is damaged"):
        pooling_of(ModelSection(base=str(tmp_path)))
