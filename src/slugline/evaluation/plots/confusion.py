"""Confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slugline.evaluation.error_analysis import largest_confusions
from slugline.evaluation.plots.style import TEXT, save, set_title, shortened, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Largest number of classes with counts in the cells, and with the name of every class on the axes.
MAX_WITH_COUNTS, MAX_WITH_NAMES = 25, 80

#: Cells with more than this share of the true class have white numbers.
DARK = 0.35

#: Number of confused pairs that are listed beside a matrix without counts.
LISTED_PAIRS = 15


def plot_confusion(confusion: ArrayLike, names: Sequence[str], path: Path, *, title: str = "") -> list[Path]:
    """Plot a confusion matrix: colours are shares of the true class, numbers are counts of rows.

    With too many classes for numbers in the cells, the most confused pairs are listed beside the matrix.

    Args:
        confusion: (K, K) counts, true classes in rows.
        names: names of the K classes.
        path: path of the plot, without suffix.
        title: title above the matrix.

    Returns:
        Paths of the PNG and the SVG file.
    """
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure

    counts = np.asarray(confusion, dtype=np.int64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    has_counts = len(names) <= MAX_WITH_COUNTS
    with style():
        side = float(np.clip(2.0 + 0.42 * len(names), 4.0, 12.0))
        figure = Figure(figsize=(side + (1.0 if has_counts else 3.5), side), layout="compressed")
        set_title(figure, title)
        if has_counts:
            axes = figure.subplots()
        else:
            axes, beside = figure.subplots(1, 2, width_ratios=[side, 2.5])
            _list_pairs(beside, counts, names)
        # A square-root scale, because a linear one leaves rare errors white.
        image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, vmin=0, vmax=1))
        if has_counts:
            _write_counts(axes, counts, shares)
        _label_classes(axes, names)
        bar = figure.colorbar(image, ax=axes, fraction=0.04, aspect=30, pad=0.02, label="share of the true class")
        bar.set_ticks([0, 0.01, 0.05, 0.1, 0.25, 0.5, 1], labels=["0", "1%", "5%", "10%", "25%", "50%", "100%"])
        bar.outline.set_visible(False)
        return save(figure, path)


def _list_pairs(axes: Axes, counts: NDArray[np.int64], names: Sequence[str]) -> None:
    """List the most confused classes in a panel of their own."""
    lines = [
        f"{count:,}  {shortened(names[true])}\n     \u2192 {shortened(names[predicted])}"
        for true, predicted, count in largest_confusions(counts)[:LISTED_PAIRS]
    ]
    text = "\n".join(["most confused, true \u2192 predicted", "", *lines]) if lines else "no confusions"
    axes.set_axis_off()
    axes.text(0, 1, text, va="top", fontsize=8.0, linespacing=1.4, color=TEXT, transform=axes.transAxes)


def _write_counts(axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    size = 9.0 if len(counts) <= 12 else 7.0
    for row, column in zip(*np.nonzero(counts), strict=True):
        color = "white" if shares[row, column] > DARK else TEXT
        axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=color, fontsize=size)


def _label_classes(axes: Axes, names: Sequence[str]) -> None:
    step = 1 if len(names) <= MAX_WITH_NAMES else 2 + len(names) // 160
    shown = list(range(0, len(names), step))
    texts = [shortened(names[index]) for index in shown]
    if len(names) <= MAX_WITH_COUNTS:
        axes.set_xticks(shown, texts, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(shown, texts)
    else:
        axes.set_xticks(shown, texts, rotation=90, fontsize=5.5)
        axes.set_yticks(shown, texts, fontsize=5.5)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.spines[:].set_visible(False)
    # Light lines between cells: a grid of minor ticks.
    if len(names) <= MAX_WITH_NAMES:
        edges = np.arange(len(names) + 1) - 0.5
        axes.set_xticks(edges, minor=True)
        axes.set_yticks(edges, minor=True)
        axes.grid(visible=True, which="minor", color="#f2f2f2", linewidth=0.8)
        axes.tick_params(which="minor", length=0)
