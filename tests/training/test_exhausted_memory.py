"""Memory that runs out outside of an update is reported with its fix; a trained model is freed before it is loaded."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModel, PreTrainedModel

from conftest import linear, with_changes
from slugline import load, train
from slugline.core.errors import ModelError, SluglineError, TrainingError
from slugline.core.memory import is_out_of_memory, memory_errors
from slugline.evaluation import evaluate
from slugline.models.adaptation.adapt import Adapted
from slugline.pipeline import pretrain
from slugline.run.run import Run
from slugline.training import finetune
from slugline.training.loop import session
from slugline.training.loop.trainer import ClassifierTrainer

#: Messages of torch, CUDA, the operating system and safetensors.
ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has 15 GiB in total"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 17179869184 bytes."),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    OSError(12, "Cannot allocate memory"),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: str(error)[:30])
def test_exhausted_memory_is_recognised(error: Exception) -> None:
    message = r"memory is exhausted while training: \S.*\n.*micro_batch_size.*--resume"
    with pytest.raises(TrainingError, match=message), memory_errors(TrainingError, "training"):
        raise error


@pytest.mark.parametrize("error", [RuntimeError("shapes"), ModelError("not enough memory"), KeyboardInterrupt()])
def test_other_errors_are_not_changed(error: BaseException) -> None:
    assert not is_out_of_memory(error)
    with pytest.raises(type(error)) as caught, memory_errors(TrainingError, "training"):
        raise error
    assert caught.value is error


def out_of_memory(*_: Any, **__: Any) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


#: Where memory runs out: object, attribute, class of the error.
PLACES: list[tuple[Any, str, type[SluglineError]]] = [
    (AutoModel, "from_pretrained", TrainingError),
    (ClassifierTrainer, "__init__", TrainingError),  # moves the model to the device
    (torch.optim.AdamW, "step", TrainingError),
    (torch.nn.utils, "clip_grad_norm_", TrainingError),
    (finetune, "summary", TrainingError),
    (session, "load_evaluated_weights", TrainingError),
    (Adapted, "merged", TrainingError),
    (finetune, "load", TrainingError),
    (evaluate, "score", ModelError),
    (evaluate, "_latency", ModelError),
]


@pytest.mark.parametrize(("owner", "name", "kind"), PLACES, ids=str)
def test_exhausted_memory_outside_of_updates_is_reported(
    recipe_values: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    kind: type[SluglineError],
) -> None:
    recipe = with_changes(recipe_values)
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, out_of_memory)
        with pytest.raises(kind, match=r"memory is exhausted while \w+: CUDA out of memory(.|\n)*data.max_length"):
            train(recipe, run_dir=tmp_path / "run")
    run = Run(tmp_path / "run")
    assert run.state == "failed"
    assert "memory is exhausted" in run.manifest["error"]
    assert train(recipe, run_dir=tmp_path / "run", resume=True).state == "complete"


def test_loading_linear_models_and_pre_training_report_it_too(
    recipe_values: dict[str, Any], masked_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(linear(recipe_values), run_dir=tmp_path / "linear")
    with monkeypatch.context() as patched:
        patched.setattr("slugline.inference.linear.LinearPredictor.__init__", out_of_memory)
        with pytest.raises(ModelError, match="exhausted while loading a model"):
            load(run.path)
        with pytest.raises(TrainingError, match="exhausted while training"):
            train(linear(recipe_values), run_dir=tmp_path / "again")
    monkeypatch.setattr(torch.optim.AdamW, "step", out_of_memory)
    recipe = with_changes(recipe_values, model={"base": str(masked_base)}, pretrain={"sequence_length": 16})
    with pytest.raises(TrainingError, match="exhausted while training"):
        pretrain(recipe, run_dir=tmp_path / "pretrained")


@pytest.fixture
def alive_at_loading(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """For each training: names of the models and optimizers in memory when the saved model is loaded."""
    references: list[weakref.ref[Any]] = []
    found: list[list[str]] = []

    def remember(owner: Any, name: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        def remembering(self: Any, *arguments: Any, **options: Any) -> Any:
            references.append(weakref.ref(self))
            return original(self, *arguments, **options)

        monkeypatch.setattr(owner, name, remembering)

    def load_and_count(*arguments: Any, **options: Any) -> Any:
        found.append([type(alive).__name__ for reference in references if (alive := reference()) is not None])
        assert references
        references.clear()
        return load(*arguments, **options)

    remember(PreTrainedModel, "__init__")
    remember(torch.optim.Optimizer, "__init__")
    remember(ClassifierTrainer, "__init__")
    monkeypatch.setattr(finetune, "load", load_and_count)
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"train": {"weight_averaging": "ema"}},
        {"model": {"adapt": "lora"}},
        {"model": {"adapt": "frozen"}},
        {"model": {"adapt": "gradual"}},
        {"train": {"folds": 2}},
    ],
    ids=str,
)
def test_the_trained_model_is_freed_before_the_saved_one_is_loaded(
    recipe_values: dict[str, Any], tmp_path: Path, alive_at_loading: list[list[str]], changes: dict[str, Any]
) -> None:
    recipe = with_changes(recipe_values, **{"train": {}, **changes})
    train(recipe, run_dir=tmp_path / "run")
    assert alive_at_loading == [[]] * (recipe.train.folds or 1)
