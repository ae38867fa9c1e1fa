"""`TrackerCallback`: the integrations of transformers behind one callback; their errors do not end the training."""

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
    """Passes events to the integrations, and disables an integration that fails.

    Args:
        run: run whose manifest lists the trackers that have not failed.
        names: names in `TRACKERS`.
    """

    def __init__(self, run: Run, names: Sequence[str]) -> None:
        self.run = run
        self.callbacks: dict[str, TrainerCallback] = {}
        for name in names:
            try:
                with redirect_stdout(StringIO()):
                    self.callbacks[name] = INTEGRATION_TO_CALLBACK[name]()
            except Exception as error:  # an error of a tracker must not end the training
                self._disable(name, error)

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kw: Any) -> None:
        """Training starts or resumes."""
        self._notify("on_train_begin", args, state, control, **kw)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kw: Any) -> None:
        """Losses of the last updates, or an evaluation, were logged."""
        self._notify("on_log", args, state, control, **kw)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kw: Any) -> None:
        """A checkpoint was written."""
        self._notify("on_save", args, state, control, **kw)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kw: Any) -> None:
        """Training has ended."""
        self._notify("on_train_end", args, state, control, **kw)

    def _notify(self, event: str, *arguments: Any, **kw: Any) -> None:
        for name, callback in list(self.callbacks.items()):
            try:
                # Trackers print greetings to stdout, which is for results only.
                with redirect_stdout(StringIO()):
                    getattr(callback, event)(*arguments, **kw)
            except Exception as error:  # an error of a tracker must not end the training
                self._disable(name, error)

    def _disable(self, name: str, error: Exception) -> None:
        self.callbacks.pop(name, None)
        logger.warning("%s failed and is disabled; training continues: %s.", name, first_line(error))
        working = [other for other in self.run.manifest["trackers"] if other != name]
        self.run.update_manifest({"tracked": bool(working), "trackers": working})
