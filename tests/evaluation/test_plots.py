"""Plots: files, sizes, texts, and identical bytes for identical numbers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from slugline.core.labels import LabelSet
from slugline.core.predictions import Predictions
from slugline.evaluation.plots import curves
from slugline.evaluation.plots.confusion import plot_confusion
from slugline.evaluation.plots.curves import plot_curves, plot_learning_curves
from slugline.evaluation.plots.label_errors import MAX_LABELS
from slugline.evaluation.plots.split_plots import plot_split

HISTORY: list[dict[str, Any]] = [
    {"step": 10, "epoch": 0.5, "loss": 1.2, "learning_rate": 1e-5, "grad_norm": 2.0},
    {"step": 20, "epoch": 1.0, "loss": 0.7, "learning_rate": 2e-5, "grad_norm": 1.0},
    {"step": 20, "epoch": 1.0, "validation": {"loss": 0.6, "accuracy": 0.8, "f1_macro": 0.75}},
    {"step": 40, "epoch": 2.0, "loss": 0.3, "learning_rate": 1e-5, "grad_norm": 1.0},
    {"step": 40, "epoch": 2.0, "validation": {"loss": 0.4, "accuracy": 0.9, "f1_macro": 0.88}},
]


def text_of(svg: Path) -> str:
    return " ".join(ElementTree.parse(svg).getroot().itertext())


def png_size(path: Path) -> tuple[int, int]:
    header = path.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")


def test_curves_are_written_as_png_and_svg(tmp_path: Path) -> None:
    written = plot_curves(HISTORY, tmp_path / "plots" / "curves")
    assert written == [tmp_path / "plots" / "curves.png", tmp_path / "plots" / "curves.svg"]
    assert png_size(written[0]) == (1650, 510)
    assert "not recorded" not in text_of(written[1])
    text = text_of(written[1])
    for expected in ("Loss", "train", "validation", "accuracy", "macro F1", "Learning rate", "epoch", "2e-5"):
        assert expected in text


@pytest.mark.parametrize("history", [[], HISTORY[:1], HISTORY[2:3], [{"step": 0, "epoch": 0.0, "loss": 1.0}]])
def test_panels_without_values_show_not_recorded(history: list[dict[str, Any]], tmp_path: Path) -> None:
    assert "not recorded" in text_of(plot_curves(history, tmp_path / "curves")[1])


@pytest.mark.parametrize("count", [2, 18, 40, 150])
def test_confusion_is_drawn_for_few_and_many_classes(count: int, tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).integers(0, 30, (count, count))
    png, svg = plot_confusion(matrix, [f"class {index}" for index in range(count)], tmp_path / "confusion")
    width, height = png_size(png)
    assert 500 < height <= width < 2400
    text = text_of(svg)
    assert "class 0" in text
    assert "true" in text
    assert "predicted" in text


def test_only_small_matrices_have_counts_in_their_cells(tmp_path: Path) -> None:
    small = plot_confusion([[4321, 0], [0, 7]], ["a", "b"], tmp_path / "small")[1]
    assert "4,321" in text_of(small)
    matrix = 4321 * np.eye(30, dtype=np.int64)
    large = plot_confusion(matrix, [f"class {index}" for index in range(30)], tmp_path / "large")[1]
    assert "4,321" not in text_of(large)


def test_a_class_without_rows_can_be_drawn(tmp_path: Path) -> None:
    plot_confusion([[3, 0], [0, 0]], ["a", "never"], tmp_path / "confusion")


def test_names_are_not_parsed_and_are_truncated(tmp_path: Path) -> None:
    names = ["$AAPL$_{x}", "体育", "x" * 60]
    text = text_of(plot_confusion(np.eye(3, dtype=np.int64), names, tmp_path / "confusion")[1])
    assert "$AAPL$_{x}" in text
    assert "体育" in text
    assert "x" * 27 + "…" in text
    assert "x" * 30 not in text


def test_plots_are_identical_byte_for_byte(tmp_path: Path) -> None:
    first, again = (
        plot_curves(HISTORY, tmp_path / name / "curves") + plot_confusion([[3, 1], [0, 4]], "ab", tmp_path / name / "c")
        for name in ("first", "again")
    )
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]


def test_matplotlib_is_imported_only_to_draw_and_without_pyplot(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from slugline.evaluation.plots import confusion, curves, split_plots;"
        "assert 'matplotlib' not in sys.modules;"
        f"confusion.plot_confusion([[1, 0], [0, 1]], ['a', 'b'], pathlib.Path({str(tmp_path)!r}) / 'c');"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are saved, for a look at their axes."""
    found: list[Any] = []
    monkeypatch.setattr(curves, "save", lambda figure, path: found.append(figure) or [])
    return found


def test_curves_begin_where_data_begin_and_mark_the_chosen_epoch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = figures(monkeypatch)
    later = [line | {"epoch": line["epoch"] + 10} for line in HISTORY]
    plot_curves(later, tmp_path / "curves", title="news: training", chosen_epoch=12.0)
    (figure,) = found
    assert figure.get_suptitle() == "news: training"
    for axes in figure.axes:
        low, high = axes.get_xlim()
        assert 10.4 < low < 10.5
        assert 12 < high < 12.1
        assert "chosen, epoch 12" in axes.get_legend_handles_labels()[1]


def test_no_colour_is_used_twice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = figures(monkeypatch)
    plot_curves([line | {"f1_macro": 0.5, "accuracy": 0.5} for line in HISTORY], tmp_path / "c", chosen_epoch=2.0)
    plot_learning_curves(
        {f"setting {n}": [(10, 0.1), (100, 0.2 + n / 100)] for n in range(12)}, "accuracy", tmp_path / "l"
    )
    for axes in (axes for figure in found for axes in figure.axes):
        colours = [str(line.get_color()) for line in axes.lines if line.get_label()[0] != "_"]
        assert len(set(colours)) == len(colours)


def test_a_large_matrix_lists_the_most_confused_classes(tmp_path: Path) -> None:
    matrix = 50 * np.eye(40, dtype=np.int64)
    matrix[7, 3], matrix[3, 7] = 21, 9
    text = text_of(plot_confusion(matrix, [f"class {n}" for n in range(40)], tmp_path / "c", title="news: test")[1])
    assert "news: test" in text
    assert text.index("21  class 7") < text.index("9  class 3")
    assert "most confused" not in text_of(
        plot_confusion(matrix[:9, :9], [f"class {n}" for n in range(9)], tmp_path / "d")[1]
    )


def predictions_of(labels: LabelSet, targets: Any, predicted: Any) -> Predictions:
    predicted = np.asarray(predicted)
    logits = np.where(predicted, 1.0, -1.0) if labels.is_multi else np.eye(len(labels))[predicted]
    return Predictions(
        ids=np.arange(len(predicted)).astype(np.str_),
        targets=np.asarray(targets),
        logits=logits.astype(np.float32),
        labels=labels,
        split="test",
    )


def test_labels_with_the_most_errors_come_first(tmp_path: Path) -> None:
    labels = LabelSet(("wheat", "corn", "gold"), kind="multi")
    truth = np.array([[1, 0, 1], [1, 1, 1], [0, 0, 1]], dtype=np.bool_)
    found = np.array([[1, 1, 0], [1, 0, 1], [0, 1, 1]], dtype=np.bool_)
    png, svg = plot_split(predictions_of(labels, truth, found), tmp_path, title="news: test")
    assert (png.name, svg.name) == ("labels.png", "labels.svg")
    text = text_of(svg)
    assert "news: test" in text
    assert text.index("corn") < text.index("gold") < text.index("wheat")
    assert all(part in text for part in ("correct", "missed", "added wrongly"))


def test_only_the_labels_with_the_most_errors_are_drawn(tmp_path: Path) -> None:
    labels = LabelSet(tuple(f"label {n}" for n in range(MAX_LABELS + 20)), kind="multi")
    truth = np.eye(len(labels), dtype=np.bool_)
    predictions = predictions_of(labels, truth, np.where(np.arange(len(labels)) >= 20, False, truth))
    text = text_of(plot_split(predictions, tmp_path)[1])
    assert f"{MAX_LABELS} of {len(labels)} labels" in text
    assert "label 20" in text
    assert "label 19" not in text


def test_a_hierarchy_has_a_confusion_matrix_for_each_level(tmp_path: Path) -> None:
    labels = LabelSet(("sport/tennis/cup", "sport/golf/cup", "news/world/-"), "hierarchical", ("a/b", "area", "topic"))
    written = plot_split(predictions_of(labels, [0, 1, 2, 2], [1, 1, 2, 0]), tmp_path, title="t")
    names = ["confusion", "confusion_a_b", "confusion_area"]
    assert [path.name for path in written] == [f"{name}.{suffix}" for name in names for suffix in ("png", "svg")]
    upper = text_of(written[3])
    assert "t, a/b" in upper
    assert "sport" in upper
    assert "tennis" not in upper
    assert "sport/tennis" in text_of(written[5])


def test_a_set_with_one_label_a_text_has_one_matrix(tmp_path: Path) -> None:
    written = plot_split(predictions_of(LabelSet(("a", "b")), [0, 1], [0, 0]), tmp_path)
    assert [path.name for path in written] == ["confusion.png", "confusion.svg"]
