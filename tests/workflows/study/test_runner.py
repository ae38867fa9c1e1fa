"""Runs of studies: no member is trained twice, studies resume, only the chosen setting is scored on test."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from conftest import articles, start_cli, wait_for, write_csv
from slugline.cli.app import run
from slugline.core.errors import RecipeError, RunError, TrainingError
from slugline.pipeline import train
from slugline.recipe.recipe import Recipe, read
from slugline.recipe.toml import to_toml
from slugline.run.lifecycle import open_run
from slugline.run.run import Run
from slugline.training.fit import fit
from slugline.workflows.study import run_study, runner

LINEAR = '[[step]]\nname = "linear"\nset = { "model.kind" = "linear" }\n'
SIZES = '[[step]]\nname = "sizes"\ngrid = { "data.max_train_examples" = [6, 60] }\n'


@pytest.fixture
def folder(recipe_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with `tiny.toml`, a recipe of the tiny encoder, and `linear.toml`, one of the linear kind."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(as_toml(recipe_values))
    values = recipe_values | {"model": {"kind": "linear"}, "train": {}}
    (tmp_path / "linear.toml").write_text(as_toml(values))
    return tmp_path


def as_toml(values: dict[str, Any]) -> str:
    return "".join(f"{key} = {to_toml(value)}\n" for key, value in values.items())


def study(folder: Path, steps: str, *, recipe: str = "linear.toml", top: str = "seeds = [13]") -> Path:
    path = folder / "study.toml"
    path.write_text(f'name = "s"\nrecipe = "{recipe}"\n{top}\n{steps}')
    return path


def summary() -> dict[str, Any]:
    values: dict[str, Any] = json.loads(Path("runs/s/study.json").read_text())
    return values


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the recipes in the order in which they are trained."""
    names: list[str] = []

    def recorded(recipe: Recipe, **options: Any) -> Run:
        names.append(recipe.name)
        return train(recipe, **options)

    monkeypatch.setattr(runner, "train", recorded)
    return names


def test_only_the_chosen_setting_is_scored_on_test(folder: Path, trained: list[str]) -> None:
    path = study(folder, LINEAR + '[[step]]\nname = "encoder"\n', recipe="tiny.toml", top="seeds = [13, 14]")
    result = run_study(path)
    assert result.chosen is not None
    assert len(trained) == 3  # the linear kind does not depend on the seed
    means = {setting.setting.step: setting.spread("f1_macro") for setting in result.settings}
    linear, encoder = means["linear"], means["encoder"]
    assert linear is not None
    assert encoder is not None
    best = "linear" if linear.mean >= encoder.mean else "encoder"
    assert result.chosen.setting.step == best
    for each in result.members:
        found = Run(each.member.path)
        is_chosen = each.member.setting.step == best
        assert ("test" in found.metrics) == found.layout.predictions("test").exists() == is_chosen
        assert each.metrics["f1_macro"] == found.metrics["validation"]["f1_macro"]
        assert not found.layout.checkpoints.exists()
    written = summary()
    assert written == json.loads(json.dumps(result.to_dict()))
    assert [(each["step"], each["seed"], each["state"]) for each in written["members"]] == [
        ("linear", 13, "complete"),
        ("encoder", 13, "complete"),
        ("encoder", 14, "complete"),
    ]
    assert written["members"][0]["overrides"] == {"model.kind": "linear"}
    assert written["settings"][0]["validation"]["f1_macro"]["mean"] == linear.mean
    runs = [Run(Path(each)) for each in written["chosen"]["runs"]]
    seeds = ("13", "14")[: len(result.chosen.members)]
    for seed, found in zip(seeds, runs, strict=True):
        scores = written["chosen"]["test_by_seed"][seed]
        assert scores["confidence_intervals"] == found.metrics["test"]["confidence_intervals"]
    assert written["chosen"]["test"]["accuracy"]["n"] == len(seeds)
    assert written["comparison"]["split"] == "validation"
    assert {each["name"]: each["seeds"] for each in written["comparison"]["runs"]} == {"linear": 1, "encoder": 2}


def test_a_warning_names_scratch_decoders_that_are_not_clearly_smaller(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = {"kind": "scratch", "base": "", "vocabulary_size": 300, "layers": 1, "heads": 1, "ffn": 8}
    steps = "".join(
        f'[[step]]\nname = "width-{width}"\nset = {to_toml({"model": model | {"width": width}})}\n' for width in (8, 32)
    )
    run_study(study(folder, steps + '[[step]]\nname = "tuned"\n', recipe="tiny.toml"))
    assert "width-32, trained from scratch, has" in caplog.text
    assert "of tuned." in caplog.text
    assert "width-8, trained" not in caplog.text


def test_the_same_command_trains_nothing_twice(
    folder: Path, trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = study(folder, SIZES)
    first = run_study(path).to_dict()
    monkeypatch.setattr("slugline.pipeline.evaluate_model.load", None)
    assert run_study(path).to_dict() == first
    assert len(trained) == 2


def test_the_folder_of_a_run_is_refused(folder: Path) -> None:
    run = train(read(folder / "linear.toml"), run_dir=Path("runs/s"))
    before = sorted(run.path.rglob("*"))
    with pytest.raises(RunError, match="runs/s is a run, not a study"):
        run_study(study(folder, LINEAR))
    assert sorted(run.path.rglob("*")) == before


def test_more_seeds_and_values_keep_existing_members(folder: Path, trained: list[str]) -> None:
    path = study(folder, SIZES, recipe="tiny.toml")
    run_study(path)
    run_study(study(folder, SIZES.replace("[6,", "[6, 30,"), recipe="tiny.toml", top="seeds = [13, 14]"))
    assert len(trained) == 6
    assert sorted(trained) == sorted(set(trained))


def test_changed_members_are_refused_and_trained_again_with_force(
    folder: Path, trained: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = study(folder, SIZES + LINEAR)
    run_study(path)
    study(folder, SIZES + LINEAR.replace(" }", ', "data.min_words" = 2 }'))
    trained.clear()
    assert run(["study", str(path)]) == 1
    message = capsys.readouterr().err
    assert "linear seed 13 was trained with another recipe: data.min_words: 0 -> 2." in message
    assert "--force" in message
    assert "sizes" not in message
    assert not trained
    assert run(["study", str(path), "--force"]) == 0
    assert trained == ["linear-seed-13"]
    assert run(["study", str(path), "--force"]) == 0
    assert trained == ["linear-seed-13"]


def test_a_failed_member_does_not_end_the_study_and_is_tried_again(
    folder: Path, trained: list[str], news_csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = f'[[step]]\nname = "files"\ngrid = {{ "data.path" = ["missing.csv", "{news_csv}"] }}\n'
    path = study(folder, grid)
    assert run(["study", str(path)]) == 1
    captured = capsys.readouterr()
    assert "1 of 2 members failed" in captured.err
    assert "files/path=missing.csv seed 13: missing.csv" in captured.err
    assert "scored best" in captured.out
    assert [each["state"] for each in summary()["members"]] == ["failed", "complete"]
    assert "missing.csv" in summary()["members"][0]["error"]
    write_csv(folder / "missing.csv", articles(150, seed=3))
    trained.clear()
    assert run(["study", str(path), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert trained == ["files-path-missing.csv-seed-13"]
    assert [each["state"] for each in printed["members"]] == ["complete", "complete"]


def test_a_failed_member_is_resumed_from_its_checkpoint(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = study(folder, '[[step]]\nname = "s"\n', recipe="tiny.toml")

    def broken(*_: Any, **__: Any) -> None:
        raise TrainingError("broken")

    with monkeypatch.context() as patched:
        patched.setattr("slugline.training.loop.session._restore_best", broken)
        result = run_study(path)
    (found,) = result.members
    assert (found.state, found.error) == ("failed", "broken")
    assert Run(found.member.path).layout.checkpoints.exists()
    before = Run(found.member.path).history
    assert run_study(path).members[0].state == "complete"
    assert Run(found.member.path).history == before


def test_an_unexpected_error_fails_one_member_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails_once(recipe: Recipe, **options: Any) -> Run:
        if "-6-" in recipe.name:
            raise ZeroDivisionError("oh")
        return train(recipe, **options)

    monkeypatch.setattr(runner, "train", fails_once)
    result = run_study(study(folder, SIZES))
    assert [each.state for each in result.members] == ["failed", "complete"]
    assert result.members[0].error == "ZeroDivisionError: oh"
    assert "Traceback" in caplog.text


def test_ctrl_c_stops_the_study_and_explains_how_to_resume(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = study(folder, SIZES)

    def stopped(recipe: Recipe, dataset: Any, run: Run, **options: Any) -> Any:
        if "-60-" in recipe.name:
            raise KeyboardInterrupt
        return fit(recipe, dataset, run, **options)

    with monkeypatch.context() as patched:
        patched.setattr("slugline.pipeline.steps.fit", stopped)
        assert run(["study", str(path)]) == 130
    assert "Resume the study with the same command" in capsys.readouterr().err
    assert [each["state"] for each in summary()["members"]] == ["complete", "interrupted"]
    assert summary()["chosen"] is None
    assert run(["study", str(path)]) == 0


def test_checkpoints_are_kept_on_request(folder: Path) -> None:
    step = '[[step]]\nname = "s"\n'
    keep = 'set = {"train.keep_checkpoints" = 1}'
    path = study(folder, step, recipe="tiny.toml", top=f"keep_checkpoints = true\n{keep}")
    (found,) = run_study(path).members
    assert list(Run(found.member.path).layout.checkpoints.iterdir())
    fold = found.member.path / "folds" / "1" / "checkpoints"
    fold.mkdir(parents=True)
    (fold.parent / "manifest.json").touch()
    run_study(study(folder, step, recipe="tiny.toml", top=keep))
    assert not Run(found.member.path).layout.checkpoints.exists()
    assert not fold.exists()
    assert Run(found.member.path).layout.model.exists()


def test_members_that_score_test_keep_their_scores(folder: Path) -> None:
    result = run_study(study(folder, SIZES, top='set = { evaluation.splits = ["validation", "test"] }'))
    assert all("test" in Run(each.member.path).metrics for each in result.members)
    assert len(result.test) == 1


def test_a_setting_is_chosen_without_test_rows(folder: Path) -> None:
    result = run_study(study(folder, SIZES, top='set = { "data.test_fraction" = 0.0 }'))
    assert result.chosen is not None
    assert not result.test
    result.require_success()


def test_changed_data_is_not_scored_on_test(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv(folder / "own.csv", articles(150))
    path = study(folder, SIZES, top='set = { "data.path" = "own.csv" }')
    with monkeypatch.context() as patched:
        patched.setattr(runner, "_score_chosen", lambda result: result)
        run_study(path)
    write_csv(folder / "own.csv", articles(150, seed=1))
    result = run_study(path)
    with pytest.raises(RunError, match=r"could not be scored on test: .* has changed"):
        result.require_success()


@pytest.mark.parametrize(
    "grid", ['"data.split_seed" = [1, 2]', '"train.folds" = [0, 2]', '"data.test_fraction" = [0.2, 0.4]']
)
def test_settings_scored_on_different_rows_are_not_ranked(
    folder: Path, grid: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = study(folder, f'[[step]]\nname = "s"\ngrid = {{ {grid} }}\n', top='set = { "data.path" = "own.csv" }')
    write_csv(folder / "own.csv", articles(150))
    assert run(["study", str(path)]) == 0
    printed = capsys.readouterr()
    written = summary()
    assert written["chosen"] is None
    assert written["comparison"] is None
    assert "scored best" not in printed.out
    for text in (written["reason_for_no_choice"], " ".join(printed.out.split())):
        assert "different validation rows and are not ranked" in text
        assert all(each["setting"] in text for each in written["members"])


def test_settings_with_different_classes_are_not_ranked(folder: Path) -> None:
    write_csv(folder / "own.csv", [*articles(150), {"text": "one of its kind about quarks", "label": "physics"}])
    path = study(
        folder,
        '[[step]]\nname = "s"\ngrid = { "data.min_class_examples" = [0, 2] }\n',
        top='set = { "data.path" = "own.csv" }',
    )
    assert run(["study", str(path)]) == 0
    assert "with 4 classes" in summary()["reason_for_no_choice"]


def test_a_study_of_version_0_1_is_not_outdated(folder: Path, trained: list[str]) -> None:
    path = study(folder, '[[step]]\nname = "s"\n', recipe="tiny.toml")
    (member,) = run_study(path).members
    saved = Run(member.member.path).layout.recipe
    # Version 0.1 wrote these defaults.
    saved.write_text(saved.read_text().replace("[train]\n", "[train]\nkeep_checkpoints = 2\n"))
    trained.clear()
    run_study(path)
    assert not trained


def test_members_trained_on_other_data_are_refused_and_trained_again_with_force(
    folder: Path, trained: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    write_csv(folder / "own.csv", articles(150))
    top = 'set = { "data.path" = "own.csv" }'
    run_study(study(folder, LINEAR, top=top))
    write_csv(folder / "own.csv", articles(300, seed=1))
    path = study(folder, LINEAR + SIZES, top=top)
    trained.clear()
    assert run(["study", str(path)]) == 1
    assert "linear seed 13 was trained on other data" in capsys.readouterr().err
    assert not trained
    assert run(["study", str(path), "--force"]) == 0
    assert len(trained) == 3
    assert summary()["chosen"] is not None


def test_an_interrupted_member_goes_on_after_its_data_was_mended(
    folder: Path, trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = articles(150)
    write_csv(folder / "own.csv", rows)
    path = study(folder, '[[step]]\nname = "s"\n', recipe="tiny.toml", top='set = { "data.path" = "own.csv" }')

    def stopped(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("slugline.pipeline.steps.fit", stopped)
        assert run(["study", str(path)]) == 130
    rows[0]["label"] = rows[1]["label"]
    write_csv(folder / "own.csv", rows)
    assert run(["study", str(path)]) == 1
    assert run(["study", str(path), "--force"]) == 0
    assert summary()["members"][0]["state"] == "complete"


def test_a_member_that_is_being_trained_is_refused(folder: Path, trained: list[str]) -> None:
    path = study(folder, SIZES)
    run_study(path)
    trained.clear()
    member = Run(Path("runs/s/sizes/max_train_examples=6,seed=13"))
    with open_run(member.path, member.recipe, force=True), pytest.raises(RunError, match="being trained right now"):
        run_study(path, force=True)
    assert not trained


def test_the_table_names_the_overrides_and_progress_goes_to_stderr(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["study", str(study(folder, SIZES, recipe="tiny.toml", top="seeds = [13, 14]"))]) == 0
    captured = capsys.readouterr()
    assert "member 3 of 4: sizes/max_train_examples=60 seed 13" in captured.err
    row = next(line for line in captured.out.splitlines() if "max_train_examples=60" in line)
    assert "±" in row
    assert row.endswith("complete")
    assert sum("between sizes/" in line or "better than" in line for line in captured.out.splitlines()) == 1
    assert "test, seed 14" in captured.out
    assert "over the seeds: accuracy" in captured.out


def test_a_study_killed_in_its_second_member_does_not_repeat_the_first(folder: Path) -> None:
    steps = LINEAR + '[[step]]\nname = "encoder"\nset = { "train.epochs" = 20, "train.save_every" = 10 }\n'
    path = study(folder, steps, recipe="tiny.toml")
    first, second = (Run(Path(f"runs/s/{step}/seed=13")) for step in ("linear", "encoder"))
    process = start_cli("study", str(path), stderr=folder / "stderr.txt")
    wait_for(lambda: list(second.layout.checkpoints.glob("checkpoint-*/seal.json")), process)
    process.kill()
    process.join(timeout=60)
    assert process.exitcode == -signal.SIGKILL
    assert second.state == "interrupted"
    finished, created, history = first.manifest, second.manifest["created"], second.history
    assert [each["state"] for each in summary()["members"]] == ["complete", "new"]

    assert run(["study", str(path)]) == 0
    assert first.manifest == finished
    assert second.manifest["created"] == created
    assert second.history[0] == history[0]
    assert second.history[-1]["step"] == 140
    assert [each["state"] for each in summary()["members"]] == ["complete", "complete"]
    assert summary()["chosen"]["test_by_seed"]["13"]["confidence_intervals"]


CONDITIONAL = (
    '[[step]]\nname = "first"\ngrid = {{ "data.max_train_examples" = [6, 60] }}\n'
    '[[step]]\nname = "second"\nwhen = "first.validation.{figure}"\nset = {{ "data.max_train_examples" = 90 }}\n'
    '[[step]]\nname = "third"\nwhen = "second.validation.accuracy >= 0"\nset = {{ "data.max_train_examples" = 80 }}\n'
)


@pytest.mark.parametrize(
    ("figure", "is_met"), [("accuracy >= 0", True), ("accuracy < 0", False), ("support > 1", True)]
)
def test_a_step_whose_condition_is_not_met_is_left_out(
    folder: Path, trained: list[str], figure: str, is_met: bool
) -> None:
    result = run_study(study(folder, CONDITIONAL.format(figure=figure)))
    steps = [member.member.setting.step for member in result.members]
    assert steps == ["first", "first", *(["second", "third"] if is_met else [])]
    assert len(trained) == len(steps)
    assert result.chosen is not None
    assert [setting["step"] for setting in summary()["settings"]] == steps
    assert run_study(study(folder, CONDITIONAL.format(figure=figure))).chosen is not None
    assert len(trained) == len(steps)  # nothing is trained again


def test_the_best_member_of_a_step_decides(folder: Path) -> None:
    scores = {
        member.member.setting.name: member.metrics["accuracy"]
        for member in run_study(study(folder, CONDITIONAL.format(figure="accuracy < 0"))).members
    }
    best, worst = max(scores.values()), min(scores.values())
    assert worst < best  # six rows are too few
    bound = f"accuracy > {(best + worst) / 2}"
    assert len(run_study(study(folder, CONDITIONAL.format(figure=bound))).members) == 4


def test_a_condition_on_a_figure_that_no_run_has_is_an_error(folder: Path) -> None:
    with pytest.raises(RecipeError, match="Did you mean 'accuracy'"):
        run_study(study(folder, CONDITIONAL.format(figure="acuracy < 1")))
