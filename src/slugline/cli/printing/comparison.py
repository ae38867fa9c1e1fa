"""Output of comparisons: metrics, costs and slices of each run, and a verdict for each pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from slugline.cli.printing.layout import print_table, print_text
from slugline.cli.printing.scores import print_scores

if TYPE_CHECKING:
    from slugline.evaluation.comparison.compare import Comparison


def print_comparison(comparison: Comparison) -> None:
    """Print the metrics of each run, with confidence intervals, costs, a verdict for each pair, and slices."""
    print_scores({run["name"]: run for run in comparison.to_dict()["runs"]})
    _print_costs(comparison)
    _print_slices(comparison)
    for sentence in comparison.summary:
        print_text(sentence)
    print_text(comparison.method)


def _print_costs(comparison: Comparison) -> None:
    """Print what the training and the predictions of each run cost, as far as it is known."""
    from slugline.pipeline.compare_runs import COSTS

    names = [name for name in COSTS if any(name in run.costs for run in comparison.runs)]
    if not names:
        return
    millions = {"model_bytes", "parameters"}
    rows = [
        [
            run.name,
            *(
                f"{run.costs[name] / (1e6 if name in millions else 1):,.2f}" if name in run.costs else ""
                for name in names
            ),
        ]
        for run in comparison.runs
    ]
    print_table(["cost", *(COSTS[name] for name in names)], rows)
    typer.echo()


def _print_slices(comparison: Comparison) -> None:
    """Print the share of correct answers of each run on slices of the rows."""
    kinds = dict.fromkeys(each.kind for each in comparison.slices)
    for kind in kinds:
        rows = [
            [
                each.name,
                f"{each.support:,}",
                *(f"{100 * each.accuracy[run.name]:.1f}" for run in comparison.runs),
                f"{each.p_value:.3f}" if each.p_value >= 0.001 else "< 0.001",
            ]
            for each in comparison.slices
            if each.kind == kind
        ]
        print_table([kind, "rows", *(run.name for run in comparison.runs), "p"], rows)
        typer.echo()
    if kinds:
        print_text(
            "Slices: share of correct answers in percent; length in words, confidence is the mean of the runs. p is of "
            "McNemar's test of the two best runs, corrected by Holm's method for the slices of a kind."
        )
