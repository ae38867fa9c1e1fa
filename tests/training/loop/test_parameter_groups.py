"""Parameter groups: each parameter is in one group; learning rates decrease towards the embeddings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from slugline.core.labels import LabelSet
from slugline.models.build import build_pretrained
from slugline.recipe.model_section import ModelSection
from slugline.training.loop.parameter_groups import parameter_groups
from slugline.training.loop.schedules import SCHEDULES, ScheduledRates

LABELS = LabelSet(("business", "sport", "tech"))
RATE, HEAD, DECAY = 1e-3, 1e-2, 0.5

#: Model type, pooling, and prefixes of the names of the head's parameters.
NETWORKS = [
    ("bert", "native", ("classifier",)),
    ("bert", "mean", ("classifier",)),
    ("distilbert", "native", ("pre_classifier", "classifier")),
    ("distilbert", "cls", ("classifier",)),
    ("roberta", "native", ("classifier",)),
    ("deberta-v2", "native", ("pooler", "classifier")),
    ("gpt2", "native", ("score",)),
    ("gpt2", "last", ("classifier",)),
]


def network(base: Path, pooling: Any) -> Any:
    return build_pretrained(ModelSection(base=str(base), pooling=pooling), LABELS, "cpu")


def groups_of(model: Any, *, layer_decay: float = DECAY, head_rate: float = HEAD) -> list[dict[str, Any]]:
    decaying = {name for name, _ in model.named_parameters() if name.endswith("weight") and "orm" not in name}
    return parameter_groups(
        model,
        base_prefix=f"{model.base_model_prefix}.",
        decaying=decaying,
        learning_rate=RATE,
        head_learning_rate=head_rate,
        layer_decay=layer_decay,
        weight_decay=0.1,
    )


def expected_rate(name: str, head: tuple[str, ...]) -> float:
    """Return the learning rate of a parameter, in a model with two blocks."""
    if name.startswith(head):
        return HEAD
    if "embed" in name or "wte" in name or "wpe" in name:
        return RATE * DECAY**2
    return RATE * DECAY if ".0." in name else RATE


@pytest.mark.parametrize(("family", "pooling", "head"), NETWORKS)
def test_rates_decrease_towards_the_embeddings(
    family_base: Callable[[str], Path], family: str, pooling: str, head: tuple[str, ...]
) -> None:
    model = network(family_base(family), pooling)
    groups = groups_of(model)
    members = Counter(id(parameter) for group in groups for parameter in group["params"])
    assert members == Counter({id(parameter): 1 for parameter in model.parameters()})
    group_of = {id(parameter): group for group in groups for parameter in group["params"]}
    seen = set()
    for name, parameter in model.named_parameters():
        assert group_of[id(parameter)]["lr"] == pytest.approx(expected_rate(name, head)), name
        seen.add(expected_rate(name, head))
    assert seen == {RATE * DECAY**2, RATE * DECAY, RATE, HEAD}
    assert groups[0]["lr"] == RATE  # the rate that is logged
    assert groups[-1]["lr"] == HEAD


def test_weight_decay_applies_only_to_the_given_parameters(tiny_base: Path) -> None:
    model = network(tiny_base, "mean")
    decay_of = {id(p): group["weight_decay"] for group in groups_of(model) for p in group["params"]}
    for name, parameter in model.named_parameters():
        assert decay_of[id(parameter)] == (0.1 if name.endswith("weight") and "orm" not in name else 0.0), name


@pytest.mark.parametrize(("head_rate", "rates"), [(HEAD, {RATE, HEAD}), (RATE, {RATE})])
def test_without_layer_decay_the_base_has_one_rate(tiny_base: Path, head_rate: float, rates: set[float]) -> None:
    groups = groups_of(network(tiny_base, "mean"), layer_decay=1.0, head_rate=head_rate)
    assert {group["lr"] for group in groups} == rates


def test_frozen_weights_are_in_no_group(tiny_base: Path) -> None:
    model = network(tiny_base, "mean")
    model.backbone.embeddings.requires_grad_(False)
    found = {id(parameter) for group in groups_of(model) for parameter in group["params"]}
    assert found == {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    assert groups_of(model)[0]["lr"] == RATE


def test_one_cycle_keeps_the_ratio_of_the_rates(tiny_base: Path) -> None:
    """Used as in the trainer: each group rises to its own rate and falls again."""
    optimizer = torch.optim.AdamW(groups_of(network(tiny_base, "mean")))
    peaks = [group["lr"] for group in optimizer.param_groups]
    schedule = ScheduledRates(optimizer, SCHEDULES["one_cycle"], warmup=3, updates=9)
    highest = [0.0] * len(peaks)
    for _ in range(9):
        rates = [group["lr"] for group in optimizer.param_groups]
        assert [rate / rates[0] for rate in rates] == pytest.approx([peak / peaks[0] for peak in peaks])
        highest = [max(pair) for pair in zip(highest, rates, strict=True)]
        optimizer.step()
        schedule.step()
    assert highest == pytest.approx(peaks, rel=0.05)
    assert isinstance(optimizer.param_groups[0]["params"][0], nn.Parameter)
