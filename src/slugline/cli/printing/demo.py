"""Output of `slugline demo`: comparisons, a prediction, and commands to try next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from slugline.cli.printing.comparison import print_comparison
from slugline.cli.printing.layout import print_table

if TYPE_CHECKING:
    from slugline.workflows.demo import DemoResult


def print_demo(result: DemoResult) -> None:
    """Print the comparison of each seed, the medians, a prediction, and commands to try next."""
    from slugline.workflows.demo import SENTENCE

    for comparison in result.comparisons:
        print_comparison(comparison)
        typer.echo()
    if len(result.comparisons) > 1:
        print_table(
            ["test accuracy", *(f"seed {seed}" for seed in result.seeds), "median"],
            [
                [name, *(f"{value:.4f}" for value in result.accuracies(name)), f"{result.median_accuracy(name):.4f}"]
                for name in result.runs
            ],
        )
        typer.echo()
    label, probability = result.prediction
    typer.echo(f"{result.best.path} scored best on validation. Its prediction for")
    typer.echo(f'  "{SENTENCE}"\n  {label} ({probability:.1%})\n')
    typer.echo("Next, use your own file with a column of texts and a column of labels:")
    typer.echo("  slugline data inspect my.csv")
    typer.echo("  slugline recipe new my.csv > my.toml && slugline train my.toml")
    typer.echo("  slugline predict runs/my --input new.csv --output labelled.csv")
