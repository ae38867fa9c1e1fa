"""Where trackers write: everything stays on this machine, below the run folder, unless the user's environment says so.

`check_trackers` asks before any data is read; `tracking` sets the stage for one training and clears it afterwards. What
trackers are told during training stands in `slugline.training.tracking.callback`.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

from slugline.core.errors import MissingExtra
from slugline.core.storage import disk_errors
from slugline.run.run import Run

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Setup:
    """How one tracker is kept on this machine.

    Args:
        variables: of the environment, with their values; ``{folder}`` is the run's own folder for tracking.
        choices: variables by which users say where it logs; with one of them set, those of `offline` are left alone.
        offline: variables that keep it from the network.
        is_open: attribute of its package that says whether a run is open; empty where it knows of none.
        finish: function of its package that closes the run; empty where the integration does.
        renew: function of its package after which it reads the environment again; ``import`` where that takes a new
            import.
    """

    variables: Mapping[str, str]
    choices: tuple[str, ...] = ()
    offline: Mapping[str, str] = field(default_factory=dict)
    is_open: str = ""
    finish: str = ""
    renew: str = ""


#: Name in `train.report_to`, which is also that of the package -> how it is kept on this machine.
TRACKERS = {
    "tensorboard": Setup({"TENSORBOARD_LOGGING_DIR": "{folder}/tensorboard"}),
    "wandb": Setup(
        # Its console capture would stand between us and the terminal.
        {"WANDB_DIR": "{folder}", "WANDB_PROJECT": "slugline", "WANDB_SILENT": "true", "WANDB_CONSOLE": "off"},
        choices=("WANDB_MODE", "WANDB_API_KEY"),
        offline={"WANDB_MODE": "offline"},
        is_open="run",
        finish="finish",
        renew="teardown",
    ),
    "mlflow": Setup(
        {"MLFLOW_TRACKING_URI": "sqlite:///{folder}/mlflow.db", "MLFLOW_DISABLE_TELEMETRY": "true"},
        is_open="active_run",
        finish="end_run",
    ),
    "trackio": Setup(
        {"TRACKIO_DIR": "{folder}/trackio"},
        is_open="context_vars.current_run.get",
        finish="finish",
        renew="import",
    ),
}


def check_trackers(names: Sequence[str]) -> None:
    """Refuse trackers whose packages are not there.

    Args:
        names: of `TRACKERS`.

    Raises:
        MissingExtra: names those that are missing.
    """
    specs = {name: find_spec(name) for name in names}
    # A folder of that name in the working folder is found too, but it is no package: wandb leaves such folders behind.
    missing = [name for name, spec in specs.items() if spec is None or spec.origin is None]
    if missing:
        raise MissingExtra(f"train.report_to = {missing}", extra="track")


@contextmanager
def tracking(run: Run, names: Sequence[str]) -> Iterator[None]:
    """Let trackers write below the run folder for as long as one training takes.

    What the user has set in the environment is left alone, and so are runs of a tracker that were open before.

    Args:
        run: that is trained.
        names: of `TRACKERS`, checked.

    Yields:
        Nothing.
    """
    run.update_manifest({"tracked": bool(names), "trackers": list(names)})
    if not names:
        yield
        return
    folder = run.layout.tracking.resolve()
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    ours = [name for name in names if not _is_open(name)]
    variables = _variables(names, folder)
    os.environ.update(variables)
    for name in ours:
        _renew(name)
    try:
        yield
    finally:
        for name in filter(_is_open, ours):
            _call(name, TRACKERS[name].finish)
        for variable in variables:
            os.environ.pop(variable, None)
        for name in ours:
            _renew(name)


def _variables(names: Sequence[str], folder: Path) -> dict[str, str]:
    """What to set: nothing that the user has set."""
    variables: dict[str, str] = {}
    for tracker in (TRACKERS[name] for name in names):
        variables |= tracker.variables
        if not any(os.environ.get(choice) for choice in tracker.choices):
            variables |= tracker.offline
    return {name: value.format(folder=folder) for name, value in variables.items() if name not in os.environ}


def _is_open(name: str) -> bool:
    """Whether a run of this tracker is open already; a package that nobody has imported has none."""
    value: Any = sys.modules.get(name)
    if value is None or not TRACKERS[name].is_open:
        return False
    for part in TRACKERS[name].is_open.split("."):
        value = getattr(value, part, None)
    return (value() if callable(value) else value) is not None


def _renew(name: str) -> None:
    """Let a tracker read the environment again, which it does once and for all otherwise."""
    if name not in sys.modules or not TRACKERS[name].renew:
        return
    if TRACKERS[name].renew != "import":
        _call(name, TRACKERS[name].renew)
        return
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[module]


def _call(name: str, function: str) -> None:
    """Call a function of a tracker's package, which keeps its greetings and its failures for itself."""
    try:
        with redirect_stdout(StringIO()):
            getattr(sys.modules[name], function)()
    except Exception as error:  # whatever a tracker raises, training goes on
        logger.warning("%s.%s failed: %s.", name, function, first_line(error))


def first_line(error: Exception) -> str:
    """What went wrong, short enough for a line of the log."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
