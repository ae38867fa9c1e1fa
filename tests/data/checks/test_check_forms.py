"""Each check finds further forms of its fault, and is silent on sets that only come close to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from planted import FAULTS, KINDS, clean_rows, write_set
from planted_forms import FORMS, NEAR_MISSES, lost_labels

from slugline.core.errors import DataError
from slugline.data.checks.checked_rows import CheckedRows
from slugline.data.checks.fixing import FIXES, refuse_folder
from slugline.data.checks.labels.noise import suspects_of_any_labels
from slugline.data.checks.run import CHECKS, run_checks, with_summary
from slugline.data.findings import Finding
from slugline.data.load import load_dataset
from slugline.workflows.check_data import DataReport, check_data, fix_data
from slugline.workflows.first_recipe import data_recipe


def report_of(folder: Path, *checks: str, max_examples: int = 5) -> DataReport:
    return check_data(data_recipe(str(folder)), checks=checks or tuple(CHECKS), max_examples=max_examples)


def findings_of(folder: Path, *checks: str) -> list[Finding]:
    return list(report_of(folder, *checks).findings)


def test_every_check_has_further_forms_and_near_misses() -> None:
    others = {"label noise", "no classes"}  # below, and in test_checks
    assert {form.check for form in FORMS.values()} >= set(CHECKS) - others
    assert {check for check, _ in NEAR_MISSES.values()} >= set(CHECKS) - {"label noise"}


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, form in FORMS.items() for kind in form.kinds])
def test_other_forms_of_a_fault_are_found_and_counted(name: str, kind: str, tmp_path: Path) -> None:
    form = FORMS[name]
    splits = clean_rows(kind)
    count = form.plant(splits)
    found = findings_of(write_set(tmp_path / "set", splits, kind), form.check)
    assert (sum(each.count for each in found), {each.level for each in found}) == (count, form.levels)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NEAR_MISSES)
def test_what_only_comes_close_is_no_finding(name: str, kind: str, tmp_path: Path) -> None:
    check, plant = NEAR_MISSES[name]
    splits = clean_rows(kind)
    plant(splits)
    assert findings_of(write_set(tmp_path / "set", splits, kind), check) == []


def test_lacking_labels_are_suggested(tmp_path: Path) -> None:
    splits = clean_rows("multi")
    planted = lost_labels(splits)
    right = {" ".join(row["text"].split()): row["was"] for row in splits["train"] if "was" in row}
    assert len(right) == planted
    report = report_of(write_set(tmp_path / "set", splits, "multi"), "label noise", max_examples=100)
    (found,) = report.findings
    texts = dict(zip(report.rows.ids, report.rows.texts, strict=True))
    lines = {
        texts[name]: line.partition("suggested")[2] for name, line in zip(found.examples, found.excerpts, strict=True)
    }
    hits = [text for text in right if text in lines]
    assert len(hits) >= 0.5 * planted  # four words of a topic are few for a linear model
    assert all(label in lines[text] for text in hits for label in right[text])


def test_a_row_does_not_lose_its_only_label_for_nothing() -> None:
    has_label = np.arange(200)[:, None] % 4 == np.arange(4)
    probabilities = np.where(has_label, 0.97, 0.01)
    probabilities[:6] = 0.001  # nothing is probable
    probabilities[8:14] = np.where(np.roll(has_label[8:14], 1, axis=1), 0.99, 0.001)  # another label is
    found = suspects_of_any_labels(has_label, probabilities, np.arange(4), ("a", "b", "c", "d"))
    assert {suspect.index for suspect in found} == set(range(8, 14))
    assert {suspect.suggested for suspect in found} == {("a",), ("b",), ("c",), ("d",)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_weak_model_suspects_few_labels_and_advises_to_read_them(kind: str, tmp_path: Path) -> None:
    """Labels that follow from nothing: a model cannot know which are wrong."""
    splits = clean_rows(kind)
    for rows in splits.values():
        names = [row["labels"] for row in rows]
        for row, labels in zip(rows, names[7:] + names[:7], strict=True):
            row["labels"] = labels
        for number, row in enumerate(rows):
            row["text"] = f"the new year {number} {number * 7 % 97} {number * 5 % 89}"
    for found in findings_of(write_set(tmp_path / "set", splits, kind), "label noise"):
        assert found.level == "note"
        assert found.count < 0.1 * 450
        assert "weak" in found.advice
        assert "--fix" not in found.advice


SUMMARY = [name for name, check in CHECKS.items() if check.is_summary]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("check", [name for name in SUMMARY if name != "no classes"])
def test_the_summary_before_training_has_each_short_check(check: str, kind: str, tmp_path: Path) -> None:
    splits = clean_rows(kind)
    FAULTS[check][0](splits)
    folder = write_set(tmp_path / "set", splits, kind)
    # Loading repairs these in the texts, and reports them so.
    clean = ["clean=[]"] if check in ("mojibake", "control character") else []
    dataset = with_summary(load_dataset(data_recipe(str(folder), clean).data))
    assert check in {each["kind"] for each in dataset.describe()["findings"]}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fix", FIXES)
def test_a_copy_has_no_such_finding_outside_test(fix: str, kind: str, tmp_path: Path) -> None:
    splits = clean_rows(kind)
    FAULTS[fix][0](splits)
    report = report_of(write_set(tmp_path / "set", splits, kind), fix)
    before = {index for index, split in zip(report.rows.ids, report.rows.splits, strict=True) if split == "test"}
    fixes = fix_data(report, [fix], tmp_path / "copy")
    assert fixes.changes
    assert {change.kind for change in fixes.changes} == {fix}
    again = report_of(tmp_path / "copy", fix, max_examples=1000)
    assert before == {name for name, split in zip(again.rows.ids, again.rows.splits, strict=True) if split == "test"}
    left = {name for found in again.findings for name in found.examples} - before
    assert len(left) <= (0.2 * len(fixes.changes) if fix == "label noise" else 0)


@pytest.mark.parametrize("kind", KINDS)
def test_texts_that_are_the_same_after_a_repair_are_no_leaks_in_the_copy(kind: str, tmp_path: Path) -> None:
    splits = clean_rows(kind)
    for text in ("le cafÃ© fermÃ©", "MÃ¼nchen \x07 today", "itâ€™s late"):
        splits["train"].append({"text": text, "labels": ["sport"]})
        splits["test"].append({"text": FIXES["mojibake"].repair(text).replace("\x07 ", " "), "labels": ["sport"]})  # type: ignore[misc]
    folder = write_set(tmp_path / "set", splits, kind)
    report = check_data(data_recipe(str(folder), ["clean=[]"]))
    assert "leak" not in {found.kind for found in report.findings}
    fixes = fix_data(report, ["leak", "mojibake", "control character"], tmp_path / "copy")
    assert fixes.remaining == ()
    assert [(change.action, change.kind) for change in fixes.changes] == [("removed", "leak")] * 3
    assert "cafÃ©" in fixes.changes[0].text
    assert "leak" not in {found.kind for found in findings_of(tmp_path / "copy")}


def test_repairs_are_repeated_until_nothing_is_left(tmp_path: Path) -> None:
    splits = clean_rows("single")
    # The control character stands within the mojibake: without it, there is more to repair.
    splits["train"][3]["text"] += " ðŸ¤·ðŸ\x8f»‘\x8dâ™‚ï¸\x8f They’d better"
    report = report_of(write_set(tmp_path / "set", splits, "single"), "mojibake", "control character")
    fixes = fix_data(report, ["mojibake", "control character"], tmp_path / "copy")
    assert [change.kind for change in fixes.changes] == ["mojibake", "control character", "mojibake"]
    assert [change.new_text for change in fixes.changes[:-1]] == [change.text for change in fixes.changes[1:]]
    assert findings_of(tmp_path / "copy", "mojibake", "control character") == []


def test_near_duplicates_are_shown_where_they_differ(tmp_path: Path) -> None:
    splits = clean_rows("single")
    common = " ".join(f"word{number}" for number in range(60))
    splits["train"] += [{"text": f"{common} {end}", "labels": ["sport"]} for end in ("Monday evening", "Friday night")]
    splits["test"].append({"text": f"{common} Sunday morning", "labels": ["sport"]})
    folder = write_set(tmp_path / "set", splits, "single")
    (near,) = findings_of(folder, "near duplicate")
    assert all(day in near.excerpts[0] for day in ("Monday evening", "Friday night"))
    (leak,) = findings_of(folder, "near leak")
    assert all(" Sunday morning" in line for line in leak.excerpts)


def test_a_near_leak_names_the_closest_text(tmp_path: Path) -> None:
    splits = clean_rows("single")
    common = " ".join(f"word{number}" for number in range(60))
    splits["train"].append({"text": f"{common} late on Monday", "labels": ["sport"]})
    splits["test"] += [
        {"text": f"{common} {end}", "labels": ["sport"]} for end in ("early", "at noon", "late on Mondays", "in May")
    ]
    (found,) = findings_of(write_set(tmp_path / "set", splits, "single"), "near leak")
    assert "late on Mondays" in found.excerpts[0]


def test_a_folder_with_other_data_is_refused_and_an_earlier_copy_is_not(tmp_path: Path) -> None:
    refuse_folder(tmp_path / "absent")
    (tmp_path / "notes").mkdir()
    refuse_folder(tmp_path / "notes")
    fix_data(report_of(write_set(tmp_path / "set", clean_rows("single"), "single"), "leak"), [], tmp_path / "copy")
    refuse_folder(tmp_path / "copy")
    for name in ("set", "set/train.jsonl"):
        with pytest.raises(DataError, match=r"already exists|is a file"):
            refuse_folder(tmp_path / name)


def test_no_rows_have_no_findings(tmp_path: Path) -> None:
    dataset = load_dataset(data_recipe(str(write_set(tmp_path / "set", clean_rows("single"), "single"))).data)
    empty = type(dataset)(splits={}, labels=dataset.labels, source=dataset.source, fingerprint="")
    assert run_checks(CheckedRows(empty)) == []
