"""Plots: training curves, confusion matrices, and learning curves of studies.

Only this module imports matplotlib, and only when it draws. Every plot is written as PNG and as SVG; the same numbers
give the same bytes. Colours are from Okabe & Ito's palette, which colour-blind readers can distinguish.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slugline.evaluation.error_analysis import largest_confusions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
YELLOW, SKY, GREY = "#E69F00", "#56B4E9", "#6b6b6b"

#: Colours of the lines of one plot, in order; `_line_colours` has more.
LINE_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY, GREY)

#: Colour of texts.
TEXT = "#303030"

#: Settings of all plots; the user's matplotlibrc is ignored.
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": GREY,
    "axes.edgecolor": "#b0b0b0",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "legend.frameon": False,
    "text.parse_math": False,  # a class may be called $AAPL
    "svg.fonttype": "none",  # text stays text: it can be searched and read aloud
    "svg.hashsalt": "slugline",  # ids in the file do not change from run to run
}

#: Largest number of classes with counts in the cells, and with the name of every class on the axes.
MAX_WITH_COUNTS, MAX_WITH_NAMES = 25, 80

#: Cells with more than this share of the true class have white numbers.
DARK = 0.35

#: Largest number of characters of a class name.
NAME_CHARACTERS = 28

#: Number of confused pairs that are listed beside a matrix without counts.
LISTED_PAIRS = 15


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
    with _style():
        figure = Figure(figsize=(11, 3.7 if title else 3.4), layout="constrained")
        _set_title(figure, title)
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
        return _save(figure, path)


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
    with _style():
        side = float(np.clip(2.0 + 0.42 * len(names), 4.0, 12.0))
        figure = Figure(figsize=(side + (1.0 if has_counts else 3.5), side), layout="compressed")
        _set_title(figure, title)
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
        return _save(figure, path)


def _list_pairs(axes: Axes, counts: NDArray[np.int64], names: Sequence[str]) -> None:
    """List the most confused classes in a panel of their own."""
    lines = [
        f"{count:,}  {_shortened(names[true])}\n     \u2192 {_shortened(names[predicted])}"
        for true, predicted, count in largest_confusions(counts)[:LISTED_PAIRS]
    ]
    text = "\n".join(["most confused, true \u2192 predicted", "", *lines]) if lines else "no confusions"
    axes.set_axis_off()
    axes.text(0, 1, text, va="top", fontsize=8.0, linespacing=1.4, color=TEXT, transform=axes.transAxes)


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
    with _style():
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        _set_title(figure, title)
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
        return _save(figure, path)


@contextmanager
def _style() -> Iterator[None]:
    """Draw with `STYLE` on matplotlib's defaults, without a window; restore the settings afterwards."""
    import matplotlib as mpl

    settings: Any = {**mpl.rcParamsDefault, **STYLE, "backend": "agg"}
    with mpl.rc_context(settings):
        yield


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


def _set_title(figure: Figure, title: str) -> None:
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=10.0, fontweight="bold")


def _rate_text(rate: float, position: int | None = None) -> str:
    """``2e-5``, as in recipes; matplotlib also passes the position of the tick."""
    mantissa, exponent = f"{rate:.1e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}" if rate else "0"


def _write_counts(axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    size = 9.0 if len(counts) <= 12 else 7.0
    for row, column in zip(*np.nonzero(counts), strict=True):
        color = "white" if shares[row, column] > DARK else TEXT
        axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=color, fontsize=size)


def _label_classes(axes: Axes, names: Sequence[str]) -> None:
    step = 1 if len(names) <= MAX_WITH_NAMES else 2 + len(names) // 160
    shown = list(range(0, len(names), step))
    texts = [_shortened(names[index]) for index in shown]
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


def _shortened(name: str) -> str:
    return name if len(name) <= NAME_CHARACTERS else name[: NAME_CHARACTERS - 1] + "…"


def _save(figure: Figure, path: Path) -> list[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    written = [path.with_name(f"{path.name}.{kind}") for kind in ("png", "svg")]
    with warnings.catch_warnings():
        # Class names in scripts that the font lacks: the PNG shows boxes, the SVG still contains the text.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(written[0], dpi=150, metadata={"Software": "slugline"})
        figure.savefig(written[1], metadata={"Date": None, "Creator": "slugline"})
    return written
