"""Training curves, and learning curves of studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from slugline.evaluation.plots.style import (
    BLUE,
    GREEN,
    GREY,
    LINE_COLOURS,
    ORANGE,
    SKY,
    TEXT,
    YELLOW,
    save,
    set_title,
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_curves(
    history: Sequence[Mapping[str, Any]], path: Path, *, title: str = "", chosen_epoch: float | None = None
) -> list[Path]:
    """Plot loss, accuracy and F1 of train and validation, and the learning rate, over epochs.

    Args:
        history: lines of ``history.jsonl``: ``step``, ``epoch``, and either ``loss``, ``accuracy``, ``f1_macro``
            and ``learning_rate`` of train, or ``validation`` with its metrics. Missing values are not drawn.
        path: path of the plot, without suffix.
        title: title above the panels.
        chosen_epoch: epoch of the evaluation that was chosen, which is marked; None = no mark.

    Returns:
        Paths of the PNG and the SVG file.
    """
    from matplotlib.figure import Figure

    training = [line for line in history if "loss" in line]
    validation = [{"epoch": line["epoch"], **line["validation"]} for line in history if "validation" in line]
    with style():
        figure = Figure(figsize=(11, 3.7 if title else 3.4), layout="constrained")
        set_title(figure, title)
        loss, scores, rate = figure.subplots(1, 3)
        _draw(loss, training, "loss", "train", BLUE)
        _draw(loss, validation, "loss", "validation", ORANGE, marker="o")
        _draw(scores, training, "accuracy", "accuracy, train", BLUE)
        _draw(scores, training, "f1_macro", "macro F1, train", SKY, dashed=True)
        _draw(scores, validation, "accuracy", "accuracy, validation", ORANGE, marker="o")
        _draw(scores, validation, "f1_macro", "macro F1, validation", YELLOW, marker="s", dashed=True)
        _draw(rate, training, "learning_rate", "", GREEN)
        epochs = [line["epoch"] for line in history]
        for axes, panel in ((loss, "Loss"), (scores, "Scores"), (rate, "Learning rate")):
            _finish_axes(axes, panel, epochs, chosen_epoch)
        loss.set_ylim(bottom=0)
        rate.set_ylim(bottom=0)
        rate.yaxis.set_major_formatter(_rate_text)
        return save(figure, path)


def plot_learning_curves(
    curves: Mapping[str, Sequence[tuple[int, float]]], metric: str, path: Path, *, title: str = ""
) -> list[Path]:
    """Plot a metric over the number of training rows: a line through the means, a dot for each seed.

    Args:
        curves: points (training rows, value) of each seed, sorted by rows, by name of the curve.
        metric: name of the metric and its split.
        path: path of the plot, without suffix.
        title: title above the curves.

    Returns:
        Paths of the PNG and the SVG file.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, NullFormatter

    ticks = sorted({rows for points in curves.values() for rows, _ in points})
    with style():
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        set_title(figure, title)
        axes = figure.subplots()
        for color, (name, points) in zip(_line_colours(len(curves)), curves.items(), strict=True):
            means = {rows: [value for other, value in points if other == rows] for rows, _ in points}
            axes.plot(list(means), [np.mean(values) for values in means.values()], color=color, label=name)
            axes.plot(*zip(*points, strict=True), "o", color=color, markersize=4)
        axes.set_xscale("log")
        # Numbers of rows may be almost equal: one tick where labels would overlap.
        shown = [rows for rows, after in zip(ticks, [*ticks[1:], 2**62], strict=True) if after > 1.2 * rows]
        axes.set_xticks(shown)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda rows, _: f"{rows:,.0f}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("training rows")
        axes.set_ylabel(metric)
        axes.grid(visible=True)
        axes.legend()
        return save(figure, path)


def _draw(
    axes: Axes,
    lines: Sequence[Mapping[str, Any]],
    key: str,
    label: str,
    color: str,
    *,
    marker: str = "",
    dashed: bool = False,
) -> None:
    points = [(line["epoch"], line[key]) for line in lines if key in line]
    if points:
        x, y = zip(*points, strict=True)
        # A line through a single point is invisible.
        shape = marker or ("o" if len(points) == 1 else "")
        axes.plot(x, y, label=label, color=color, marker=shape, markersize=4, linestyle="--" if dashed else "-")


def _finish_axes(axes: Axes, title: str, epochs: Sequence[float], chosen_epoch: float | None) -> None:
    axes.set_title(title)
    if not axes.lines:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "not recorded", color=GREY, ha="center", va="center", transform=axes.transAxes)
        return
    axes.set_xlabel("epoch")
    axes.grid(visible=True)
    first, last = min(epochs), max(epochs)
    if chosen_epoch is not None:
        axes.axvline(chosen_epoch, color=TEXT, linewidth=1.0, linestyle=":", label=f"chosen, epoch {chosen_epoch:.3g}")
    if last > first:
        margin = 0.02 * (last - first)
        axes.set_xlim(first - margin, last + margin)
    if any(axes.get_legend_handles_labels()[1]):
        axes.legend()


def _line_colours(count: int) -> Sequence[Any]:
    """As many different colours as there are lines."""
    if count <= len(LINE_COLOURS):
        return LINE_COLOURS[:count]
    from matplotlib import colormaps

    return list(colormaps["turbo"](np.linspace(0.05, 0.95, count)))


def _rate_text(rate: float, position: int | None = None) -> str:
    """``2e-5``, as in recipes; matplotlib also passes the position of the tick."""
    mantissa, exponent = f"{rate:.1e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}" if rate else "0"
