"""Gradual unfreezing: the epoch determines which blocks are trained; a training that is too short causes a warning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from slugline.core.labels import LabelSet
from slugline.models.build import build_pretrained
from slugline.recipe.model_section import ModelSection
from slugline.training.methods.unfreezing import GradualUnfreezing


@pytest.fixture
def model(tiny_base: Path) -> Any:
    return build_pretrained(ModelSection(base=str(tiny_base), pooling="mean"), LabelSet(("a", "b")), "cpu")


def trained_parts(model: Any) -> list[str]:
    """Return the parts of the model that are trained."""
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    parts = {"layer.0": "lower block", "layer.1": "upper block", "embeddings": "embeddings", "classifier": "head"}
    return sorted({part for fragment, part in parts.items() for name in names if fragment in name})


def trained_at(model: Any, epoch: float, *, stage: float = 1.0, tmp: str = "x") -> list[str]:
    callback = GradualUnfreezing(model, stage)
    state = TrainerState(epoch=epoch)
    callback.on_step_begin(TrainingArguments(output_dir=tmp), state, TrainerControl())
    return trained_parts(model)


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (0.0, ["head"]),
        (0.999, ["head"]),
        (1.0, ["head", "upper block"]),
        (2.5, ["head", "lower block", "upper block"]),
        (3.0, ["embeddings", "head", "lower block", "upper block"]),
        (9.0, ["embeddings", "head", "lower block", "upper block"]),
    ],
)
def test_trained_parts_depend_only_on_the_epoch(model: Any, tmp_path: Path, epoch: float, expected: list[str]) -> None:
    assert trained_at(model, epoch, tmp=str(tmp_path)) == expected


def test_stages_can_be_shorter_than_an_epoch(model: Any, tmp_path: Path) -> None:
    assert trained_at(model, 1.5, stage=0.5, tmp=str(tmp_path)) == ["embeddings", "head", "lower block", "upper block"]


def test_a_training_that_ends_before_the_last_stage_causes_a_warning(
    model: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    callback = GradualUnfreezing(model, 1.0)
    for epochs in (4, 3):
        arguments = TrainingArguments(output_dir=str(tmp_path), num_train_epochs=epochs)
        callback.on_train_begin(arguments, TrainerState(), TrainerControl())
        assert ("needs more than 3 epochs" in caplog.text) == (epochs == 3)
