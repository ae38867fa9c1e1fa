"""Errors of single labels, for texts with any number of labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from slugline.evaluation.outcomes.class_counts import ClassCounts
from slugline.evaluation.plots.style import BLUE, ORANGE, TEXT, YELLOW, save, set_title, shortened, style

#: Largest number of labels that are drawn: those with the most errors.
MAX_LABELS = 40


def plot_label_errors(counts: ClassCounts, names: Sequence[str], path: Path, *, title: str = "") -> list[Path]:
    """Plot the texts of each label: correctly predicted, missed, and wrongly added, labels with most errors first.

    Args:
        counts: counts (K,) of each label.
        names: names of the K labels.
        path: path of the plot, without suffix.
        title: title above the bars.

    Returns:
        Paths of the PNG and the SVG file.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    hits = counts.hits
    missed, added = counts.support - hits, counts.predicted - hits
    shown = np.argsort(-(missed + added), kind="stable")[:MAX_LABELS]
    with style():
        figure = Figure(figsize=(8.5, 1.6 + 0.28 * len(shown)), layout="constrained")
        set_title(figure, title)
        axes, places = figure.subplots(), np.arange(len(shown))
        start = np.zeros(len(shown))
        for part, label, color in ((hits, "correct", BLUE), (missed, "missed", ORANGE)):
            axes.barh(places, part[shown], left=start, color=color, label=label, height=0.7)
            start = start + part[shown]
        # To the left of 0, because a text that gets a label wrongly is none of its texts.
        axes.barh(places, -added[shown], color=YELLOW, label="added wrongly", height=0.7)
        axes.axvline(0, color=TEXT, linewidth=0.8)
        axes.set_yticks(places, [shortened(names[label]) for label in shown])
        axes.invert_yaxis()
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.xaxis.set_major_formatter(lambda count, _: f"{abs(count):,.0f}")
        axes.set_xlabel("texts" if len(shown) == len(names) else f"texts; {len(shown)} of {len(names)} labels")
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=True, axis="x")
        figure.legend(loc="outside lower center", ncols=3)
        return save(figure, path)
