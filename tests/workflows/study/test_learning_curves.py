"""Learning curves of a study: one for each setting, with a point for each seed, if the number of rows varies."""

from __future__ import annotations

from pathlib import Path

import pytest

from slugline.evaluation.plots.curves import plot_learning_curves
from slugline.workflows.study import run_study
from slugline.workflows.study.learning_curves import learning_curves

STUDY = """
name = "curve"
recipe = "news.toml"
seeds = [1, 2]
set = { "evaluation.bootstrap" = 0 }
[[step]]
name = "plain"
[[step]]
name = "linear"
grid = { "data.max_train_examples" = [0.2, 0.5, 0] }
[[step]]
name = "chosen"
grid = { "train.select_by" = ["accuracy", "loss"], "data.max_train_examples" = [30, 60] }
[[step]]
name = "paired"
grid = [
    { "data.max_train_examples" = [30], "train.select_by" = ["loss"] },
    { "data.max_train_examples" = [60], "train.select_by" = ["accuracy"] },
]
"""


@pytest.fixture
def study(tmp_path: Path, news_csv: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    recipe = f'name = "news"\n[data]\npath = "{news_csv}"\n[model]\nkind = "linear"\n'
    (tmp_path / "news.toml").write_text(recipe)
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path


def test_a_study_that_varies_its_rows_has_curves_and_a_plot(study: Path, tmp_path: Path) -> None:
    result = run_study(study)
    curves = learning_curves(result.settings, "accuracy")
    assert list(curves) == ["linear", "chosen accuracy", "chosen loss", "paired"]
    assert [rows for rows, _ in curves["linear"]] == [21, 52, 105]
    assert [rows for rows, _ in curves["chosen loss"]] == [30, 60]
    assert all(0 <= value <= 1 for points in curves.values() for _, value in points)
    plots = tmp_path / "runs" / "curve" / "plots"
    assert sorted(path.name for path in plots.iterdir()) == ["learning-curves.png", "learning-curves.svg"]
    drawn = (plots / "learning-curves.svg").read_text()
    assert "training rows" in drawn
    assert "chosen accuracy" in drawn


def test_no_curves_without_different_numbers_of_rows(study: Path, tmp_path: Path) -> None:
    study.write_text(STUDY.split('[[step]]\nname = "linear"')[0])
    assert learning_curves(run_study(study).settings, "accuracy") == {}
    assert not (tmp_path / "runs" / "curve" / "plots").exists()


def test_the_same_points_give_the_same_plot(tmp_path: Path) -> None:
    curves = {"scratch": [(10, 0.2), (10, 0.3), (100, 0.5)], "tuned": [(10, 0.6), (100, 0.9)]}
    one, other = (plot_learning_curves(curves, "f1_macro", tmp_path / name / "c") for name in ("a", "b"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]
