"""Tables and sentences fit 80 columns; every metric is shown; `slugline show` prints results again."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import articles, linear, write_csv
from slugline import Run, train
from slugline.cli.app import run
from slugline.cli.printing import layout
from slugline.cli.printing.scores import print_scores
from slugline.evaluation import metrics
from slugline.evaluation.metrics import METRICS, Metric
from slugline.recipe.recipe import Recipe, validate, write
from slugline.workflows.study.plan import differences


@pytest.fixture(autouse=True)
def width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def trained(recipe_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    return train(linear(recipe_values | {"name": "my"}, select_by="precision_weighted"))


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    code = run([*arguments, "-q"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def scores(count: int) -> dict[str, Any]:
    """Metrics of a split with the widest possible numbers."""
    values: dict[str, Any] = dict.fromkeys(METRICS, 1.0) | {"support": count}
    return values | {"confidence_intervals": {name: [0.9, 1.0] for name in METRICS}}


@pytest.mark.parametrize("n_columns", [1, 2, 3, 5])
@pytest.mark.parametrize("columns", [60, 80, 200])
def test_scores_fit_the_screen_with_intervals_on_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, n_columns: int, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    print_scores({f"run-{number}": scores(7_600) for number in range(n_columns)}, selects="loss")
    out = capsys.readouterr().out
    assert all(len(line) <= columns for line in out.splitlines())
    assert len(re.findall(r"100\.0 \[90\.0, 100\.0\]", out)) == n_columns * (len(METRICS) - 2)  # not of the losses
    assert len(re.findall(r"run-\d", out)) == n_columns
    assert "loss *" in out
    assert "percent" in out


def test_a_metric_that_is_added_is_shown_everywhere(
    recipe_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    added = Metric("errors_share", "share of errors", lambda outcomes: 1 - METRICS["accuracy"].of(outcomes))
    monkeypatch.setitem(metrics.METRICS, "errors_share", added)
    for name in ("one", "two"):
        train(linear(recipe_values | {"name": name}))
    for arguments in (["show", "runs/one"], ["evaluate", "runs/one"], ["compare", "runs/one", "runs/two"]):
        assert "errors_share" in printed(capsys, *arguments), arguments


@pytest.mark.parametrize(
    ("headers", "rows"),
    [
        (["name", "licence"], [["bbc", "the articles are for non-commercial research only " * 4], ["x", ""]]),
        (["label", "probability", "text"], [["sport", "0.91", "a long text about football " * 9]]),
        (["step", "setting", "f1"], [["rates", "learning_rate=1e-05, batch_size=16, " * 4, "93.8 ± 0.4"]]),
    ],
)
def test_tables_wrap_at_words(capsys: pytest.CaptureFixture[str], headers: list[str], rows: list[list[str]]) -> None:
    layout.print_table(headers, rows)
    out = capsys.readouterr().out
    assert all(len(line) <= 80 for line in out.splitlines())
    words = {word for row in [headers, *rows] for cell in row for word in cell.split()}
    assert set(out.split()) == words


def test_sentences_wrap_at_words(capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        "an encoder is better-than-usual at /a/very/long/path/that/is/longer/than/the/screen/" + "x" * 50 + " word" * 30
    )
    layout.print_text(text, indent="  ")
    lines = capsys.readouterr().out.splitlines()
    assert " ".join(lines).split() == text.split()
    assert all(len(line) <= 80 or " " not in line.strip() for line in lines)
    assert all(line.startswith("  ") for line in lines[1:])


def test_all_commands_fit_80_columns(trained: Run, capsys: pytest.CaptureFixture[str]) -> None:
    write_csv(Path("my.csv"), articles(60))
    train(trained.recipe.model_copy(update={"name": "other", "seed": 5}))
    for arguments in (
        ["evaluate", "runs/my"],
        ["compare", "runs/my", "runs/other"],
        ["data", "list"],
        ["data", "inspect", "my.csv"],
        ["show", "runs/my"],
        ["doctor"],
    ):
        out = printed(capsys, *arguments)
        too_long = [line for line in out.splitlines() if len(line) > 80 and len(line.split()) > 2]
        assert not too_long, arguments


def test_show_prints_what_training_printed_and_more(trained: Run, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, "show", "runs/my")
    test = trained.metrics["test"]
    low, high = test["confidence_intervals"]["accuracy"]
    assert f"{100 * test['accuracy']:.1f} [{100 * low:.1f}, {100 * high:.1f}]" in out
    assert "precision_weighted *" in out
    assert f" s on {trained.manifest['hardware']['name']}" in out
    for words in ("runs/my: complete", "classes of test", "business", "confused classes", "diagnosis", "parameters"):
        assert words in out
    values = json.loads(printed(capsys, "show", "runs/my", "--json"))
    assert (values["state"], values["test"]["accuracy"]) == ("complete", test["accuracy"])
    assert {"data", "diagnosis", "errors", "manifest"} <= set(values)


def test_show_names_confused_classes_and_findings(trained: Run, capsys: pytest.CaptureFixture[str]) -> None:
    errors = json.loads(trained.layout.errors.read_text())
    errors |= {"errors": 3, "most_confused": [{"true": "sport", "predicted": "tech", "count": 3}]}
    trained.layout.errors.write_text(json.dumps(errors))
    data = trained.data | {"findings": [{"message": "leaked rows: 4", "is_warning": True}]}
    trained.layout.data.write_text(json.dumps(data))
    out = printed(capsys, "show", "runs/my")
    assert re.search(r"^sport +tech +3$", out, re.MULTILINE)
    assert "! leaked rows: 4" in out


def test_show_of_interrupted_and_cross_validated_runs(
    recipe_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run_of_folds = train(linear(recipe_values | {"name": "folds"}, folds=3))
    out = printed(capsys, "show", "runs/folds")
    assert "out_of_fold" in out
    assert all(f"fold {number}" in out for number in (1, 2, 3))
    run_of_folds.layout.metrics.unlink()
    (run_of_folds.path / "diagnosis.json").unlink()
    run_of_folds.update_manifest({"state": "interrupted", "error": "stopped by Ctrl-C"})
    line = {"step": 7, "epoch": 1.0, "validation": dict.fromkeys(METRICS, 0.5)}
    run_of_folds.append_history(line)
    out = printed(capsys, "show", "runs/folds")
    for words in (
        "runs/folds: interrupted",
        "stopped by Ctrl-C",
        "fold 2: complete",
        "update 7",
        "f1_macro",
        "--resume",
    ):
        assert words in out
    assert run(["show", "runs/fold"]) == 1
    assert "Did you mean 'folds'" in capsys.readouterr().err


def test_show_imports_neither_torch_nor_transformers(trained: Run) -> None:
    script = (
        "import sys\n"
        "from slugline.cli.app import run\n"
        "code = run(['show', 'runs/my'])\n"
        "raise SystemExit(code or str({'torch', 'transformers', 'datasets', 'sklearn'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "set()"


def test_a_study_shows_what_varies_and_is_shown_again(
    recipe_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe: Recipe = validate(recipe_values | {"model": {"kind": "linear"}, "train": {}})
    (tmp_path / "my.toml").write_text(write(recipe))
    (tmp_path / "s.toml").write_text(
        'name = "s"\nrecipe = "my.toml"\nset = { "data.max_length" = 99 }\n[[step]]\nname = "sizes"\n'
        'set = { "data.min_words" = 1 }\ngrid = { "data.max_train_examples" = [20, 60] }\n'
    )
    out = printed(capsys, "study", "s.toml")
    assert re.search(r"^sizes +max_train_examples=20 ", out, re.MULTILINE)
    table = out.partition("Scores are")[0]
    assert "min_words" not in table
    assert "max_length" not in table
    assert all(len(line) <= 80 for line in out.splitlines())
    assert printed(capsys, "show", "runs/s") == out
    assert json.loads(printed(capsys, "show", "runs/s", "--json"))["name"] == "s"


def test_differences_name_keys_shortly_unless_they_are_ambiguous() -> None:
    settings = [
        {"model.dropout": 0.1, "train.epochs": 2, "data.text": ["a"]},
        {"train.dropout": 0.3, "train.epochs": 2, "data.text": ["b", "c"]},
    ]
    assert differences(settings) == ["model.dropout=0.1, text=a", "text=b-c, train.dropout=0.3"]
    assert differences([{"train.epochs": 1}]) == [""]
    assert differences([]) == []
