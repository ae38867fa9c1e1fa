"""Runs: their states, complete files, and protection against overwriting."""

from __future__ import annotations

import errno
import json
import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from conftest import with_changes
from slugline.core.errors import DataError, RunError, TrainingError
from slugline.core.labels import LabelSet
from slugline.core.predictions import Calibration, Predictions
from slugline.recipe.recipe import Recipe, validate, write
from slugline.run.lifecycle import open_run
from slugline.run.run import Run


def recipe(**train: Any) -> Recipe:
    return validate({"name": "x", "data": {"name": "bbc_news"}, "train": train})


def complete(path: Path) -> Run:
    with open_run(path, recipe()) as run:
        pass
    return run


def interrupted(path: Path) -> Run:
    with pytest.raises(KeyboardInterrupt), open_run(path, recipe()):
        raise KeyboardInterrupt
    return Run(path)


def test_a_run_is_new_then_running_then_complete(tmp_path: Path) -> None:
    path = tmp_path / "run"
    assert Run(path).state == "new"
    with open_run(path, recipe(epochs=2)) as run:
        assert run.state == "running"
    assert run.state == "complete"
    assert run.recipe == recipe(epochs=2)
    assert run.manifest["seconds"] >= 0


def test_a_resumed_run_has_the_new_recipe(tmp_path: Path) -> None:
    interrupted(tmp_path)
    with open_run(tmp_path, recipe(epochs=9), resume=True, accept_changes=True) as run:
        assert run.recipe == recipe(epochs=9)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"pooling": "max"}},
        {"model": {"base": "bert-base-uncased"}},
        {"model": {"adapt": "lora"}},
        {"train": {"select_by": "loss"}},
    ],
)
def test_a_run_cannot_be_resumed_with_another_model_or_selection(tmp_path: Path, changes: dict[str, Any]) -> None:
    run = interrupted(tmp_path)
    other = with_changes(run.recipe.model_dump(exclude_none=True), **changes)
    with (
        pytest.raises(RunError, match=r"started with another(.|\n)*--force"),
        open_run(tmp_path, other, resume=True, accept_changes=True),
    ):
        pass
    assert Run(tmp_path).recipe == run.recipe


def test_errors_are_recorded_in_the_manifest(tmp_path: Path) -> None:
    with pytest.raises(TrainingError), open_run(tmp_path / "run", recipe()) as run:
        raise TrainingError("the loss is nan")
    assert run.state == "failed"
    assert "the loss is nan" in run.manifest["error"]


def test_an_error_in_the_input_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError), open_run(tmp_path / "run", recipe()):
        raise DataError("no such column")
    assert not (tmp_path / "run").exists()


def test_an_error_while_resuming_keeps_the_run(tmp_path: Path) -> None:
    interrupted(tmp_path)
    with pytest.raises(DataError), open_run(tmp_path, recipe(), resume=True):
        raise DataError("the file is missing")
    assert Run(tmp_path).state == "failed"


def test_a_complete_run_is_refused_unless_forced(tmp_path: Path) -> None:
    complete(tmp_path)
    for resume in (False, True):
        with pytest.raises(RunError, match="is complete"), open_run(tmp_path, recipe(), resume=resume):
            pass
    (tmp_path / "errors.json").touch()
    with open_run(tmp_path, recipe(), force=True):
        assert not (tmp_path / "errors.json").exists()


@pytest.mark.parametrize("error", [DataError("the file is missing"), KeyboardInterrupt(), ValueError()], ids=repr)
def test_a_replaced_run_is_restored_if_nothing_was_trained(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "run"
    complete(path)
    before = {each.name: each.read_bytes() for each in path.iterdir() if each.is_file()}
    with pytest.raises(type(error)), open_run(path, recipe(), force=True):
        raise error
    assert {each.name: each.read_bytes() for each in path.iterdir() if each.is_file()} == before
    assert [each.name for each in tmp_path.iterdir()] == ["run"]
    with pytest.raises(type(error)), open_run(path, recipe(), force=True) as run:
        run.append_history({"step": 1})
        raise error
    assert run.state in ("failed", "interrupted")
    assert [each.name for each in tmp_path.iterdir()] == ["run"]


def test_an_interrupted_run_is_refused_without_resume_or_force(tmp_path: Path) -> None:
    run = interrupted(tmp_path)
    assert run.state == "interrupted"
    with pytest.raises(RunError, match="--resume"), open_run(tmp_path, recipe()):
        pass
    with open_run(tmp_path, recipe(), resume=True):
        pass
    assert run.state == "complete"


def test_durations_are_summed_over_resumes(tmp_path: Path) -> None:
    run = interrupted(tmp_path)
    run.update_manifest({"seconds": 100.0})
    with open_run(tmp_path, recipe(), resume=True):
        pass
    assert run.manifest["seconds"] >= 100


def test_a_resume_with_a_changed_recipe_names_the_keys(tmp_path: Path) -> None:
    interrupted(tmp_path)
    with (
        pytest.raises(RunError, match=r"train\.epochs: 3\.0 -> 9\.0"),
        open_run(tmp_path, recipe(epochs=9), resume=True),
    ):
        pass
    with open_run(tmp_path, recipe(epochs=9), resume=True, accept_changes=True) as run:
        assert Run(run.path).recipe.train.epochs == 9


def test_a_running_run_is_refused(tmp_path: Path) -> None:
    with open_run(tmp_path, recipe()):
        for options in ({}, {"resume": True}, {"force": True}):
            with pytest.raises(RunError, match="right now"), open_run(tmp_path, recipe(), **options):
                pass


def test_a_killed_run_is_interrupted(tmp_path: Path) -> None:
    script = textwrap.dedent(
        f"""
        import os, signal
        from pathlib import Path
        from slugline.recipe.recipe import validate
        from slugline.run.lifecycle import open_run
        with open_run(Path({str(tmp_path)!r}), validate({{"name": "x", "data": {{"name": "bbc_news"}}}})) as run:
            os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    assert json.loads((tmp_path / "manifest.json").read_text())["state"] == "running"
    assert Run(tmp_path).state == "interrupted"


def test_the_current_folder_may_be_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "run")
    assert complete(Path()).state == "complete"


@pytest.mark.parametrize("trained", [False, True])
def test_a_run_is_restored_if_its_replacement_was_killed(tmp_path: Path, trained: bool) -> None:
    path, backup = tmp_path / "run", tmp_path / ".run.aside"
    if trained:
        interrupted(path).append_history({"step": 1})
    complete(backup)
    (backup / "mine").touch()
    with pytest.raises(RunError, match="interrupted" if trained else "complete"), open_run(path, recipe()):
        pass
    assert (path / "mine").exists() == (not trained)
    assert not backup.exists()


def test_other_folders_are_never_changed(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunError, match="is not a run"), open_run(tmp_path, recipe(), force=True):
        pass
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_resuming_where_there_is_no_run_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with open_run(tmp_path / "typo", recipe(), resume=True):
        pass
    assert "no run to resume" in caplog.text


@pytest.mark.parametrize("foreign", ["notes.txt", "warm/warmup=0.1,seed=13/recipe.toml"])
def test_files_that_no_run_writes_are_never_deleted(tmp_path: Path, foreign: str) -> None:
    with open_run(tmp_path / "run", recipe()) as run:
        run.layout.model.mkdir()
    path = tmp_path / "run" / foreign
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("years of work")
    with pytest.raises(RunError, match="which --force would delete"), open_run(run.path, recipe(), force=True):
        pass
    assert path.read_text() == "years of work"
    assert run.state == "complete"


def test_a_run_that_was_killed_at_its_start_is_started_again(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(write(recipe()))
    (tmp_path / ".manifest.77.partial.json").touch()
    with open_run(tmp_path, recipe()) as run:
        pass
    assert run.state == "complete"


def test_a_recipe_of_the_user_is_neither_replaced_nor_deleted(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text("# my own, with comments")
    with pytest.raises(RunError, match="is not a run"), open_run(tmp_path, recipe()):
        pass
    assert (tmp_path / "recipe.toml").read_text() == "# my own, with comments"


def test_an_error_after_training_deletes_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError), open_run(tmp_path / "run", recipe()) as run:
        run.layout.model.mkdir()
        raise DataError("the test split has no rows")
    assert Run(tmp_path / "run").state == "failed"


def test_the_manifest_of_another_program_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "a web extension"}')
    (tmp_path / "recipe.toml").touch()
    with pytest.raises(RunError, match="something else"), open_run(tmp_path, recipe(), force=True):
        pass
    assert (tmp_path / "manifest.json").exists()


def test_an_incomplete_line_of_the_history_is_skipped(tmp_path: Path) -> None:
    run = complete(tmp_path)
    run.append_history({"step": 2, "loss": 1.0})
    with run.layout.history.open("a") as file:
        file.write('{"step": 4, "lo')
    assert [line["step"] for line in run.history] == [2]
    run.truncate_history(2)
    run.append_history({"step": 4, "loss": 0.5})
    assert [line["step"] for line in run.history] == [2, 4]


def test_a_crash_while_writing_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = complete(tmp_path)
    before = run.layout.manifest.read_text()

    def crash(*_: object) -> None:
        raise RuntimeError("power loss")

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(RuntimeError, match="power loss"):
        run.update_manifest({"half": "written"})
    assert run.layout.manifest.read_text() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.txt", "manifest.json", "recipe.toml"]


def test_a_full_disk_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = complete(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(RunError, match=r"metrics\.json: the disk is full"):
        run.write_json(run.layout.metrics, {})


def test_saved_predictions_are_read_unchanged(tmp_path: Path) -> None:
    run = complete(tmp_path)
    rng = np.random.default_rng(0)
    predictions = Predictions(
        ids=np.array([f"row-{index}" for index in range(20)]),
        targets=rng.integers(0, 3, 20),
        logits=rng.normal(size=(20, 3)).astype(np.float32),
        labels=LabelSet(("a", "b", "c")),
        split="test",
        dataset="bbc_news",
        calibration=Calibration(1.7, fitted_on="validation"),
    )
    run.save_predictions(predictions, fingerprint="f")
    found = Run(tmp_path).predictions("test")
    assert (found.ids == predictions.ids).all()
    assert (found.targets == predictions.targets).all()
    assert (found.logits == predictions.logits).all()
    assert (found.labels, found.split, found.dataset, found.calibration) == (
        predictions.labels,
        predictions.split,
        predictions.dataset,
        predictions.calibration,
    )


@pytest.mark.parametrize(
    "labels",
    [
        LabelSet(("a", "b", "c"), kind="multi", descriptions=("first", "second", "third")),
        LabelSet(("a/x", "a/y", "b/-"), kind="hierarchical", levels=("domain", "area")),
    ],
    ids=lambda labels: labels.kind,
)
def test_predictions_of_every_kind_of_labels_are_read_unchanged(tmp_path: Path, labels: LabelSet) -> None:
    run, rng = complete(tmp_path), np.random.default_rng(0)
    rows = [(), ("a",), ("c", "a")] if labels.is_multi else [("a/y",), ("b/-",), ("a/x",)]
    predictions = Predictions(
        ids=np.array(["one", "two", "three"]),
        targets=labels.encode(rows),
        logits=rng.normal(size=(3, 3)).astype(np.float32),
        labels=labels,
        split="test",
        calibration=Calibration(1.3, thresholds=(0.2, 0.5, 0.7) if labels.is_multi else (), fitted_on="validation"),
    )
    run.save_predictions(predictions, fingerprint="f")
    found = run.predictions("test")
    assert found.targets.dtype == predictions.targets.dtype
    for name in ("targets", "predicted", "logits", "confidence"):
        np.testing.assert_array_equal(getattr(found, name), getattr(predictions, name))
    assert (found.labels, found.calibration) == (labels, predictions.calibration)
    table = pq.read_table(run.layout.predictions("test"))
    assert table["label"].to_pylist() == ([[], [0], [0, 2]] if labels.is_multi else [1, 2, 0])
    assert table["predicted"].to_pylist() == labels.column(predictions.predicted)
    assert str(table.schema.field("predicted").type) == ("list<element: int64>" if labels.is_multi else "int64")


def test_rows_without_any_label_keep_the_type_of_the_column(tmp_path: Path) -> None:
    run, labels = complete(tmp_path), LabelSet(("a", "b"), kind="multi")
    predictions = Predictions(np.array(["one"]), labels.encode([()]), -np.ones((1, 2), np.float32), labels, "test")
    run.save_predictions(predictions, fingerprint="f")
    assert not run.predictions("test").targets.any()
    assert "int64" in str(pq.read_table(run.layout.predictions("test")).schema.field("label").type)


def test_a_calibration_names_the_labels_of_its_thresholds(tmp_path: Path) -> None:
    run, labels = complete(tmp_path), LabelSet(("a", "b"), kind="multi")
    calibration = Calibration(1.5, thresholds=(0.25, 0.75), fitted_on="validation")
    run.save_calibration(calibration, labels)
    assert run.calibration == calibration
    saved = json.loads(run.layout.calibration.read_text())
    assert saved["thresholds"] == [0.25, 0.75]
    assert (saved["labels"]["names"], saved["labels"]["kind"]) == (["a", "b"], "multi")


def test_the_history_is_truncated_to_the_checkpoint(tmp_path: Path) -> None:
    run = complete(tmp_path)
    for step in (2, 4, 6):
        run.append_history({"step": step, "loss": 1.0})
    run.truncate_history(4)
    assert [line["step"] for line in run.history] == [2, 4]


def test_the_log_is_written_to_the_run_folder(tmp_path: Path) -> None:
    with open_run(tmp_path, recipe()) as run:
        logging.getLogger("slugline").info("precision bf16: because")
    assert "precision bf16: because" in run.layout.log.read_text()


def read_metrics(run: Run) -> object:
    return run.metrics


def read_predictions(run: Run) -> object:
    return run.predictions("test")


@pytest.mark.parametrize("function", [read_metrics, read_predictions])
def test_missing_results_are_named(tmp_path: Path, function: Callable[[Run], object]) -> None:
    with pytest.raises(RunError, match="is not a run folder"):
        function(Run(tmp_path / "nothing"))
    with pytest.raises(RunError, match=r"has no .*: the run is interrupted"):
        function(interrupted(tmp_path / "run"))


def test_a_newer_format_and_a_damaged_file_are_refused(tmp_path: Path) -> None:
    run = complete(tmp_path)
    run.update_manifest({"format": 99})
    with pytest.raises(RunError, match="newer Slugline"):
        _ = run.manifest
    run.layout.manifest.write_text("{")
    with pytest.raises(RunError, match="damaged"):
        _ = run.manifest
