"""`slugline data check`: recipes and sets, fixes with the list of changes, exit codes; the summary before training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import SHARED_DATA, articles, linear, write_csv
from slugline import train
from slugline.cli.app import run
from slugline.core.errors import DataError
from slugline.data.checks import run as checks
from slugline.data.checks.run import CHECKS, Check
from slugline.data.findings import Finding
from slugline.data.load import load_dataset
from slugline.recipe.recipe import validate
from slugline.workflows.check_data import check_data, fix_data
from slugline.workflows.first_recipe import data_recipe


@pytest.fixture
def leaky(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with train and test; 5 leaks, 3 repetitions, an empty text, 2 texts of a wrong encoding, a conflict."""
    monkeypatch.chdir(tmp_path)
    rows, test = articles(120), articles(40, seed=5)
    rows += [*test[:5], *rows[:3], {"text": "  ", "label": "sport"}]
    rows += [{"text": rows[10]["text"], "label": "sport" if rows[10]["label"] != "sport" else "tech"}]
    rows[20]["text"] += " cafÃ© fermÃ©"
    test[7]["text"] += " cafÃ© fermÃ©"
    folder = tmp_path / "news"
    folder.mkdir()
    write_csv(folder / "train.csv", rows)
    write_csv(folder / "test.csv", test)
    return folder


def outcome(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run(["data", "check", *arguments, "-q"])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def report(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code, out, _ = outcome(capsys, *arguments, "--json")
    return code, json.loads(out)


def test_an_error_is_exit_code_3_and_a_clean_set_0(
    leaky: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean = write_csv(tmp_path / "clean.csv", articles(120))
    assert outcome(capsys, str(leaky))[0] == 3
    code, out, _ = outcome(capsys, str(clean))
    assert code == 0
    assert f"{len(CHECKS)} checks found nothing." in out
    assert outcome(capsys, str(leaky), "--skip", "leak")[0] == 0
    assert outcome(capsys, str(leaky), "--only", "empty-text")[0] == 0
    assert outcome(capsys, str(tmp_path / "absent.csv"))[0] == 1


def test_a_finding_shows_level_number_rows_and_advice(leaky: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = outcome(capsys, str(leaky), "--examples", "2")
    words = " ".join(out.split())
    assert "error: rows of train whose text is also in test: 5 (3.8% of train) [leak]" in words
    assert "- and 3 more What to do: Remove them from train with --fix" in words
    assert "1 error, " in words
    assert all(len(line) <= 80 for line in out.splitlines())
    _, values = report(capsys, str(leaky), "--examples", "2")
    (found,) = [each for each in values["findings"] if each["kind"] == "leak"]
    assert (found["level"], found["count"], len(found["examples"])) == ("error", 5, 2)
    train_ids = {row.partition(" ")[0] for row in found["excerpts"]}
    assert train_ids == set(found["examples"])
    assert values["rows"] == {"train": 130, "test": 40}
    assert values["fixes"] is None


def test_a_recipe_is_checked_with_its_columns_map_and_filters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{"body": row["text"], "note": "x y z", "topic": row["label"]} for row in articles(90)]
    write_csv(tmp_path / "a.csv", [*rows, *({**row, "topic": "SPORT"} for row in articles_as(rows))])
    recipe = tmp_path / "a.toml"
    recipe.write_text('name = "a"\n[data]\npath = "a.csv"\ntext = "body"\nlabel = "topic"\n[model]\nkind = "linear"\n')
    code, values = report(capsys, "a.toml", "--only", "similar-classes")
    assert (code, values["text"], values["classes"]) == (0, ["body"], 4)
    assert [each["kind"] for each in values["findings"]] == ["similar classes"]
    assert report(capsys, "a.toml", 'data.drop_classes=["SPORT"]', "--only", "similar-classes")[1]["findings"] == []
    pretrain = tmp_path / "p.toml"
    pretrain.write_text('name = "p"\n[[pretrain.texts]]\npath = "a.csv"\n')
    code, _, err = outcome(capsys, "p.toml")
    assert (code, "no [data] section" in err) == (1, True)


def articles_as(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{**row, "body": f"{row['body']} again {number}"} for number, row in enumerate(rows[:30])]


def test_unknown_names_of_checks_and_fixes_are_errors_with_the_nearest_name(
    leaky: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for option in ("--only", "--skip", "--fix-kinds"):
        code, _, err = outcome(capsys, str(leaky), option, "near-laek")
        assert (code, "Did you mean 'near-leak'" in err) == (1, True), err


def test_fix_writes_a_copy_and_a_list_and_leaves_the_source(leaky: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.read_bytes() for path in leaky.iterdir()}
    code, values = report(capsys, str(leaky), "--fix", "--out", "cleaned")
    assert code == 0
    assert {path.name: path.read_bytes() for path in leaky.iterdir()} == before
    changes = [json.loads(line) for line in Path("cleaned/changes.jsonl").read_text(encoding="utf-8").splitlines()]
    assert values["fixes"]["removed"] == 9
    assert values["fixes"]["changed"] == 2
    counted = {(each["kind"], each["action"]): 0 for each in changes}
    for each in changes:
        counted[each["kind"], each["action"]] += 1
        assert all((each["id"], each["reason"], each["labels"]))
        assert (each["new_text"] is None) == (each["action"] == "removed")
        assert each["split"] == "train" or each["action"] == "changed"
    assert counted == {
        ("leak", "removed"): 5,
        ("repetition", "removed"): 3,
        ("empty text", "removed"): 1,
        ("mojibake", "changed"): 2,
    }
    copy = load_dataset(data_recipe("cleaned").data)
    assert {split: len(rows) for split, rows in copy.splits.items()} | {"validation": 0} == {
        "train": 121 - len(copy["validation"]),
        "test": 40,
        "validation": 0,
    }
    assert any("café fermé" in text for text in copy["test"]["text"])
    assert not {"leak", "unread file"} & {finding.kind for finding in copy.findings}
    assert report(capsys, "cleaned")[0] == 0


def test_kinds_that_need_a_decision_are_fixed_on_request(leaky: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, values = report(capsys, str(leaky), "--fix", "--fix-kinds", "conflict", "--out", "more")
    assert values["fixes"]["removed"] == 11
    kinds = {each["kind"] for each in report(capsys, "more")[1]["findings"]}
    assert "conflict" not in kinds


def test_rows_with_probably_wrong_labels_are_removed_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = articles(300)
    wrong = [row for row in rows if row["label"] == "sport"][:8]
    for row in wrong:
        row["label"] = "tech"
    path = write_csv(tmp_path / "a.csv", rows)
    _, values = report(capsys, str(path), "--fix-kinds", "label-noise", "--out", "noise")
    changes = [json.loads(line) for line in Path("noise/changes.jsonl").read_text(encoding="utf-8").splitlines()]
    assert values["fixes"]["removed"] == len(changes) >= 6
    assert {each["text"] for each in changes} <= {row["text"] for row in wrong}
    assert all(each["reason"].endswith("suggested: [sport]") for each in changes)


def test_an_error_that_no_fix_removes_is_still_exit_code_3(leaky: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (leaky / "test.csv").open("a", encoding="utf-8") as file:
        file.write("rain and wind,weather\n")
    code, values = report(capsys, str(leaky), "--fix", "--out", "still")
    assert code == 3
    assert [each["kind"] for each in values["fixes"]["remaining"]] == ["untrained class"]
    _, out, _ = outcome(capsys, str(leaky), "--fix", "--out", "still")
    assert "error that remains: classes without a row in train: 1" in " ".join(out.split())


def test_a_class_that_a_fix_removes_from_train_is_an_error_that_remains(tmp_path: Path) -> None:
    rows, test = articles(60), articles(30, seed=4)
    only = {"text": "rain and wind", "label": "weather"}
    folder = tmp_path / "set"
    folder.mkdir()
    write_csv(folder / "train.csv", [*rows, only])
    write_csv(folder / "test.csv", [*test, only])
    fixes = fix_data(check_data(data_recipe(str(folder))), ["leak"], tmp_path / "out")
    assert [each.kind for each in fixes.remaining] == ["untrained class"]


def test_nothing_is_written_if_a_split_would_be_empty_or_the_folder_has_other_data(tmp_path: Path, leaky: Path) -> None:
    folder = tmp_path / "same"
    folder.mkdir()
    for split in ("train", "test"):
        write_csv(folder / f"{split}.csv", articles(30))
    with pytest.raises(DataError, match="every row of train"):
        fix_data(check_data(data_recipe(str(folder))), ["leak"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(DataError, match=r"other data|already exists"):
        fix_data(check_data(data_recipe(str(leaky))), ["leak"], folder)
    assert sorted(path.name for path in folder.iterdir()) == ["test.csv", "train.csv"]


@pytest.mark.parametrize("name", ["tagged_csv", "tree_csv"])
@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_copies_of_all_label_kinds_have_the_same_labels(
    name: str, format: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    found = check_data(data_recipe(str(request.getfixturevalue(name))))
    fixes = fix_data(found, ["leak", "repetition"], tmp_path / "out", format=format)  # type: ignore[arg-type]
    again = check_data(data_recipe(str(tmp_path / "out")))
    assert again.rows.dataset.labels == found.rows.dataset.labels
    removed = {change.id for change in fixes.changes}
    kept = {row: labels for row, labels in zip(found.rows.ids, found.rows.labels, strict=True) if row not in removed}
    assert dict(zip(again.rows.ids, again.rows.labels, strict=True)) == kept


def test_lengths_are_counted_with_the_tokenizer_of_the_recipe(tiny_base: Path, news_csv: Path) -> None:
    def truncated(**model: str) -> list[Finding]:
        values = {"name": "a", "data": {"path": str(news_csv), "max_length": 12}, "model": model}
        return list(check_data(validate(values), checks=["truncation"]).findings)

    (found,) = truncated(base=str(tiny_base))
    assert "tokens" in found.excerpts[0]
    assert truncated(kind="linear") == []
    (words,) = truncated(kind="scratch", size="tiny")
    assert "words" in words.excerpts[0]
    assert words.count < found.count


def test_a_check_is_one_function_and_one_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def shouted(rows: Any) -> list[Finding]:
        found = [index for index, text in enumerate(rows.texts) if text.isupper()]
        advice = "Add 'lowercase' to data.clean."
        return [rows.finding("shouted", found, "texts in capitals: {count}", level="note", advice=advice)]

    monkeypatch.setitem(CHECKS, "shouted", Check(shouted, "Texts in capital letters. A note.", is_summary=True))
    rows = articles(60)
    rows[3]["text"] = rows[3]["text"].upper()
    path = write_csv(tmp_path / "a.csv", rows)
    code, out, _ = outcome(capsys, str(path), "--only", "shouted")
    assert (code, "note: texts in capitals: 1" in out) == (0, True)
    dataset = checks.with_summary(load_dataset(data_recipe(str(path)).data))
    assert [each.count for each in dataset.findings if each.kind == "shouted"] == [1]


def test_the_short_checks_run_before_training_and_are_in_data_json(
    recipe_values: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = articles(150)
    for row in rows:
        if row["label"] == "sport":
            row["text"] = f"sportswire {row['text']}"
    rows[0]["text"] += " jane.doe@mail.org"
    path = write_csv(tmp_path / "a.csv", rows)
    with caplog.at_level("INFO"):
        done = train(linear(recipe_values | {"data": {"path": str(path)}}), run_dir=tmp_path / "run")
    found = {each["kind"]: each for each in done.data["findings"]}
    assert {"shortcut", "personal data"} <= set(found)
    assert found["shortcut"]["level"] == "warning"
    assert found["shortcut"]["excerpts"][0].startswith("'sportswire' -> sport")
    assert "words that give a label away" in caplog.text
    assert "jane.doe" not in json.dumps(found["personal data"])


def test_large_sets_are_not_checked_before_training(
    news_csv: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = load_dataset(data_recipe(str(news_csv)).data)
    monkeypatch.setattr(checks, "MAX_SUMMARY_ROWS", 149)
    with caplog.at_level("INFO"):
        assert checks.with_summary(dataset) is dataset
    assert "slugline data check" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["agnews"], 1, "no set is called 'agnews'. Did you mean 'ag_news'?"),
        (["absent.csv"], 1, "no such file"),
        (["untrained"], 1, "no train file"),
        (["one.csv"], 1, "there is only one class, 'a'"),
        (["headed.csv"], 1, "no rows below its first line"),
        (["unlabelled.csv"], 1, "label"),
        (["news", "--fix", "--out", "news"], 1, "news: test.csv already exists"),
        (["news", "--fix", "--json", "--out", "untrained"], 1, "test.csv already exists"),
        (["news", "--fix-kinds", "conflict", "--out", "one.csv"], 1, "is a file"),
        (["news", "--only", "leak", "--skip", "leak"], 1, "no check is left"),
        (["news", "--out", "copy"], 2, "--out is the folder of --fix"),
        (["news", "--examples", "-1"], 2, "--examples"),
        (["news", "labels=x"], 1, "labels"),
        (["news", "label=absent"], 1, "absent"),
    ],
)
def test_wrong_uses_are_refused_before_the_checks(
    arguments: list[str], code: int, problem: str, leaky: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (leaky.parent / "untrained").mkdir()
    write_csv(leaky.parent / "untrained" / "test.csv", articles(30))
    write_csv(leaky.parent / "one.csv", [{"text": "good day", "label": "a"}, {"text": "bad day", "label": "a"}])
    write_csv(leaky.parent / "unlabelled.csv", [{"text": "good day", "note": ""}, {"text": "bad day", "note": ""}])
    Path("headed.csv").write_text("text,label\n")
    before = sorted(Path().rglob("*"))
    found, out, err = outcome(capsys, *arguments)
    assert (found, out) == (code, "")
    assert problem in " ".join(err.split())
    assert "Traceback" not in err
    assert sorted(Path().rglob("*")) == before


def test_texts_that_are_all_empty_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_csv(tmp_path / "a.csv", [{"text": " ", "label": "ab"[number % 2]} for number in range(40)])
    code, out, _ = outcome(capsys, str(path))
    assert (code, "error: empty texts: 40 (100.0% of all rows)" in " ".join(out.split())) == (3, True)
    code, _, err = outcome(capsys, str(path), "--fix", "--out", "copy")
    assert (code, "would remove every row of train" in err, Path("copy").exists()) == (1, True, False)


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="no ../shared/data")
@pytest.mark.parametrize("name", ["sms_spam", "trec", "tweeteval_hate"])
def test_copies_of_real_sets_have_fewer_findings(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    # The others are not fixed, or need a model.
    wanted = [
        each for check in CHECKS if check not in ("label noise", "drift", "truncation") for each in ("--only", check)
    ]
    code, before = report(capsys, str(SHARED_DATA / name), *wanted, "--fix", "--fix-kinds", "near-leak")
    _, after = report(capsys, "fixed", *wanted)
    assert code == 0
    assert before["findings"][0]["level"] == "error"
    assert "error" not in {each["level"] for each in after["findings"]}
    assert len(after["findings"]) < len(before["findings"])
    assert {"leak", "near leak", "mojibake", "control character"}.isdisjoint(each["kind"] for each in after["findings"])
    removed = [line for line in Path("fixed/changes.jsonl").read_text().splitlines() if '"removed"' in line]
    assert sum(before["rows"].values()) - sum(after["rows"].values()) == len(removed) == before["fixes"]["removed"]
    assert after["rows"]["test"] == before["rows"]["test"]


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="no ../shared/data")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("trec", {"leak": 11, "repetition": 71}),
        ("banking77", {"leak": 7}),
        ("tweeteval_irony", {}),
        ("wos_sample", {}),
        ("reuters21578_modapte", {}),
    ],
)
def test_real_sets_have_the_known_faults(name: str, expected: dict[str, int]) -> None:
    wanted = ["leak", "near leak", "repetition", "conflict", "similar classes", "mojibake", "shortcut", "imbalance"]
    found = check_data(data_recipe(str(SHARED_DATA / name)), checks=wanted).findings
    for kind, count in expected.items():
        assert next(each.count for each in found if each.kind == kind) == count
