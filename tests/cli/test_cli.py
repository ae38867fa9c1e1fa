"""The command line as a user meets it: results on stdout, everything else on stderr, errors in a line or two."""

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

from conftest import articles, write_csv
from slugline import train
from slugline.cli.app import run
from slugline.recipe.recipe import validate, write
from slugline.run.run import Run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a user's file in it."""
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "my.csv", articles(150))
    return tmp_path


@pytest.fixture
def linear_run(folder: Path) -> Path:
    """A trained run of the linear kind, at runs/my."""
    recipe = validate({"name": "my", "data": {"path": "my.csv"}, "model": {"kind": "linear"}})
    return train(recipe).path


def say(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    code = run(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_way_from_a_file_to_answers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, recipe, _ = say(capsys, "recipe", "new", "my.csv", "model.kind=linear")
    assert code == 0
    (folder / "my.toml").write_text(recipe)
    code, out, err = say(capsys, "train", "my.toml")
    assert code == 0, err
    assert "test" in out
    assert "runs/my is complete" in out
    code, out, _ = say(capsys, "predict", "runs/my", "the bank lost market shares", "the team won the match")
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["business", "sport"]
    code, out, _ = say(capsys, "evaluate", "runs/my", "--json")
    assert json.loads(out)["test"]["support"] == 30


def test_json_goes_to_stdout_alone(linear_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = say(capsys, "predict", str(linear_run), "bank", "--json")
    answer = json.loads(out)[0]
    assert answer["label"] == "business"
    assert answer["probability"] == max(answer["probabilities"].values())
    code, out, _ = say(capsys, "train", str(linear_run / "recipe.toml"), "name=again", "--json")
    assert (code, json.loads(out)["run"]) == (0, "runs/again")
    assert {"kind", "message", "advice", "settings"} <= set(json.loads(out)["diagnosis"][0])
    _, out, _ = say(capsys, "doctor", "--json")
    assert json.loads(out)["hardware"]["cores"]
    _, out, _ = say(capsys, "data", "list", "--json")
    assert "bbc_news" in [known["name"] for known in json.loads(out)]
    _, out, _ = say(capsys, "recipe", "schema")
    assert json.loads(out)["additionalProperties"] is False
    _, out, _ = say(capsys, "data", "inspect", "my.csv", "--json")
    assert json.loads(out)["rows"] == {"train": 105, "validation": 15, "test": 30}


def test_inspect_shows_counts_lengths_findings_and_examples(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = articles(60)
    write_csv(folder / "double.csv", [*rows, *rows[:5]])
    code, out, _ = say(capsys, "data", "inspect", "double.csv")
    assert code == 0
    assert "business" in out
    assert "exact repetitions" in out
    assert "examples from train" in out
    assert out.splitlines()[2].split() == ["class", "train", "validation", "test", "before"]
    assert out.splitlines()[6].split() == ["all", "42", "6", "12", "65"]


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_prepare_writes_a_set_that_trains_to_the_same_result(
    folder: Path, capsys: pytest.CaptureFixture[str], format: str
) -> None:
    code, out, _ = say(capsys, "data", "prepare", "my.csv", "--out", "ready", "--format", format)
    assert code == 0
    assert "train: 105 rows" in out
    runs = [
        train(validate({"name": name, "data": {"path": path}, "model": {"kind": "linear"}}))
        for name, path in (("raw", "my.csv"), ("ready", "ready"))
    ]
    assert runs[0].metrics["test"] == runs[1].metrics["test"]


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_files_are_predicted_row_by_row_in_order(
    linear_run: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    from slugline.data.reading.formats import read_rows

    code, out, _ = say(capsys, "predict", str(linear_run), "--input", "my.csv", "--output", f"out.{kind}")
    assert code == 0
    assert "150 rows" in out
    rows, answers = list(read_rows(Path("my.csv"))), list(read_rows(Path(f"out.{kind}")))
    assert [row["text"] for row in rows] == [answer["text"] for answer in answers]
    assert sum(answer["predicted"] == row["label"] for row, answer in zip(rows, answers, strict=True)) > 140
    assert all(0 < float(str(answer["confidence"])) <= 1 for answer in answers)


def test_compare_says_what_is_shown(linear_run: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = {"name": "other", "data": {"path": "my.csv", "max_train_examples": 6}, "model": {"kind": "linear"}}
    train(validate(other))
    code, out, _ = say(capsys, "compare", "runs/my", "runs/other")
    assert code == 0
    assert "no difference is shown" in out or "is better than" in out


ERRORS: list[tuple[list[str], int, str]] = [
    (["train", "none.toml"], 1, "no such recipe"),
    (["train", "typo.toml"], 1, "Did you mean 'epochs'"),
    (["train", "gone.toml"], 1, "gone.csv"),
    (["train", "my.toml", "data.text=headline"], 1, "headline"),
    (["train", "my.toml", "data.path=empty.csv"], 1, "empty.csv"),
    (["train", "my.toml", "data.path=one.csv"], 1, "only one class"),
    (["train", "my.toml", "data.path=few.csv"], 1, "rare"),
    (["train", "my.toml", "data.test_path=new-label.csv"], 1, "weather"),
    (["train", "my.toml", "model.base=no-tokenizer"], 1, "no tokenizer"),
    (["train", "my.toml", "model.base=nobody/nothing"], 1, "no local copy"),
    (["train", "my.toml", "data.path=", "data.name=agnews"], 1, "ag_news"),
    (["train", "my.toml", "data.path=", "data.hub=nobody/nothing"], 1, "HF_HOME"),
    (["predict", "nothing-here", "a text"], 1, "nothing-here"),
    (["predict", "no-config", "a text"], 1, "config.json"),
    (["evaluate", "no-config"], 1, "config.json"),
    (["compare", "no-config", "no-config"], 1, "not a run"),
    (["predict", "runs/my"], 2, "give texts"),
    (["train"], 2, "Missing argument"),
    (["trian"], 2, "No such command"),
]


@pytest.mark.parametrize(("arguments", "expected", "message"), ERRORS, ids=lambda value: str(value)[:40])
def test_a_users_mistake_is_named_in_a_line_or_two(
    folder: Path,
    tiny_base: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    expected: int,
    message: str,
) -> None:
    (folder / "my.toml").write_text('name = "my"\n[data]\npath = "my.csv"\n[model]\nbase = "' + str(tiny_base) + '"\n')
    (folder / "typo.toml").write_text('name = "my"\n[data]\npath = "my.csv"\n[train]\nepoch = 3\n')
    (folder / "gone.toml").write_text('name = "my"\n[data]\npath = "gone.csv"\n')
    (folder / "empty.csv").touch()
    write_csv(folder / "one.csv", [row | {"label": "same"} for row in articles(30)])
    write_csv(folder / "few.csv", [*articles(30), *({"text": f"odd {n}", "label": "rare"} for n in range(2))])
    write_csv(folder / "new-label.csv", [*articles(9, seed=9), {"text": "rain", "label": "weather"}])
    (folder / "no-config").mkdir()
    (folder / "no-tokenizer").mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / "no-tokenizer" / name).write_bytes((tiny_base / name).read_bytes())
    code, out, err = say(capsys, *arguments)
    assert code == expected, err
    assert message in err
    assert "Traceback" not in err
    assert not out
    assert not (folder / "runs" / "my").exists()


def test_a_complete_run_is_not_trained_over(linear_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (Path.cwd() / "my.toml").write_text(write(Run(linear_run).recipe))
    code, _, err = say(capsys, "train", "my.toml")
    assert (code, "--force" in err) == (1, True)
    assert say(capsys, "train", "my.toml", "--force")[0] == 0


def test_ctrl_c_leaves_a_run_that_can_go_on_and_says_how(folder: Path, recipe_values: dict[str, Any]) -> None:
    recipe = validate(recipe_values | {"train": recipe_values["train"] | {"epochs": 400, "save_every": 5}})
    (folder / "tiny.toml").write_text(write(recipe))
    command = [sys.executable, "-m", "slugline", "train", "tiny.toml"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
    for _ in range(600):
        time.sleep(0.1)
        if list(folder.glob("runs/tiny/checkpoints/checkpoint-*/seal.json")):
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "--resume" in err
    assert "Traceback" not in err
    assert Run(folder / "runs" / "tiny").state == "interrupted"


def test_the_reader_may_go_away(linear_run: Path) -> None:
    command = f"{sys.executable} -m slugline recipe show my.toml | true"
    (Path.cwd() / "my.toml").write_text(write(Run(linear_run).recipe))
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


def test_plain_lines_where_there_is_no_terminal(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "slugline", "data", "inspect", "my.csv"], capture_output=True, text=True, check=True
    )
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stderr


def test_help_is_light() -> None:
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


def test_going_on_and_beginning_anew_exclude_each_other(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[data]\nname = "bbc_news"\n')
    for command in ("train", "pretrain"):
        assert run([command, str(recipe), "--resume", "--force"]) == 2
        assert "give one of them" in capsys.readouterr().err
