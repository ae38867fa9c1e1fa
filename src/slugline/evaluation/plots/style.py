"""Colours, settings and files of all plots.

Colours are from Okabe & Ito's palette, which colour-blind readers can distinguish.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

#: Largest number of characters of a class name.
NAME_CHARACTERS = 28


@contextmanager
def style() -> Iterator[None]:
    """Draw with `STYLE` on matplotlib's defaults, without a window; restore the settings afterwards."""
    import matplotlib as mpl

    settings: Any = {**mpl.rcParamsDefault, **STYLE, "backend": "agg"}
    with mpl.rc_context(settings):
        yield


def set_title(figure: Figure, title: str) -> None:
    """Write a title above all panels; nothing if it is empty."""
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=10.0, fontweight="bold")


def shortened(name: str) -> str:
    """Return a name of at most `NAME_CHARACTERS` characters."""
    return name if len(name) <= NAME_CHARACTERS else name[: NAME_CHARACTERS - 1] + "…"


def save(figure: Figure, path: Path) -> list[Path]:
    """Write a figure as PNG and as SVG.

    Args:
        figure: figure to write.
        path: path without suffix; its folder is created.

    Returns:
        Paths of the written files.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    written = [path.with_name(f"{path.name}.{kind}") for kind in ("png", "svg")]
    with warnings.catch_warnings():
        # Class names in scripts that the font lacks: the PNG shows boxes, the SVG still contains the text.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(written[0], dpi=150, metadata={"Software": "slugline"})
        figure.savefig(written[1], metadata={"Date": None, "Creator": "slugline"})
    return written
