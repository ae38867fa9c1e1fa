"""Environment of experiment trackers: they write into the run folder, unless the user's environment variables differ.

`check_trackers` is called before any data is read. `tracking` sets environment variables for one training and restores
them afterwards. `slugline.training.tracking.callback` passes the events of the training to the trackers.
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
class TrackerSetup:
    """Environment variables and functions of one tracker.

    Args:
        variables: environment variables and their values; ``{folder}`` is the folder for tracking in the run.
        choices: variables with which users choose where the tracker logs; if one is set, `offline` is not applied.
        offline: variables that disable access to the network.
        is_open: attribute of the package that is not None while a run is open; empty if there is none.
        finish: function of the package that closes a run; empty if the integration closes it.
        reload: function of the package that rereads the environment; ``import`` = import the package again.
    """

    variables: Mapping[str, str]
    choices: tuple[str, ...] = ()
    offline: Mapping[str, str] = field(default_factory=dict)
    is_open: str = ""
    finish: str = ""
    reload: str = ""


#: Name in ``train.report_to``, which is also the name of the package -> setup.
TRACKERS = {
    "tensorboard": TrackerSetup({"TENSORBOARD_LOGGING_DIR": "{folder}/tensorboard"}),
    "wandb": TrackerSetup(
        # WANDB_CONSOLE: wandb would otherwise capture the output to the terminal.
        {"WANDB_DIR": "{folder}", "WANDB_PROJECT": "slugline", "WANDB_SILENT": "true", "WANDB_CONSOLE": "off"},
        choices=("WANDB_MODE", "WANDB_API_KEY"),
        offline={"WANDB_MODE": "offline"},
        is_open="run",
        finish="finish",
        reload="teardown",
    ),
    "mlflow": TrackerSetup(
        {"MLFLOW_TRACKING_URI": "sqlite:///{folder}/mlflow.db", "MLFLOW_DISABLE_TELEMETRY": "true"},
        is_open="active_run",
        finish="end_run",
    ),
    "trackio": TrackerSetup(
        {"TRACKIO_DIR": "{folder}/trackio"},
        is_open="context_vars.current_run.get",
        finish="finish",
        reload="import",
    ),
}


def check_trackers(names: Sequence[str]) -> None:
    """Refuse trackers whose packages are not installed.

    Args:
        names: names in `TRACKERS`.

    Raises:
        MissingExtra: a package is missing.
    """
    specs = {name: find_spec(name) for name in names}
    # find_spec also finds a folder of this name in the working folder, without an origin; wandb creates such folders.
    missing = [name for name, spec in specs.items() if spec is None or spec.origin is None]
    if missing:
        raise MissingExtra(f"train.report_to = {missing}", extra="track")


@contextmanager
def tracking(run: Run, names: Sequence[str]) -> Iterator[None]:
    """Make trackers write into the run folder during one training.

    Variables that the user has set are not changed. Runs of a tracker that were open before are not closed.

    Args:
        run: run to write to.
        names: names in `TRACKERS`, already checked by `check_trackers`.

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
    idle = [name for name in names if not _is_open(name)]
    variables = _variables(names, folder)
    os.environ.update(variables)
    for name in idle:
        _reload(name)
    try:
        yield
    finally:
        for name in filter(_is_open, idle):
            _call(name, TRACKERS[name].finish)
        for variable in variables:
            os.environ.pop(variable, None)
        for name in idle:
            _reload(name)


def _variables(names: Sequence[str], folder: Path) -> dict[str, str]:
    """Environment variables to set, without those that the user has set."""
    variables: dict[str, str] = {}
    for tracker in (TRACKERS[name] for name in names):
        variables |= tracker.variables
        if not any(os.environ.get(choice) for choice in tracker.choices):
            variables |= tracker.offline
    return {name: value.format(folder=folder) for name, value in variables.items() if name not in os.environ}


def _is_open(name: str) -> bool:
    """True if a run of this tracker is open; a package that is not imported has none."""
    value: Any = sys.modules.get(name)
    if value is None or not TRACKERS[name].is_open:
        return False
    for part in TRACKERS[name].is_open.split("."):
        value = getattr(value, part, None)
    return (value() if callable(value) else value) is not None


def _reload(name: str) -> None:
    """Make a tracker read the environment again; otherwise it reads it only once."""
    if name not in sys.modules or not TRACKERS[name].reload:
        return
    if TRACKERS[name].reload != "import":
        _call(name, TRACKERS[name].reload)
        return
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[module]


def _call(name: str, function: str) -> None:
    """Call a function of a tracker's package; its output is discarded, its exceptions are logged."""
    try:
        with redirect_stdout(StringIO()):
            getattr(sys.modules[name], function)()
    except Exception as error:  # an error of a tracker must not end the training
        logger.warning("%s.%s failed: %s.", name, function, first_line(error))


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, for the log."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
