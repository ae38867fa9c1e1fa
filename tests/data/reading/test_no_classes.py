"""Label columns that hold numbers or ids in place of classes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from slugline.core.errors import DataError
from slugline.data.load import load_dataset
from slugline.data.reading.labels.report import report_no_classes
from slugline.recipe.data_section import DataSection


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([f"{n % 97 / 100:.2f}" for n in range(300)], "numbers between 0 and 0.96"),
        ([f"{n}e-3" for n in range(40)], "numbers between 0 and 0.039"),
        ([str(n) for n in range(2000, 2100)], "numbers between 2000 and 2099"),
        ([f"id-{n}" for n in range(40)], "ids or texts"),
        ([f"{n:08x}-{n}" for n in range(20)], "ids or texts"),
        ([str(n / 2) for n in range(10)] * 30, ""),
        ([str(n) for n in range(77)] * 20, ""),
        ([f"intent {n}" for n in range(150)] * 3, ""),
        (["a", "b", "c"], ""),
    ],
)
def test_columns_that_look_like_numbers_or_ids(names: list[str], words: str) -> None:
    findings = report_no_classes(Counter(names), "score")
    assert [words in finding.message for finding in findings] == ([True] if words else [])
    assert all(finding.is_warning and "'score' looks like" in finding.message for finding in findings)


def test_scores_as_labels_are_named_before_the_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = "".join(f"some text number {n},{n * 7 % 31 / 100}\n" for n in range(31))
    (tmp_path / "a.csv").write_text("text,score\n" + lines)
    section = DataSection(path=str(tmp_path / "a.csv"), label=["score"])
    try:
        kinds = [finding.kind for finding in load_dataset(section).findings]
        assert "no classes" in kinds
    except DataError:
        pass
    assert "column 'score' looks like numbers between 0 and 0.3, not classes" in caplog.text
