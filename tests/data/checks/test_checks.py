"""Each check finds a planted fault, counts it, and is silent on a set without it, for every kind of labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from planted import FAULTS, KINDS, clean_rows, write_set
from planted_forms import FORMS

from slugline.data.checks.run import CHECKS, LEVELS
from slugline.data.findings import Finding
from slugline.workflows.check_data import check_data
from slugline.workflows.first_recipe import data_recipe


def findings_of(folder: Path, *checks: str, **data: Any) -> list[Finding]:
    recipe = data_recipe(str(folder), [f"{key}={value}" for key, value in data.items()])
    return list(check_data(recipe, checks=checks or tuple(CHECKS)).findings)


def test_every_check_has_a_planted_fault() -> None:
    assert set(FAULTS) == set(CHECKS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_set_without_faults_has_no_findings(kind: str, tmp_path: Path) -> None:
    assert findings_of(write_set(tmp_path / "clean", clean_rows(kind), kind)) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("check", [check for check in FAULTS if check != "label noise"])
def test_a_planted_fault_is_found_and_counted(check: str, kind: str, tmp_path: Path) -> None:
    plant, level = FAULTS[check]
    splits = clean_rows(kind)
    count = plant(splits)
    found = findings_of(write_set(tmp_path / "planted", splits, kind), check)
    assert [each.kind for each in found] == [check] * len(found)
    assert (sum(each.count for each in found), {each.level for each in found}) == (count, {level})
    for each in found:
        assert f"{each.count:,}" in each.message or check in ("imbalance", "drift")
        assert each.advice.endswith(".")
        assert 0 < len(each.examples) <= 5
        assert len(each.excerpts) in (0, len(each.examples))
        if each.excerpts and check not in ("similar classes", "shortcut"):
            assert all(name in line for name, line in zip(each.examples, each.excerpts, strict=True))


def test_errors_come_first(tmp_path: Path) -> None:
    splits = clean_rows("single")
    for check in ("personal data", "leak", "near duplicate"):
        FAULTS[check][0](splits)
    levels = [LEVELS.index(each.level) for each in findings_of(write_set(tmp_path / "set", splits, "single"))]
    assert levels == sorted(levels)
    assert levels[0] == 0


def test_only_checks_that_can_fail_have_errors() -> None:
    failing = {check for check, (_, level) in FAULTS.items() if level == "error"}
    failing |= {form.check for form in FORMS.values() if "error" in form.levels}
    assert failing == {name for name, check in CHECKS.items() if check.can_fail}


def test_the_repaired_kinds_are_warnings_without_the_cleaning_step(tmp_path: Path) -> None:
    for check in ("mojibake", "control character"):
        splits = clean_rows("single")
        count = FAULTS[check][0](splits)
        (found,) = findings_of(write_set(tmp_path / check, splits, "single"), check, clean="[]")
        assert (found.count, found.level) == (count, "warning")


def test_personal_data_is_masked_everywhere(tmp_path: Path) -> None:
    splits = clean_rows("single")
    FAULTS["personal data"][0](splits)
    found = findings_of(write_set(tmp_path / "set", splits, "single"))
    text = str([each.to_json() for each in found])
    assert "<card number>" in text
    for secret in ("jane.doe", "901820", "4539", "3704"):
        assert secret not in text


@pytest.mark.parametrize("kind", KINDS)
def test_most_wrong_labels_are_found_with_the_right_one(kind: str, tmp_path: Path) -> None:
    splits = clean_rows(kind)
    planted = FAULTS["label noise"][0](splits)
    recipe = data_recipe(str(write_set(tmp_path / "set", splits, kind)))
    report = check_data(recipe, checks=["label noise"], max_examples=100)
    (found,) = report.findings
    assert (found.kind, found.level, found.count) == ("label noise", "warning", len(found.examples))
    right = {" ".join(row["text"].split()): row["was"] for rows in splits.values() for row in rows if "was" in row}
    assert len(right) == planted
    text_of = dict(zip(report.rows.ids, report.rows.texts, strict=True))
    hits = [
        (right[text_of[name]], line)
        for name, line in zip(found.examples, found.excerpts, strict=True)
        if text_of[name] in right
    ]
    assert len(hits) >= 0.75 * planted
    # In a multi-label set, texts with two topics are harder.
    assert len(hits) >= (0.7 if kind == "multi" else 0.9) * found.count
    named = [all(label in line.partition("suggested")[2] for label in labels) for labels, line in hits]
    assert sum(named) >= 0.75 * len(named)


def test_wrong_labels_without_the_extra_are_a_note_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slugline.data.checks.labels.noise.find_spec", lambda _: None)
    (found,) = findings_of(write_set(tmp_path / "set", clean_rows("single"), "single"), "label noise")
    assert (found.count, found.level) == (0, "note")
    assert 'pip install "slugline[checks]"' in found.advice


def test_texts_without_words_cannot_be_searched_for_wrong_labels(tmp_path: Path) -> None:
    rows = [{"text": "!" * (number + 1), "labels": ["ab"[number % 2]]} for number in range(40)]
    (found,) = findings_of(write_set(tmp_path / "set", {"train": rows}, "single"), "label noise")
    assert (found.count, found.level) == (0, "note")
    assert "no words" in found.message


def test_the_class_filters_of_a_recipe_apply(tmp_path: Path) -> None:
    splits = clean_rows("single")
    FAULTS["untrained class"][0](splits)
    folder = write_set(tmp_path / "set", splits, "single")
    assert findings_of(folder, "untrained class")
    assert not findings_of(folder, "untrained class", drop_classes='["weather"]')
