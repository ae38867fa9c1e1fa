"""The training loop: exact accumulation, recovery from exhausted memory, loss that is not finite."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from conftest import articles
from slugline.core.errors import TrainingError
from slugline.core.labels import LabelSet
from slugline.data.batching.loaders import UpdateSampler, update_loader
from slugline.data.batching.planning import BatchLimits
from slugline.data.batching.tokens import tokenise
from slugline.data.batching.truncation import Truncation
from slugline.evaluation.metrics import METRICS
from slugline.models.build import build_pretrained
from slugline.models.tokenizers import load_tokenizer
from slugline.recipe.model_section import ModelSection
from slugline.training.loop.callbacks import EvaluationSchedule
from slugline.training.loop.checkpoints import Progress
from slugline.training.loop.method import Method
from slugline.training.loop.schedules import SCHEDULES
from slugline.training.loop.train_metrics import RunningConfusion
from slugline.training.loop.trainer import ClassifierTrainer
from slugline.training.methods.losses import build_loss

LABELS = LabelSet(("business", "sport", "tech"))
ROWS = articles(96)
HEAD_ONLY = Truncation(32)
WINDOWS = Truncation(12, "window", 3, 4)


class Recorder(TrainerCallback):
    """Stores the logged lines."""

    def __init__(self) -> None:
        self.lines: list[dict[str, float]] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        if "loss" in logs:
            self.lines.append(logs)


def make(
    base: Path,
    folder: Path,
    *,
    rows: int = 2**31,
    tokens: int = 2**31,
    schedule: str = "linear",
    rate: float = 1e-3,
    head_rate: float = 0.0,
    dropout: float = 0.0,
    pooling: str = "native",
    truncation: Truncation = HEAD_ONLY,
    is_checkpointed: bool = False,
) -> tuple[ClassifierTrainer, Recorder]:
    torch.manual_seed(0)
    section = ModelSection(
        base=str(base),
        pooling=pooling,
        dropout=dropout,
        attention_dropout=dropout,
        head_dropout=dropout,  # type: ignore[arg-type]
    )
    model = build_pretrained(section, LABELS, "cpu")
    if is_checkpointed:
        model.activation_checkpointing_enable()
    tokenised = tokenise([row["text"] for row in ROWS], load_tokenizer(str(base)), truncation)
    targets = LABELS.encode([(row["label"],) for row in ROWS]).astype(np.int64)
    sampler = UpdateSampler(tokenised.lengths * tokenised.pieces, size=32, seed=0)
    recorder = Recorder()
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=2,
        learning_rate=rate,
        warmup_steps=0.2,
        use_cpu=True,
        logging_steps=1,
        eval_strategy="no",
        save_strategy="no",
        disable_tqdm=True,
        logging_nan_inf_filter=False,
        report_to="none",
    )
    trainer = ClassifierTrainer(
        model,
        arguments,
        loader=update_loader(tokenised, targets, sampler=sampler, pad_id=0),
        method=Method(build_loss("cross_entropy"), head_learning_rate=head_rate, schedule=SCHEDULES[schedule]),
        progress=Progress(BatchLimits(rows, tokens)),
        train_metrics=RunningConfusion(3),
        score=lambda _: {},
        callbacks=[recorder],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer, recorder


def trained(base: Path, folder: Path, **options: Any) -> tuple[ClassifierTrainer, list[dict[str, float]]]:
    trainer, recorder = make(base, folder, **options)
    trainer.train()
    return trainer, recorder.lines


@pytest.mark.parametrize("passes", [{"rows": 8}, {"rows": 5}, {"rows": 1}, {"tokens": 100}])
def test_accumulation_is_exact(tiny_base: Path, tmp_path: Path, passes: dict[str, int]) -> None:
    """Losses and gradient norms are the same, however an update is divided into forward passes."""
    _, expected = trained(tiny_base, tmp_path)
    _, divided = trained(tiny_base, tmp_path, **passes)
    assert len(expected) == 6
    for name in ("loss", "grad_norm"):
        found, wanted = ([line[name] for line in lines] for lines in (divided, expected))
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("passes", [{"rows": 5}, {"rows": 1}, {"tokens": 100}])
def test_accumulation_is_exact_over_windows(tiny_base: Path, tmp_path: Path, passes: dict[str, int]) -> None:
    """The windows of a text stay in one forward pass, and together count as one text."""
    trainer, expected = trained(tiny_base, tmp_path, truncation=WINDOWS)
    assert any("window_of" in update for update in trainer.loader)
    _, divided = trained(tiny_base, tmp_path, truncation=WINDOWS, **passes)
    for name in ("loss", "grad_norm"):
        found, wanted = ([line[name] for line in lines] for lines in (divided, expected))
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pooling", ["native", "mean"])
def test_gradient_checkpointing_changes_no_result(tiny_base: Path, tmp_path: Path, pooling: str) -> None:
    plain, expected = trained(tiny_base, tmp_path, pooling=pooling)
    checkpointed, found = trained(tiny_base, tmp_path, pooling=pooling, is_checkpointed=True)
    assert checkpointed.model.is_activation_checkpointing
    assert [line["loss"] for line in found] == pytest.approx([line["loss"] for line in expected], abs=1e-6)
    for (name, one), two in zip(plain.model.named_parameters(), checkpointed.model.parameters(), strict=True):
        if name.endswith("key.bias"):
            continue  # its gradient is only rounding error, which Adam scales to updates of full size
        torch.testing.assert_close(one, two, atol=1e-6, rtol=1e-5)


def test_the_logged_loss_is_the_mean_over_the_examples(tiny_base: Path, tmp_path: Path) -> None:
    trainer, recorder = make(tiny_base, tmp_path, rows=7)
    update = next(iter(trainer.loader))
    with torch.no_grad():
        logits = trainer.model.eval()(update["input_ids"], attention_mask=update["attention_mask"]).logits
        expected = torch.nn.functional.cross_entropy(logits, update["labels"]).item()
    trainer.train()
    assert recorder.lines[0]["loss"] == pytest.approx(expected, abs=1e-5)


class OutOfMemory:
    """Simulates exhausted memory in forward passes of more than ``rows`` rows, or in their backward passes."""

    def __init__(self, model: torch.nn.Module, *, rows: int, late: bool) -> None:
        self.rows, self.late, self.failures = rows, late, 0
        self.forward = model.forward
        model.forward = self  # type: ignore[method-assign, assignment]

    def fail(self) -> None:
        self.failures += 1
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 17179869184 bytes")

    def __call__(self, input_ids: torch.Tensor, **inputs: Any) -> Any:
        too_large = len(input_ids) > self.rows
        if too_large and not self.late:
            self.fail()
        output = self.forward(input_ids=input_ids, **inputs)
        if too_large:
            output.logits.register_hook(lambda _: self.fail())
        return output


@pytest.mark.parametrize("late", [False, True], ids=["forward", "backward"])
def test_exhausted_memory_halves_the_passes_and_changes_no_result(tiny_base: Path, tmp_path: Path, late: bool) -> None:
    reference, expected = trained(tiny_base, tmp_path)
    trainer, recorder = make(tiny_base, tmp_path)
    out_of_memory = OutOfMemory(trainer.model, rows=9, late=late)
    trainer.train()
    assert out_of_memory.failures == 2  # 32 -> 16 -> 8, once
    assert trainer.progress.limits.max_pieces == 8
    assert trainer.progress.examples == 192
    assert trainer.train_metrics.take().sum() == 192
    np.testing.assert_allclose([a["loss"] for a in recorder.lines], [b["loss"] for b in expected], atol=1e-5)
    for found, wanted in zip(trainer.model.parameters(), reference.model.parameters(), strict=True):
        # Adam scales gradients that are only rounding error to updates of full size.
        torch.testing.assert_close(found, wanted, atol=5e-4, rtol=1e-4)


def test_exhausted_memory_halves_windows_not_texts(tiny_base: Path, tmp_path: Path) -> None:
    """A pass of 32 texts has about 80 windows; the limit is halved from that number."""
    trainer, _ = make(tiny_base, tmp_path, truncation=WINDOWS)
    out_of_memory = OutOfMemory(trainer.model, rows=45, late=False)
    trainer.train()
    assert out_of_memory.failures >= 1
    assert 16 < trainer.progress.limits.max_pieces <= 45


def test_the_error_for_a_single_example_that_does_not_fit_has_a_hint(tiny_base: Path, tmp_path: Path) -> None:
    trainer, _ = make(tiny_base, tmp_path)
    OutOfMemory(trainer.model, rows=0, late=False)
    with pytest.raises(TrainingError, match=r"single example does not fit(.|\n)*max_length"):
        trainer.train()


def test_other_errors_are_raised(tiny_base: Path, tmp_path: Path) -> None:
    trainer, _ = make(tiny_base, tmp_path)

    def broken(**_: Any) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    trainer.model.forward = broken
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        trainer.train()


def test_a_loss_that_is_not_finite_stops_before_the_weights_change(tiny_base: Path, tmp_path: Path) -> None:
    trainer, _ = make(tiny_base, tmp_path)
    before = [parameter.detach().clone() for parameter in trainer.model.parameters()]
    trainer.method = Method(lambda logits, targets: logits.sum(dim=1) * float("nan"))
    with pytest.raises(TrainingError, match=r"loss is nan in update 1(.|\n)*learning rate"):
        trainer.train()
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.model.parameters(), strict=True))


def test_weights_that_are_not_finite_are_neither_evaluated_nor_saved() -> None:
    """The loss can still be finite in the update that makes a weight infinite."""
    model = torch.nn.Linear(2, 2)
    schedule = EvaluationSchedule(
        Progress(BatchLimits(1, 1)), METRICS["f1_macro"], eval_every=2, save_every=3, patience=0, min_delta=0
    )
    control = TrainerControl()
    with torch.no_grad():
        model.weight[0, 1] = float("nan")
    for step in (1, 2, 3):
        state = TrainerState(global_step=step, max_steps=10)
        with (
            nullcontext()
            if step == 1
            else pytest.raises(TrainingError, match=rf"not finite in update {step}(.|\n)*rate")
        ):
            schedule.on_step_end(None, state, control, model=model)  # type: ignore[arg-type]


@pytest.mark.parametrize("pooling", ["native", "mean"])
def test_the_head_has_its_own_rate_and_norms_do_not_decay(tiny_base: Path, tmp_path: Path, pooling: str) -> None:
    trainer, _ = make(tiny_base, tmp_path, head_rate=1e-2, pooling=pooling)
    groups = trainer.create_optimizer().param_groups
    rate_of = {id(p): group["lr"] for group in groups for p in group["params"]}
    decay_of = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    for name, parameter in trainer.model.named_parameters():
        assert rate_of[id(parameter)] == (1e-2 if name.startswith("classifier") else 1e-3), name
        if name.endswith("bias") or "LayerNorm" in name:
            assert decay_of[id(parameter)] == 0.0, name
    assert groups[0]["lr"] == 1e-3  # the rate that is logged


@pytest.mark.parametrize(
    ("schedule", "shares"), [("linear", [0, 0.5, 1, 0.75, 0.5, 0.25]), ("constant", [0, 0.5, 1, 1, 1, 1])]
)
def test_linear_and_constant_schedules(tiny_base: Path, tmp_path: Path, schedule: str, shares: list[float]) -> None:
    # The first two of six updates are the warm-up; the logged rate is that of the update.
    _, lines = trained(tiny_base, tmp_path, schedule=schedule)
    assert [line["learning_rate"] / 1e-3 for line in lines] == pytest.approx(shares)


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_a_warm_up_longer_than_the_training_only_rises(tiny_base: Path, tmp_path: Path, schedule: str) -> None:
    trainer, recorder = make(tiny_base, tmp_path, schedule=schedule)
    trainer.args.warmup_steps = 500
    trainer.train()
    rates = [line["learning_rate"] for line in recorder.lines]
    assert rates == sorted(rates)


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_cosine_and_one_cycle_schedules_rise_and_fall(tiny_base: Path, tmp_path: Path, schedule: str) -> None:
    _, lines = trained(tiny_base, tmp_path, schedule=schedule)
    found = [line["learning_rate"] for line in lines]
    peak = found.index(max(found))
    assert found[: peak + 1] == sorted(found[: peak + 1])
    assert found[peak:] == sorted(found[peak:], reverse=True)
    assert 0 < peak < len(found) - 1
    assert found[-1] < found[peak] / 2
