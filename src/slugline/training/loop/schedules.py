"""Schedules of the learning rate: the rate of an update as a share of the maximum.

A schedule is a pure function of the update, so that a resumed training continues at the right rate, also with another
schedule, warm-up or length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

#: Number of completed updates, updates of the warm-up, updates of the training -> share of the maximum.
Schedule = Callable[[int, int, int], float]

#: Share of the maximum with which a one-cycle schedule starts, and factor from there to its end.
ONE_CYCLE_START, ONE_CYCLE_END = 1 / 25, 1e-4


def linear(done: int, warmup: int, updates: int) -> float:
    """Rise from 0 to 1 in the warm-up, then fall to 0.

    Args:
        done: number of completed updates.
        warmup: number of updates of the warm-up.
        updates: number of updates of the training.

    Returns:
        Share of the maximum.
    """
    if done < warmup:
        return done / warmup
    return max(0.0, (updates - done) / max(1, updates - warmup))


def cosine(done: int, warmup: int, updates: int) -> float:
    """Rise from 0 to 1 in the warm-up, then fall to 0 along half a cosine.

    Args:
        done: number of completed updates.
        warmup: number of updates of the warm-up.
        updates: number of updates of the training.

    Returns:
        Share of the maximum.
    """
    if done < warmup:
        return done / warmup
    return _anneal(1.0, 0.0, (done - warmup) / max(1, updates - warmup))


def constant(done: int, warmup: int, updates: int) -> float:
    """Rise from 0 to 1 in the warm-up, then stay.

    Args:
        done: number of completed updates.
        warmup: number of updates of the warm-up.
        updates: number of updates of the training; unused.

    Returns:
        Share of the maximum.
    """
    return done / warmup if done < warmup else 1.0


def one_cycle(done: int, warmup: int, updates: int) -> float:
    """Rise and fall along half cosines (Smith 2018), with the peak in the last update of the warm-up.

    Args:
        done: number of completed updates.
        warmup: number of updates of the warm-up.
        updates: number of updates of the training.

    Returns:
        Share of the maximum.
    """
    peak = min(max(warmup, 2), updates + 1) - 1
    if done <= peak:
        return _anneal(ONE_CYCLE_START, 1.0, done / max(1, peak))
    return _anneal(1.0, ONE_CYCLE_START * ONE_CYCLE_END, (done - peak) / max(1, updates - peak))


def _anneal(first: float, last: float, share: float) -> float:
    """A value on half a cosine from ``first`` to ``last``."""
    return last + (first - last) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


#: ``train.schedule`` -> function.
SCHEDULES: dict[str, Schedule] = {"linear": linear, "cosine": cosine, "constant": constant, "one_cycle": one_cycle}


class ScheduledRates(LambdaLR):
    """Rates of all parameter groups by one schedule.

    Args:
        optimizer: optimizer whose groups have the maximum rates.
        schedule: schedule of all groups.
        warmup: number of updates of the warm-up.
        updates: number of updates of the training.
    """

    def __init__(self, optimizer: Optimizer, schedule: Schedule, *, warmup: int, updates: int) -> None:
        super().__init__(optimizer, lambda done: schedule(done, warmup, updates))

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue after the updates of a checkpoint, at the rates of the present recipe.

        Args:
            state_dict: state of any scheduler; its number of updates excludes those that float16 skipped.
        """
        done = int(state_dict["last_epoch"])
        self.last_epoch, self._step_count = done - 1, done + 1
        self.step()
