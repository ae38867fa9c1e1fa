"""A grid of overrides and seeds over one recipe: what calls `train` many times, and chooses."""

from slugline.workflows.study.runner import run_study

__all__ = ["run_study"]
