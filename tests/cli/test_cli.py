"""The command line: results on stdout, messages on stderr, errors without a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from conftest import articles, start_cli, wait_for, write_csv
from slugline import train
from slugline.cli.app import run
from slugline.cli.printing.data import print_description
from slugline.recipe.recipe import validate, write
from slugline.run.run import Run
from slugline.training.loop.checkpoints import checkpoints_in, is_sealed, step_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the file of a user."""
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "my.csv", articles(150))
    return tmp_path


@pytest.fixture
def linear_run(folder: Path) -> Path:
    """A complete run of the linear kind, in runs/my."""
    recipe = validate({"name": "my", "data": {"path": "my.csv"}, "model": {"kind": "linear"}})
    return train(recipe).path


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    code = run(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_file_becomes_a_recipe_a_run_and_predictions(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, recipe, _ = command(capsys, "recipe", "new", "my.csv", "model.kind=linear")
    assert code == 0
    (folder / "my.toml").write_text(recipe)
    code, out, err = command(capsys, "train", "my.toml")
    assert code == 0, err
    assert "test" in out
    assert "runs/my is complete" in out
    code, out, _ = command(capsys, "predict", "runs/my", "the bank lost market shares", "the team won the match")
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["business", "sport"]
    code, out, _ = command(capsys, "evaluate", "runs/my", "--json")
    assert json.loads(out)["test"]["support"] == 30


def test_a_split_without_rows_is_an_empty_line_and_training_names_the_cause(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"text": f"some text about thing {n}", "label": f"class {n}"} for n in range(8)]
    write_csv(folder / "few.csv", rows)
    code, out, err = command(capsys, "data", "inspect", "few.csv")
    assert code == 0, err
    assert "classes with one row, which stays in train: 8" in out.replace("\n    ", " ")
    (folder / "few.toml").write_text('name = "few"\n[data]\npath = "few.csv"\n[model]\nkind = "linear"\n')
    code, _, err = command(capsys, "train", "few.toml")
    assert code != 0
    assert "Found: classes with one row, which stays in train: 8" in err.replace("\n", " ")


def test_the_first_split_may_be_the_one_without_rows(capsys: pytest.CaptureFixture[str]) -> None:
    full = {"length_quantiles": {"0": 4, "0.5": 5, "1": 6}, "truncated_share": 0.25}
    empty = {"length_quantiles": {}, "truncated_share": 0.0}
    tokens = {"tokenizer": "t", "max_length": 8, "test": empty, "train": full}
    described = {"rows": {"test": 0, "train": 3}, "classes": {"test": {}, "train": {"a": 3}}, "tokens": tokens}
    described |= {"name": "n", "licence": "", "text": ["text"], "label": "label", "labels": ["a"], "findings": []}
    print_description(described | {"examples": {"train": []}})
    lines = capsys.readouterr().out.splitlines()
    assert "test" in lines
    assert next(line for line in lines if line.startswith("train")).split() == ["train", "4", "5", "6", "25.0%"]


def test_labels_are_mapped_on_the_command_line(
    linear_run: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row | {"label": f"LABEL_{row['label']}"} for row in articles(30, seed=5)]
    write_csv(folder / "other.csv", rows)
    pairs = [f"--label-map=LABEL_{name}={name}" for name in ("business", "sport", "tech")]
    code, out, err = command(capsys, "evaluate", str(linear_run), "--data", "other.csv", *pairs, "--json")
    assert code == 0, err
    assert json.loads(out)["test"]["accuracy"] > 0.8
    code, _, err = command(capsys, "evaluate", str(linear_run), "--data", "other.csv")
    assert (code, "--label-map" in err) == (1, True)
    code, _, err = command(capsys, "evaluate", str(linear_run), "--data", "other.csv", "--label-map", "tech")
    assert (code, "LABEL=CLASS" in err) == (2, True)


def test_json_is_the_only_output_on_stdout(linear_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = command(capsys, "predict", str(linear_run), "bank", "--json")
    prediction = json.loads(out)[0]
    assert prediction["label"] == "business"
    assert prediction["probability"] == max(prediction["probabilities"].values())
    code, out, _ = command(capsys, "train", str(linear_run / "recipe.toml"), "name=again", "--json")
    assert (code, json.loads(out)["run"]) == (0, "runs/again")
    assert {"kind", "message", "advice", "settings"} <= set(json.loads(out)["diagnosis"][0])
    _, out, _ = command(capsys, "doctor", "--json")
    assert json.loads(out)["hardware"]["cores"]
    _, out, _ = command(capsys, "data", "list", "--json")
    assert "bbc_news" in [known["name"] for known in json.loads(out)]
    _, out, _ = command(capsys, "recipe", "schema")
    assert json.loads(out)["additionalProperties"] is False
    _, out, _ = command(capsys, "data", "inspect", "my.csv", "--json")
    assert json.loads(out)["rows"] == {"train": 105, "validation": 15, "test": 30}


def test_inspect_shows_counts_lengths_findings_and_examples(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = articles(60)
    write_csv(folder / "double.csv", [*rows, *rows[:5]])
    code, out, _ = command(capsys, "data", "inspect", "double.csv")
    assert code == 0
    assert "business" in out
    assert "exact repetitions" in out
    assert "examples from train" in out
    assert out.splitlines()[2].split() == ["class", "train", "validation", "test", "before"]
    assert out.splitlines()[6].split() == ["all", "42", "6", "12", "65"]


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_a_prepared_data_set_gives_the_same_metrics(
    folder: Path, capsys: pytest.CaptureFixture[str], format: str
) -> None:
    code, out, _ = command(capsys, "data", "prepare", "my.csv", "--out", "ready", "--format", format)
    assert code == 0
    assert "train: 105 rows" in out
    runs = [
        train(validate({"name": name, "data": {"path": path}, "model": {"kind": "linear"}}))
        for name, path in (("raw", "my.csv"), ("ready", "ready"))
    ]
    assert runs[0].metrics["test"] == runs[1].metrics["test"]


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_predictions_of_a_file_have_the_order_of_its_rows(
    linear_run: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    from slugline.data.reading.formats import read_rows

    code, out, _ = command(capsys, "predict", str(linear_run), "--input", "my.csv", "--output", f"out.{kind}")
    assert code == 0
    assert "150 rows" in out
    rows, predictions = list(read_rows(Path("my.csv"))), list(read_rows(Path(f"out.{kind}")))
    assert [row["text"] for row in rows] == [each["text"] for each in predictions]
    assert sum(each["predicted"] == row["label"] for row, each in zip(rows, predictions, strict=True)) > 140
    assert all(0 < float(str(each["confidence"])) <= 1 for each in predictions)


def test_compare_prints_a_verdict(linear_run: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = {"name": "other", "data": {"path": "my.csv", "max_train_examples": 6}, "model": {"kind": "linear"}}
    train(validate(other))
    code, out, _ = command(capsys, "compare", "runs/my", "runs/other")
    assert code == 0
    assert "no difference is shown" in out or "is better than" in out
    assert "training, s" in out  # costs
    assert "loss_calibrated" in out
    code, out, _ = command(capsys, "compare", "runs/my", "runs/other", "--slices", "--json")
    compared = json.loads(out)
    assert {each["kind"] for each in compared["slices"]} == {"class", "length", "confidence"}
    lengths = [each["support"] for each in compared["slices"] if each["kind"] == "length"]
    assert sum(lengths) == compared["support"]
    assert compared["runs"][0]["costs"]["train_seconds"] > 0
    assert "McNemar" in command(capsys, "compare", "runs/my", "runs/other", "--slices")[1]


def test_the_command_to_type_next_is_quoted(linear_run: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = str(Run(linear_run).layout.recipe)
    code, out, _ = command(capsys, "train", recipe, "--run-dir", "runs/with blank")
    assert code == 0
    assert out.splitlines()[-1] == "  slugline predict 'runs/with blank' \"a text\""
    code, _, error = command(capsys, "evaluate", str(linear_run), "--split", "bogus")
    assert code == 1
    assert "data.bogus" not in error


ERRORS: list[tuple[list[str], int, str]] = [
    (["train", "none.toml"], 1, "no such recipe"),
    (["train", "typo.toml"], 1, "Did you mean 'epochs'"),
    (["train", "no-file.toml"], 1, "missing.csv"),
    (["train", "my.toml", "data.text=headline"], 1, "headline"),
    (["train", "my.toml", "data.path=empty.csv"], 1, "empty.csv"),
    (["train", "my.toml", "data.path=one.csv"], 1, "only one class"),
    (["train", "my.toml", "data.path=few.csv"], 1, "rare"),
    (["train", "my.toml", "data.test_path=new-label.csv"], 1, "weather"),
    (["train", "my.toml", "model.base=no-tokenizer"], 1, "no tokenizer"),
    (["train", "my.toml", "model.base=owner/nothing"], 1, "no local copy"),
    (["train", "my.toml", "data.path=", "data.name=agnews"], 1, "ag_news"),
    (["train", "my.toml", "data.path=", "data.hub=owner/nothing"], 1, "HF_HOME"),
    (["predict", "nothing-here", "a text"], 1, "nothing-here"),
    (["predict", "no-config", "a text"], 1, "config.json"),
    (["evaluate", "no-config"], 1, "config.json"),
    (["compare", "no-config", "no-config"], 1, "not a run"),
    (["predict", "runs/my"], 2, "give texts"),
    (["train"], 2, "Missing argument"),
    (["trian"], 2, "No such command"),
]


@pytest.mark.parametrize(("arguments", "expected", "message"), ERRORS, ids=lambda value: str(value)[:40])
def test_errors_in_the_input_are_named_without_a_traceback(
    folder: Path,
    tiny_base: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    expected: int,
    message: str,
) -> None:
    (folder / "my.toml").write_text('name = "my"\n[data]\npath = "my.csv"\n[model]\nbase = "' + str(tiny_base) + '"\n')
    (folder / "typo.toml").write_text('name = "my"\n[data]\npath = "my.csv"\n[train]\nepoch = 3\n')
    (folder / "no-file.toml").write_text('name = "my"\n[data]\npath = "missing.csv"\n')
    (folder / "empty.csv").touch()
    write_csv(folder / "one.csv", [row | {"label": "same"} for row in articles(30)])
    write_csv(folder / "few.csv", [*articles(30), *({"text": f"rare {n}", "label": "rare"} for n in range(2))])
    write_csv(folder / "new-label.csv", [*articles(9, seed=9), {"text": "rain", "label": "weather"}])
    (folder / "no-config").mkdir()
    (folder / "no-tokenizer").mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / "no-tokenizer" / name).write_bytes((tiny_base / name).read_bytes())
    code, out, err = command(capsys, *arguments)
    assert code == expected, err
    assert message in err
    assert "Traceback" not in err
    assert not out
    assert not (folder / "runs" / "my").exists()


@pytest.mark.parametrize("command_name", [["train"], ["pretrain"], ["recipe", "show"], ["study"]])
@pytest.mark.parametrize("data", ["my.csv", "MY.JSONL", "my.parquet", "my folder", "*.csv", "bbc_news"])
def test_data_in_place_of_a_recipe_gets_the_commands_to_type(
    folder: Path, capsys: pytest.CaptureFixture[str], command_name: list[str], data: str
) -> None:
    for name in ("MY.JSONL", "my.parquet"):
        (folder / name).write_bytes(b"{")
    (folder / "my folder").mkdir()
    code, out, err = command(capsys, *command_name, data)
    assert (code, out) == (1, "")
    assert f"error: {data} is data, not a recipe." in err
    quoted = f"'{data}'" if data in ("my folder", "*.csv") else data
    recipe = {"my folder": "my-folder", "*.csv": "my-data", "bbc_news": "bbc_news"}.get(data, "my")
    assert f"  slugline recipe new {quoted} > {recipe}.toml\n" in err
    last = "train" if command_name == ["study"] else " ".join(command_name)
    assert err.endswith(f"  slugline {last} {recipe}.toml\n")


def test_a_run_in_place_of_a_recipe_is_named(linear_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = command(capsys, "train", str(linear_run))
    assert (code, f"{linear_run} is a run, not a recipe" in err) == (1, True)


def test_overrides_are_part_of_the_command_to_type(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, _, err = command(capsys, "train", "my.csv", "train.epochs=1")
    assert "slugline train my.toml train.epochs=1" in err
    lines = [line for line in err.splitlines() if line.startswith("  slugline ")]
    code, out, _ = command(capsys, *lines[0].split(" > ")[0].split()[1:])
    assert code == 0
    assert 'path = "my.csv"' in out


def test_a_complete_run_is_replaced_only_with_force(linear_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (Path.cwd() / "my.toml").write_text(write(Run(linear_run).recipe))
    code, _, err = command(capsys, "train", "my.toml")
    assert (code, "--force" in err) == (1, True)
    assert command(capsys, "train", "my.toml", "--force")[0] == 0


def test_ctrl_c_keeps_the_run_and_names_the_option_to_resume(folder: Path, recipe_values: dict[str, Any]) -> None:
    recipe = validate(recipe_values | {"train": recipe_values["train"] | {"epochs": 400, "save_every": 5}})
    (folder / "tiny.toml").write_text(write(recipe))
    process = start_cli("train", "tiny.toml", stderr=folder / "stderr.txt")
    wait_for(lambda: list(folder.glob("runs/tiny/checkpoints/checkpoint-*/seal.json")), process)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)
    process.join(timeout=60)
    err = (folder / "stderr.txt").read_text()
    assert process.exitcode == 130, err
    assert "--resume" in err
    assert "Traceback" not in err
    assert Run(folder / "runs" / "tiny").state == "interrupted"


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.3])
def test_sigterm_saves_a_checkpoint_and_leaves_a_run_that_resumes(
    folder: Path, recipe_values: dict[str, Any], delay: float
) -> None:
    # Without SIGTERM, there is no checkpoint before the end.
    rare = {"epochs": 400, "eval_every": "400 epochs", "save_every": "400 epochs"}
    recipe = validate(recipe_values | {"train": recipe_values["train"] | rare})
    (folder / "tiny.toml").write_text(write(recipe))
    process = start_cli("train", "tiny.toml", stderr=folder / "stderr.txt")
    run = Run(folder / "runs" / "tiny")
    wait_for(lambda: run.history, process)
    time.sleep(delay)
    process.terminate()
    process.join(timeout=60)
    err = (folder / "stderr.txt").read_text()
    assert process.exitcode == 143, err
    assert "Traceback" not in err
    assert (run.state, run.manifest["error"]) == ("interrupted", "stopped by SIGTERM")
    assert "--resume" in err
    (checkpoint,) = checkpoints_in(run.layout.checkpoints)
    assert is_sealed(checkpoint)
    assert run.history[-1]["step"] == step_of(checkpoint)


SHELL_COMMANDS = [
    "recipe show my.toml",
    "recipe schema",
    "data inspect my.csv",
    "data list --json",
    "train my.toml --run-dir runs/piped",
    "train my.toml --run-dir runs/piped --force --json",
    "evaluate runs/my",
    "predict runs/my bank match",
    "compare runs/my runs/my",
    "doctor",
    "--help",
    "train --help",
    "--version",
]


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_of_stdout_that_exits_is_no_error(linear_run: Path, unbuffered: str) -> None:
    (Path.cwd() / "my.toml").write_text(write(Run(linear_run).recipe))
    # In one process, because each start takes seconds. The reader of the pipe has exited before anything is printed.
    script = (
        "import os, sys\n"
        "from slugline.cli.app import run\n"
        "reader, writer = os.pipe()\n"
        "os.close(reader)\n"
        f"for command in {SHELL_COMMANDS!r}:\n"
        "    os.dup2(writer, 1)\n"
        "    code = run(command.split())\n"
        "    print(f'{command}: {code}', file=sys.stderr)\n"
    )
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr, "Exception ignored" in done.stderr) == (0, False, False)
    codes = [line for line in done.stderr.splitlines() if line in [f"{command}: 0" for command in SHELL_COMMANDS]]
    assert codes == [f"{command}: 0" for command in SHELL_COMMANDS], done.stderr
    assert Run(Path("runs/piped")).state == "complete"


@pytest.mark.parametrize(
    ("redirection", "expected"),
    [("| true", 0), ("2>&1 | true", 0), (">&-", 0), ("2>&-", 0), ("> /dev/full", 1), ("wrong 2> >(true)", 2)],
)
def test_closed_and_full_outputs(folder: Path, redirection: str, expected: int) -> None:
    command = f"sleep 0.1; {sys.executable} -m slugline recipe schema {redirection}"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == expected, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_errors_keep_their_exit_code_if_nothing_reads_them(folder: Path) -> None:
    command = f"{sys.executable} -m slugline train none.toml 2>&1 | true"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")


def commands() -> list[str]:
    from slugline.cli.app import app

    groups = {group.name: group.typer_instance for group in app.registered_groups}
    names = [str(command.name) for command in app.registered_commands]
    return names + [f"{name} {each.name}" for name, group in groups.items() for each in group.registered_commands]  # type: ignore[union-attr]


@pytest.mark.parametrize("name", commands())
def test_every_command_has_the_option_quiet(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = command(capsys, *name.split(), "--help")
    assert (code, "-q, --quiet" in out) == (0, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["-q", "data", "inspect", "my.csv"],
        ["data", "-q", "inspect", "my.csv"],
        ["data", "inspect", "my.csv", "-q"],
        ["data", "inspect", "--quiet", "my.csv", "text=text"],
        ["train", "my.toml", "-q", "--run-dir", "runs/q"],
        ["train", "my.toml", "train.threads=1", "--force", "--run-dir", "runs/q", "--quiet", "--json"],
    ],
    ids=" ".join,
)
def test_quiet_is_accepted_before_and_after_the_command(
    linear_run: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    from slugline.core import progress

    (Path.cwd() / "my.toml").write_text(write(Run(linear_run).recipe))
    code, out, err = command(capsys, *arguments)
    assert (code, "text column" in err, "loaded" in err, progress._shown) == (0, False, False, False)
    assert out
    assert not [line for line in err.splitlines() if not line.startswith("warning: ")]
    loud = [each for each in arguments if each not in ("-q", "--quiet")]
    loud += ["--force"] if loud[0] == "train" and "--force" not in loud else []
    _, _, err = command(capsys, *loud)
    assert [line for line in err.splitlines() if not line.startswith("warning: ")]
    assert progress._shown


def test_output_is_plain_without_a_terminal(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "slugline", "data", "inspect", "my.csv"], capture_output=True, text=True, check=True
    )
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stderr


def test_help_imports_no_heavy_library() -> None:
    script = (
        "import sys\n"
        "from slugline.cli.app import run\n"
        "run(['--help'])\n"
        "import slugline, slugline.recipe.recipe\n"
        "heavy = {'torch', 'transformers', 'datasets', 'sklearn', 'matplotlib', 'pyarrow', 'numpy'}\n"
        "raise SystemExit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_resume_and_force_exclude_each_other(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[data]\nname = "bbc_news"\n')
    for command in ("train", "pretrain"):
        assert run([command, str(recipe), "--resume", "--force"]) == 2
        assert "give one of them" in capsys.readouterr().err
