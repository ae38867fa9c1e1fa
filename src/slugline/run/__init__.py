"""."""

from slugline.run.run import Run

__all__ = ["Run"]
