"""Schedules of the learning rate: equal to those of torch and transformers, and independent of a checkpoint's."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from transformers import get_scheduler

from slugline.training.loop.schedules import SCHEDULES, ScheduledRates

LENGTHS = [(0, 1), (0, 20), (1, 20), (2, 20), (7, 20), (19, 20), (20, 20), (50, 20)]


def optimizer() -> torch.optim.Optimizer:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(2))], "lr": rate} for rate in (1e-3, 5e-2)]
    return torch.optim.SGD(groups)


@contextmanager
def without_warnings() -> Iterator[None]:
    """The optimizer is not stepped here, which torch warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def rates(scheduler: torch.optim.lr_scheduler.LRScheduler, updates: int) -> list[float]:
    found = []
    with without_warnings():
        for _ in range(updates):
            found += [group["lr"] for group in scheduler.optimizer.param_groups]
            scheduler.step()
    return found


@pytest.mark.parametrize(("warmup", "updates"), LENGTHS)
@pytest.mark.parametrize(
    ("name", "theirs"), [("linear", "linear"), ("cosine", "cosine"), ("constant", "constant_with_warmup")]
)
def test_schedules_equal_those_of_transformers(name: str, theirs: str, warmup: int, updates: int) -> None:
    expected = get_scheduler(theirs, optimizer(), num_warmup_steps=warmup, num_training_steps=updates)
    found = ScheduledRates(optimizer(), SCHEDULES[name], warmup=warmup, updates=updates)
    assert rates(found, updates) == pytest.approx(rates(expected, updates), abs=1e-12)


@pytest.mark.parametrize(("warmup", "updates"), LENGTHS)
def test_one_cycle_equals_that_of_torch(warmup: int, updates: int) -> None:
    expected = torch.optim.lr_scheduler.OneCycleLR(
        optimizer(),
        max_lr=[1e-3, 5e-2],
        total_steps=updates + 1,
        pct_start=min(max(warmup, 2) / (updates + 1), 1.0),
        cycle_momentum=False,
    )
    found = ScheduledRates(optimizer(), SCHEDULES["one_cycle"], warmup=warmup, updates=updates)
    assert rates(found, updates) == pytest.approx(rates(expected, updates), abs=1e-12)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("saved", [*SCHEDULES, "torch"])
def test_a_schedule_continues_from_the_state_of_any_other(name: str, saved: str) -> None:
    """Also from the scheduler of torch that checkpoints of earlier versions have."""
    before: torch.optim.lr_scheduler.LRScheduler
    if saved == "torch":
        before = torch.optim.lr_scheduler.OneCycleLR(optimizer(), 1e-3, total_steps=31, cycle_momentum=False)
    else:
        before = ScheduledRates(optimizer(), SCHEDULES[saved], warmup=3, updates=30)
    rates(before, 8)
    whole = ScheduledRates(optimizer(), SCHEDULES[name], warmup=5, updates=20)
    resumed = ScheduledRates(optimizer(), SCHEDULES[name], warmup=5, updates=20)
    with without_warnings():
        resumed.load_state_dict(before.state_dict())
    assert rates(resumed, 12) == rates(whole, 20)[16:]
