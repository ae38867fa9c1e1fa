"""Output of the commands: tables or JSON on stdout, and the message after Ctrl-C on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from slugline.evaluation.compare import Comparison
    from slugline.workflows.demo import DemoResult
    from slugline.workflows.study.results import StudyResult

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@contextmanager
def interruption_message(hint: str) -> Iterator[None]:
    """Print a message if Ctrl-C or SIGTERM ends the block.

    Args:
        hint: sentence that states how to resume.
    """
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write(f"\nInterrupted. The work done so far is kept. {hint}\n")
        raise


def print_json(values: Any) -> None:
    """Print a JSON document."""
    typer.echo(json.dumps(values, indent=2, ensure_ascii=False))


def print_table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table, with numbers aligned to the right; plain text if stdout is not a terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not sys.stdout.isatty():
        _print_plain([headers, *rows])
        return
    console = Console()
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for index, header in enumerate(headers):
        is_number = all(str(row[index])[:1].isdigit() or not str(row[index]) for row in rows)
        table.add_column(Text(header), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    console.print(table)


def _print_plain(rows: Sequence[Sequence[object]]) -> None:
    """One line per row, of any width, with aligned columns: for pipes, logs and `grep`."""
    widths = [max(len(str(cell)) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def print_values(values: Mapping[str, object]) -> None:
    """Print names and values, one per line."""
    width = max(map(len, values), default=0)
    for name, value in values.items():
        typer.echo(f"  {name.ljust(width)}  {value}")


def with_interval(metrics: Mapping[str, Any], name: str) -> str:
    """Return a metric with its confidence interval: ``0.9789 [0.9648, 0.9906]``."""
    value = f"{metrics[name]:.4f}"
    interval = metrics.get("confidence_intervals", {}).get(name)
    return value if interval is None else f"{value} [{interval[0]:.4f}, {interval[1]:.4f}]"


#: Metrics in tables of splits and runs.
SHOWN = ("accuracy", "f1_macro", "f1_weighted", "loss", "ece")


def print_metrics(splits: Mapping[str, Mapping[str, Any]]) -> None:
    """Print one line for each split, with confidence intervals, and a note if they may be too narrow."""
    from slugline.evaluation.score import interval_note

    print_table(
        ["split", "rows", *SHOWN],
        [
            [split, f"{metrics['support']:,}", *(with_interval(metrics, name) for name in SHOWN)]
            for split, metrics in splits.items()
        ],
    )
    for split, metrics in splits.items():
        if "confidence_intervals" in metrics and (note := interval_note(metrics)):
            typer.echo(f"{split}: {note}")


def print_comparison(comparison: Comparison) -> None:
    """Print one line for each run, with confidence intervals, then a verdict for each pair."""
    print_table(
        ["run", *SHOWN],
        [[run["name"], *(with_interval(run, name) for name in SHOWN)] for run in comparison.to_dict()["runs"]],
    )
    for sentence in comparison.summary:
        typer.echo(sentence)
    typer.echo(comparison.method)


def print_description(described: Mapping[str, Any]) -> None:
    """Print the description of a data set."""
    splits = list(described["rows"])
    source = described["name"] + (f" ({described['licence']})" if described["licence"] else "")
    typer.echo(f"{source}: text from {' + '.join(described['text'])}, label from {described['label']}\n")
    _print_classes(described, splits)
    _print_lengths(described, splits)
    typer.echo("\nfindings")
    for finding in described["findings"]:
        typer.echo(f"  {'! ' if finding['is_warning'] else ''}{finding['message']}")
    typer.echo("\nexamples from train")
    for row in described["examples"]["train"]:
        typer.echo(f"  [{row['label']}] {row['text']}")


def _print_classes(described: Mapping[str, Any], splits: Sequence[str]) -> None:
    """Print rows by class and split; if rows of train were dropped, their number before as well."""
    before = described.get("classes_before", {})
    names = [*described["labels"], *(name for name in before if name not in described["labels"])]
    rows = [[name, *(described["classes"][split].get(name, 0) for split in splits)] for name in names]
    rows.append(["all", *(described["rows"][split] for split in splits)])
    headers = ["class", *splits]
    if before:
        headers.append("before")
        rows = [[*row, count] for row, count in zip(rows, [*map(before.get, names), sum(before.values())], strict=True)]
    print_table(headers, rows)
    if before:
        typer.echo("before: rows of train before any filter or split")


def _print_lengths(described: Mapping[str, Any], splits: Sequence[str]) -> None:
    tokens = described["tokens"]
    if not tokens:
        typer.echo('\nCounting tokens needs the embedded encoder: pip install "slugline[embedded]"')
        return
    typer.echo(f"\nlengths in tokens ({tokens['tokenizer']})")
    quantiles = list(tokens[splits[0]]["length_quantiles"])
    headers = ["split", "shortest", *(f"{float(q):.0%}" for q in quantiles[1:-1]), "longest", "truncated"]
    print_table(
        headers,
        [
            [split, *tokens[split]["length_quantiles"].values(), f"{tokens[split]['truncated_share']:.1%}"]
            for split in splits
        ],
    )
    typer.echo(f"truncated: texts of more than {tokens['max_length']} tokens (data.max_length)")


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


def print_study(result: StudyResult) -> None:
    """Print one line for each setting, the comparison of the two best, and the test scores of the chosen setting."""
    metric = result.study.chosen_by
    shown = list(dict.fromkeys(["accuracy", "f1_macro", "f1_weighted", metric.name]))
    rows = [
        [setting.setting.step, setting.setting.changes, len(setting.members)]
        + [str(setting.spread(name) or "") for name in shown]
        + [setting.state]
        for setting in result.settings
    ]
    print_table(["step", "overrides", "seeds", *shown, "state"], rows)
    typer.echo(f"Scores are on validation. All results: {result.study.layout.summary}")
    chosen = result.chosen
    if chosen is None:
        typer.echo(result.reason_for_no_choice)
        return
    typer.echo(f"\n{chosen.setting.title} scored best: {metric.title} {chosen.spread(metric.name)}")
    if result.comparison:
        typer.echo(result.comparison.summary[0])
    if not result.test:
        return
    typer.echo()
    print_metrics({f"test, seed {seed}": metrics for seed, metrics in result.test.items()})
    if len(result.test) > 1:
        typer.echo("over the seeds: " + ", ".join(f"{name} {result.test_spread(name)}" for name in shown))
