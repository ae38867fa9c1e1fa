"""Trackers: they write into the run folder by default, and do not affect training, resuming or stdout."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from safetensors.torch import load_file
from transformers import TrainerCallback

from slugline import train
from slugline.core.errors import MissingExtra, RecipeError
from slugline.recipe.recipe import Recipe, validate, write
from slugline.run.lifecycle import open_run
from slugline.run.run import Run
from slugline.training.loop.callbacks import HistoryWriter
from slugline.training.tracking import environment as module
from slugline.training.tracking.callback import INTEGRATION_TO_CALLBACK
from slugline.training.tracking.environment import TRACKERS, check_trackers, tracking

#: A file that each tracker writes into the run's folder for tracking.
TRACKED_FILES = {
    "tensorboard": "tensorboard/events.out.tfevents.*",
    "wandb": "wandb/offline-run-*/*.wandb",
    "mlflow": "mlflow.db",
    "trackio": "trackio/*.db",
}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unset all environment variables that trackers read."""
    for name in [name for name in os.environ if name.startswith(("WANDB_", "MLFLOW_", "TRACKIO_", "TENSORBOARD_"))]:
        monkeypatch.delenv(name)


def tracked_by(values: dict[str, Any], *names: str, **changes: dict[str, Any]) -> Recipe:
    changed = deepcopy(values)
    changed["train"]["report_to"] = list(names)
    for section, keys in changes.items():
        changed[section] |= keys
    return validate(changed)


def metrics_without_timing(run: Run) -> dict[str, Any]:
    return {name: value for name, value in run.metrics.items() if name != "timing"}


def test_nothing_is_tracked_by_default(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    run = train(validate(recipe_values), run_dir=tmp_path / "run")
    assert (run.manifest["tracked"], run.manifest["trackers"]) == (False, [])
    assert not run.layout.tracking.exists()


def test_a_tracker_that_is_not_installed_is_refused_before_data_is_read(
    recipe_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra) as caught:
        train(tracked_by(recipe_values, "wandb", data={"path": "missing.csv"}), run_dir=tmp_path / "run")
    assert "wandb" in caught.value.message
    assert "slugline[track]" in caught.value.hint
    assert not (tmp_path / "run").exists()


def test_a_folder_with_the_name_of_a_tracker_is_not_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "left_behind").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert find_spec("left_behind") is not None
    with pytest.raises(MissingExtra, match="left_behind"):
        check_trackers(["left_behind"])
    check_trackers(["json"])


@pytest.mark.parametrize(("argument", "instead"), [("report_to", "train.report_to"), ("run_name", "Use name")])
def test_arguments_that_recipe_keys_set_are_refused(
    recipe_values: dict[str, Any], tmp_path: Path, argument: str, instead: str
) -> None:
    with pytest.raises(RecipeError, match=instead):
        train(tracked_by(recipe_values, train={"arguments": {argument: "wandb"}}), run_dir=tmp_path / "run")


def test_trackers_are_ignored_for_the_linear_kind(
    recipe_values: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    recipe = validate({**recipe_values, "model": {"kind": "linear"}, "train": {"report_to": ["wandb"]}})
    with caplog.at_level(logging.INFO, logger="slugline"):
        run = train(recipe, run_dir=tmp_path / "run")
    assert sum("train.report_to is ignored" in record.getMessage() for record in caplog.records) == 1
    assert run.manifest["tracked"] is False


class Broken(TrainerCallback):
    """Prints a greeting to stdout, and fails in one event."""

    failing_event = ""

    def __init__(self) -> None:
        print("hello from your tracker")  # noqa: T201
        self._fail("__init__")

    def _fail(self, event: str) -> None:
        print(event)  # noqa: T201
        if event == self.failing_event:
            raise ConnectionError("no such host\nand many more lines")

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self._fail("on_train_begin")

    def on_log(self, *_: Any, **__: Any) -> None:
        self._fail("on_log")

    def on_save(self, *_: Any, **__: Any) -> None:
        self._fail("on_save")

    def on_train_end(self, *_: Any, **__: Any) -> None:
        self._fail("on_train_end")


@pytest.mark.parametrize("event", ["__init__", "on_train_begin", "on_log", "on_save", "on_train_end", "none"])
def test_a_tracker_that_fails_is_disabled(
    recipe_values: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    event: str,
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: SimpleNamespace(origin="somewhere"))
    monkeypatch.setitem(INTEGRATION_TO_CALLBACK, "wandb", Broken)
    monkeypatch.setattr(Broken, "failing_event", event)
    run = train(tracked_by(recipe_values, "wandb", train={"epochs": 1}), run_dir=tmp_path / "run")
    warnings = [record.getMessage() for record in caplog.records if "is disabled" in record.getMessage()]
    expected = [] if event == "none" else ["wandb failed and is disabled; training continues: no such host."]
    assert warnings == expected
    assert run.state == "complete"
    assert run.manifest["tracked"] is (event == "none")
    assert run.manifest["trackers"] == (["wandb"] if event == "none" else [])
    assert capsys.readouterr().out == ""


class Stop(HistoryWriter):
    """Interrupts the training after nine updates."""

    def on_step_end(self, args: Any, state: Any, control: Any, **options: Any) -> None:
        super().on_step_end(args, state, control, **options)
        if state.global_step == 9:
            raise KeyboardInterrupt


@pytest.mark.skipif(find_spec("tensorboard") is None, reason="tensorboard is not installed")
def test_tensorboard_logs_the_history_and_does_not_change_the_training(
    recipe_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    before = dict(os.environ)
    plain = train(validate(recipe_values), run_dir=tmp_path / "plain")
    recipe = tracked_by(recipe_values, "tensorboard")
    run = train(recipe, run_dir=tmp_path / "tracked")
    assert (run.manifest["tracked"], run.manifest["trackers"]) == (True, ["tensorboard"])
    events = EventAccumulator(str(run.layout.tracking / "tensorboard")).Reload()
    logged = {event.step: event.value for event in events.Scalars("eval/f1_macro")}
    expected = {line["step"]: line["validation"]["f1_macro"] for line in run.history if "validation" in line}
    assert logged == pytest.approx(expected)
    assert len(events.Scalars("train/loss")) == len([line for line in run.history if "loss" in line])

    with monkeypatch.context() as patched:
        patched.setattr("slugline.training.loop.session.HistoryWriter", Stop)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, run_dir=tmp_path / "stopped")
    resumed = train(recipe, run_dir=tmp_path / "stopped", resume=True)
    weights = [load_file(found.layout.model / "model.safetensors") for found in (plain, run, resumed)]
    for other in weights[1:]:
        assert all((weights[0][name] == other[name]).all() for name in other)
    assert metrics_without_timing(plain) == metrics_without_timing(run) == metrics_without_timing(resumed)
    assert dict(os.environ) == before
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", TRACKERS)
def test_an_installed_tracker_writes_only_into_the_run_folder(
    recipe_values: dict[str, Any], tmp_path: Path, name: str
) -> None:
    if find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(write(tracked_by(recipe_values, name, train={"epochs": 1})), encoding="utf-8")
    (tmp_path / "cwd").mkdir()
    command = [sys.executable, "-m", "slugline", "train", str(recipe), "--run-dir", "run", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path / "cwd")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run"] == "run"
    run = Run(tmp_path / "cwd" / "run")
    assert run.manifest["trackers"] == [name], done.stderr
    assert list(run.layout.tracking.glob(TRACKED_FILES[name]))
    assert [path.name for path in (tmp_path / "cwd").iterdir()] == ["run"]


@pytest.fixture
def opened_run(recipe_values: dict[str, Any], tmp_path: Path) -> Any:
    with open_run(tmp_path / "run", validate(recipe_values)) as run:
        yield run


def test_trackers_write_into_the_run_folder_unless_the_environment_differs(
    opened_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tracking(opened_run, list(TRACKERS)):
        folder = str(opened_run.layout.tracking)
        assert os.environ["WANDB_MODE"] == "offline"
        assert os.environ["WANDB_DIR"] == folder
        assert os.environ["TENSORBOARD_LOGGING_DIR"] == f"{folder}/tensorboard"
        assert os.environ["MLFLOW_TRACKING_URI"] == f"sqlite:///{folder}/mlflow.db"
        assert os.environ["TRACKIO_DIR"] == f"{folder}/trackio"
        assert Path(folder).is_dir()
    assert not [name for name in os.environ if name.startswith(("WANDB_", "MLFLOW_", "TRACKIO_", "TENSORBOARD_"))]
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")
    with tracking(opened_run, list(TRACKERS)):
        assert "WANDB_MODE" not in os.environ
        assert os.environ["MLFLOW_TRACKING_URI"] == "http://localhost:5000"
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://localhost:5000"


@pytest.mark.parametrize("is_users", [False, True])
def test_runs_of_a_tracker_are_closed_unless_the_user_opened_them(
    opened_run: Run, monkeypatch: pytest.MonkeyPatch, is_users: bool
) -> None:
    calls: list[str] = []
    package = SimpleNamespace(run="the user's" if is_users else None)
    package.finish = lambda: calls.append("finish")
    package.teardown = lambda: calls.append("teardown")
    monkeypatch.setitem(sys.modules, "wandb", package)

    def interrupted() -> None:
        with tracking(opened_run, ["wandb"]):
            assert calls == ([] if is_users else ["teardown"])
            package.run = package.run or "ours"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert calls == ([] if is_users else ["teardown", "finish", "teardown"])
    assert "WANDB_MODE" not in os.environ


def test_an_error_in_closing_a_tracker_is_logged(
    opened_run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    package = SimpleNamespace(run=None, teardown=lambda: None, finish=lambda: 1 / 0)
    monkeypatch.setitem(sys.modules, "wandb", package)
    with tracking(opened_run, ["wandb"]):
        package.run = "ours"
    assert "wandb.finish failed: division by zero." in caplog.text


def test_trackio_is_imported_again(opened_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """trackio reads its folder when it is imported; otherwise it would write into the folder of an earlier run."""
    monkeypatch.setitem(sys.modules, "trackio", SimpleNamespace())  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "trackio.utils", SimpleNamespace())  # type: ignore[arg-type]
    with tracking(opened_run, ["trackio"]):
        assert not {"trackio", "trackio.utils"} & set(sys.modules)
