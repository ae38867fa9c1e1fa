"""Mixup and CutMix: targets are mixed like the states, padding is not mixed, and all architectures are supported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from conftest import with_changes
from slugline import train
from slugline.core.errors import ModelError
from slugline.core.labels import LabelSet
from slugline.models.architectures.blocks import blocks_of
from slugline.models.build import build_pretrained
from slugline.recipe.model_section import ModelSection
from slugline.training.methods.mixup import Mix, Mixing, cutmix_weights, mixed_loss, mixup_weights
from slugline.training.methods.token_dropout import drop_tokens

LABELS = LabelSet(("business", "sport", "tech"))
LENGTHS = [9, 4, 7, 2, 9, 5]
lengths_strategy = st.lists(st.integers(1, 40), min_size=1, max_size=8)


def masked(lengths: list[int]) -> Tensor:
    """Return a mask (B, T): ones, then padding."""
    return (torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)).long()


@settings(deadline=None)
@given(lengths_strategy, st.sampled_from(["mixup", "cutmix"]), st.floats(0.05, 5), st.integers(0, 2**31))
def test_the_share_is_that_of_the_mixed_states(lengths: list[int], kind: Any, alpha: float, seed: int) -> None:
    torch.manual_seed(seed)
    mask = masked(lengths)
    mix = Mixing(nn.Sequential(nn.ModuleList([nn.Linear(1, 1)])), kind, alpha).draw(mask)
    assert sorted(mix.partner.tolist()) == list(range(len(lengths)))
    assert ((mix.weights >= 0) & (mix.weights <= 1)).all()
    both = mask * mask[mix.partner]
    assert (mix.weights[both == 0] == 0).all()  # neither in a text's own padding, nor in its partner's
    # With states of 1 for the partner and of 0 for the text itself, the mean of the mixed states is the share.
    for row, length in enumerate(lengths):
        mixed = torch.zeros(mask.shape[1]).lerp(torch.ones(mask.shape[1]), mix.weights[row])
        assert mix.share[row].item() == pytest.approx(mixed[:length].mean().item(), abs=1e-6)


@settings(deadline=None)
@given(lengths_strategy, st.floats(0, 1), st.integers(0, 2**31))
def test_cutmix_replaces_one_span_with_the_length_of_the_share(lengths: list[int], own: float, seed: int) -> None:
    torch.manual_seed(seed)
    mask = masked(lengths)
    weights = cutmix_weights(mask, own)
    for row, length in zip(weights, lengths, strict=True):
        taken = row.nonzero().squeeze(1).tolist()
        assert len(taken) == round(torch.tensor((1 - own) * length).round().item())
        assert not taken or taken == list(range(taken[0], taken[-1] + 1))
        assert not row[length:].any()


@settings(deadline=None)
@given(lengths_strategy, st.floats(0, 1), st.floats(0, 1), st.integers(0, 2**31))
def test_cutmix_spans_ignore_masked_tokens(lengths: list[int], own: float, dropout: float, seed: int) -> None:
    torch.manual_seed(seed)
    mask = drop_tokens(masked(lengths), dropout)
    for row, kept in zip(cutmix_weights(mask, own), mask, strict=True):
        assert (row <= kept).all()
        positions = kept.nonzero().squeeze(1)
        taken = row[positions].nonzero().squeeze(1).tolist()
        assert len(taken) == row.sum() == round(torch.tensor((1 - own) * len(positions)).round().item())
        assert not taken or taken == list(range(taken[0], taken[-1] + 1))


@settings(deadline=None)
@given(lengths_strategy, st.floats(0, 1))
def test_mixup_has_the_same_share_at_all_positions(lengths: list[int], own: float) -> None:
    mask = masked(lengths)
    torch.testing.assert_close(mixup_weights(mask, own), (1 - own) * mask.float())


def test_losses_are_mixed_by_the_share() -> None:
    logits, targets = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2])
    mix = Mix(0, torch.tensor([1, 2, 0]), torch.zeros(3, 1), torch.tensor([0.0, 0.25, 1.0]))

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(logits, targets, reduction="none")

    own, others = loss(logits, targets), loss(logits, targets[mix.partner])
    expected = torch.stack([own[0], 0.75 * own[1] + 0.25 * others[1], others[2]])
    torch.testing.assert_close(mixed_loss(loss, logits, targets, mix), expected)
    # Equal to cross entropy with the mixed target.
    soft = torch.lerp(torch.eye(4)[targets], torch.eye(4)[targets[mix.partner]], mix.share.unsqueeze(1))
    torch.testing.assert_close(
        mixed_loss(loss, logits, targets, mix), functional.cross_entropy(logits, soft, reduction="none")
    )


#: Model type and pooling: blocks that return tensors, and blocks that return tuples.
ARCHITECTURES = [
    ("bert", "native"),
    ("bert", "mean"),
    ("distilbert", "native"),
    ("distilbert", "mean"),
    ("roberta", "native"),
    ("deberta-v2", "native"),
    ("gpt2", "native"),
    ("gpt2", "last"),
]


def network(base: Path, pooling: Any, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    section = ModelSection(base=str(base), pooling=pooling, head_dropout=0.0, **{"dropout": 0.0, **options})
    return build_pretrained(section, LABELS, "cpu").train()


def inputs() -> dict[str, Tensor]:
    mask = masked(LENGTHS)
    ids = torch.randint(4, 50, mask.shape, generator=torch.Generator().manual_seed(1))
    return {"input_ids": ids * mask, "attention_mask": mask}


class Capture:
    """Stores the output states of a block."""

    def __init__(self, block: nn.Module) -> None:
        block.register_forward_hook(self)

    def __call__(self, block: nn.Module, _: Any, output: Any) -> None:
        self.states = (output[0] if isinstance(output, tuple) else output).detach()


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
@pytest.mark.parametrize(("family", "pooling"), ARCHITECTURES)
def test_states_are_mixed_after_the_drawn_block(
    family_base: Callable[[str], Path], family: str, pooling: str, kind: Any
) -> None:
    model = network(family_base(family), pooling, attention_dropout=0.0)
    blocks = blocks_of(model, key="it")
    assert len(blocks) == 2
    before = Capture(blocks[0])  # registered first, so that it stores the states before they are mixed
    mixing = Mixing(model, kind, 1.0)
    after = Capture(blocks[0])
    batch = inputs()
    unmixed = model(**batch).logits
    torch.manual_seed(3)
    mix = mixing.draw(batch["attention_mask"])
    while mix.block != 0 or not mix.share.any():
        mix = mixing.draw(batch["attention_mask"])
    mixed = model(**batch).logits
    weights = mix.weights.unsqueeze(-1)
    torch.testing.assert_close(after.states, (1 - weights) * before.states + weights * before.states[mix.partner])
    assert not torch.allclose(mixed, unmixed, atol=1e-4)
    torch.testing.assert_close(model.eval()(**batch).logits, unmixed)  # equal, because there is no dropout


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_a_share_of_0_has_no_effect(tiny_base: Path, kind: Any) -> None:
    model = network(tiny_base, "mean", attention_dropout=0.0)
    unmixed = model(**inputs()).logits
    mixing = Mixing(model, kind, 1.0)
    mixing.beta = SimpleNamespace(sample=lambda: torch.tensor(1.0))  # type: ignore[assignment]
    mix = mixing.draw(inputs()["attention_mask"])
    assert not mix.share.any()
    torch.testing.assert_close(model(**inputs()).logits, unmixed)


def test_cutmix_skips_the_last_block(tiny_base: Path) -> None:
    """A head that reads one token would get that token from one of the two texts, whatever the share."""
    mask = masked(LENGTHS)
    torch.manual_seed(0)
    cutmix, mixup = (Mixing(network(tiny_base, "cls"), kind, 1.0) for kind in ("cutmix", "mixup"))
    assert {cutmix.draw(mask).block for _ in range(40)} == {0}
    assert {mixup.draw(mask).block for _ in range(40)} == {0, 1}


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
@pytest.mark.parametrize(("family", "pooling"), ARCHITECTURES)
def test_mixing_works_with_gradient_checkpointing(
    family_base: Callable[[str], Path], family: str, pooling: str, kind: Any
) -> None:
    """States are computed twice, and dropout has to be the same both times."""

    def gradients(is_checkpointed: bool) -> list[Tensor]:
        model = network(family_base(family), pooling, dropout=0.1)
        if is_checkpointed:
            model.activation_checkpointing_enable()
        mixing, batch = Mixing(model, kind, 1.0), inputs()
        torch.manual_seed(5)
        for _ in range(2):  # two forward passes, each with its own mixture
            mix = mixing.draw(batch["attention_mask"])
            logits = model(**batch).logits
            loss = mixed_loss(
                lambda logits, targets: functional.cross_entropy(logits, targets, reduction="none"),
                logits,
                torch.tensor([0, 1, 2, 0, 1, 2]),
                mix,
            )
            loss.sum().backward()
        return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]

    for found, expected in zip(gradients(True), gradients(False), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_models_without_separate_blocks_are_refused(family_base: Callable[[str], Path]) -> None:
    with pytest.raises(ModelError, match="no list of blocks"):
        blocks_of(nn.Linear(2, 2), key="it")
    with pytest.raises(ModelError, match="same block for several layers"):
        blocks_of(network(family_base("albert"), "native"), key="it")
    with pytest.raises(ModelError, match="same block for several layers"):
        blocks_of(network(family_base("albert"), "mean"), key="it")


def test_mixing_changes_training_and_is_reproducible(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    losses = []
    for name, keys in (("none", {}), ("mixup", {"mixup": 0.5}), ("again", {"mixup": 0.5}), ("cutmix", {"cutmix": 0.5})):
        run = train(with_changes(recipe_values, train={"epochs": 1} | keys), run_dir=tmp_path / name)
        losses.append([line["loss"] for line in run.history if "loss" in line])
    assert losses[1] == losses[2]
    assert losses[0] != losses[1] != losses[3] != losses[0]
