"""What trackers are told: transformers' own integrations behind one callback, which training outlives in any case."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

from slugline.run.run import Run
from slugline.training.tracking.environment import first_line

logger = logging.getLogger(__name__)


class TrackerCallback(TrainerCallback):
    """Passes on to the integrations what happens; one that fails is given up.

    Args:
        run: that is trained; its manifest says which trackers held out.
        names: of `TRACKERS`.
    """

    def __init__(self, run: Run, names: Sequence[str]) -> None:
        self.run = run
        self.callbacks: dict[str, TrainerCallback] = {}
        for name in names:
            try:
                with redirect_stdout(StringIO()):
                    self.callbacks[name] = INTEGRATION_TO_CALLBACK[name]()
            except Exception as error:  # whatever a tracker raises, training goes on
                self._disable(name, error)

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **on: Any) -> None:
        """Training begins, or goes on."""
        self._notify("on_train_begin", args, state, control, **on)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **on: Any) -> None:
        """Something was logged: losses of the last updates, or an evaluation."""
        self._notify("on_log", args, state, control, **on)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **on: Any) -> None:
        """A checkpoint has just been written."""
        self._notify("on_save", args, state, control, **on)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **on: Any) -> None:
        """Training is over."""
        self._notify("on_train_end", args, state, control, **on)

    def _notify(self, event: str, *passed: Any, **on: Any) -> None:
        for name, callback in list(self.callbacks.items()):
            try:
                # Trackers greet their users on stdout, which belongs to results.
                with redirect_stdout(StringIO()):
                    getattr(callback, event)(*passed, **on)
            except Exception as error:  # whatever a tracker raises, training goes on
                self._disable(name, error)

    def _disable(self, name: str, error: Exception) -> None:
        self.callbacks.pop(name, None)
        logger.warning("%s failed and is given up; training goes on: %s.", name, first_line(error))
        left = [other for other in self.run.manifest["trackers"] if other != name]
        self.run.update_manifest({"tracked": bool(left), "trackers": left})
