"""Output of the commands: results in tables or as JSON on stdout, and the message after Ctrl-C on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slugline.cli.layout import print_table, print_text, screen_width, table_width

if TYPE_CHECKING:
    from slugline.evaluation.comparison.compare import Comparison
    from slugline.workflows.demo import DemoResult

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


def with_interval(metrics: Mapping[str, Any], name: str) -> str:
    """Return a metric with its confidence interval: ``97.9 [96.5, 99.1]``, shares in percent."""
    if name not in metrics:
        return ""
    value, interval = metrics[name], metrics.get("confidence_intervals", {}).get(name)
    if interval is None:
        return _number(name, value)
    return f"{_number(name, value)} [{_number(name, interval[0])}, {_number(name, interval[1])}]"


def with_deviation(spread: Mapping[str, float | None], name: str) -> str:
    """Return a metric over several seeds: ``97.9 ± 0.4``, shares in percent."""
    deviation = "" if spread["sd"] is None else f" ± {_number(name, spread['sd'])}"
    return f"{_number(name, spread['mean'] or 0.0)}{deviation}"


def _number(name: str, value: float) -> str:
    from slugline.evaluation.metrics import metric

    return f"{100 * value:.1f}" if metric(name).unit == "points" else f"{value:.3f}"


def print_scores(columns: Mapping[str, Mapping[str, Any]], *, selects: str = "") -> None:
    """Print every metric of splits or runs, one column for each, in several tables if one is too wide.

    Args:
        columns: metrics with their confidence intervals, by name of the split or run.
        selects: name of the metric that selects the model, which is marked.
    """
    from slugline.evaluation.metrics import shown_in

    names = [
        metric.name for metric in shown_in((key for metrics in columns.values() for key in metrics), selects=selects)
    ]
    heads = [*(["rows"] if any("support" in each for each in columns.values()) else []), *names]
    heads = [f"{name} *" if name == selects else name for name in heads]
    table = {
        title: [
            *([f"{metrics['support']:,}"] if "support" in metrics else [""] if "rows" in heads else []),
            *(with_interval(metrics, name) for name in names),
        ]
        for title, metrics in columns.items()
    }
    for titles in _that_fit(heads, table):
        rows = [[head, *(table[title][row] for title in titles)] for row, head in enumerate(heads)]
        print_table(["metric", *titles], rows)
    marked = " * selects the model." if f"{selects} *" in heads else ""
    has_intervals = any("confidence_intervals" in metrics for metrics in columns.values())
    print_text(f"Shares are in percent{', with 95% confidence intervals' if has_intervals else ''}.{marked}")


def _that_fit(heads: Sequence[str], table: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """Titles of columns that fit the screen beside the heads of the rows; at least one at a time."""
    titles: list[str] = []
    for title in table:
        rows = [[head, *(table[each][row] for each in [*titles, title])] for row, head in enumerate(heads)]
        if titles and table_width(["metric", *titles, title], rows) > screen_width():
            yield titles
            titles = []
        titles.append(title)
    yield titles


def print_classes(per_class: Mapping[str, Mapping[str, float]]) -> None:
    """Print precision, recall and F1 of each class, in percent."""
    print_table(
        ["class", "precision", "recall", "f1", "rows"],
        [
            [name, *(f"{100 * scores[key]:.1f}" for key in ("precision", "recall", "f1")), f"{scores['support']:,}"]
            for name, scores in per_class.items()
        ],
    )


def print_metrics(splits: Mapping[str, Mapping[str, Any]], *, selects: str = "") -> None:
    """Print the metrics of splits, and a note if their confidence intervals may be too narrow.

    Args:
        splits: metrics by split.
        selects: name of the metric that selects the model.
    """
    from slugline.evaluation.score import interval_note

    print_scores(splits, selects=selects)
    for split, metrics in splits.items():
        if "confidence_intervals" in metrics and "per_class" in metrics and (note := interval_note(metrics)):
            print_text(f"{split}: {note}")
    for split, metrics in splits.items():
        if "out_of_scope" in metrics:
            print_text(f"{split}: {_out_of_scope(metrics['out_of_scope'])}")


def _out_of_scope(scores: Mapping[str, Any]) -> str:
    """One sentence about the rows out of scope."""
    answered, accuracy, rejected = (with_share(scores, name) for name in ("answered", "accuracy", "rejected"))
    return (
        f"{scores['rows']:,} texts out of scope; AUROC of the confidence {with_share(scores, 'auroc')}. A model that "
        f"abstains below {scores['abstain_below']:.3f} (chosen on validation) rejects {rejected} of them, and answers "
        f"{answered} of the others, {accuracy} correctly."
    )


def with_share(scores: Mapping[str, Any], name: str) -> str:
    """Return a share in percent with its interval: ``93.2 [92.1, 94.0]``."""
    low, high = scores.get("confidence_intervals", {}).get(name, (None, None))
    return f"{100 * scores[name]:.1f}" + (f" [{100 * low:.1f}, {100 * high:.1f}]" if low is not None else "")


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


def _cost(name: str, value: float | None) -> str:
    in_millions = name in ("model_bytes", "parameters")
    return "" if value is None else f"{value / (1e6 if in_millions else 1):,.2f}"


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


def print_description(described: Mapping[str, Any]) -> None:
    """Print the description of a data set."""
    splits = list(described["rows"])
    source = described["name"] + (f" ({described['licence']})" if described["licence"] else "")
    print_text(f"{source}: text from {' + '.join(described['text'])}, label from {' + '.join(described['label'])}")
    typer.echo()
    _print_classes(described, splits)
    _print_lengths(described, splits)
    typer.echo("\nfindings" if described["findings"] else "\nfindings: none")
    for finding in described["findings"]:
        print_text(f"  {'! ' if finding['is_warning'] else ''}{finding['message']}", indent="    ")
    typer.echo("\nexamples from train")
    for row in described["examples"]["train"]:
        print_text(f"  [{row['label']}] {row['text']}", indent="    ")


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
    quantiles = next((list(tokens[split]["length_quantiles"]) for split in splits if described["rows"][split]), [])
    headers = ["split", "shortest", *(f"{float(q):.0%}" for q in quantiles[1:-1]), "longest", "truncated"]
    rows = [
        [split, *tokens[split]["length_quantiles"].values(), f"{tokens[split]['truncated_share']:.1%}"]
        if described["rows"][split]
        else [split, *[""] * (len(headers) - 1)]
        for split in splits
    ]
    print_table(headers, rows)
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


def print_study(study: Mapping[str, Any], summary: Path) -> None:
    """Print one line for each setting, the verdict on the two best, and the test scores of the chosen setting.

    Args:
        study: contents of ``study.json``.
        summary: path of that file.
    """
    from slugline.evaluation.metrics import metric as find_metric

    metric = find_metric(study["chosen_by"])
    _print_settings(study["settings"], metric.name)
    splits = [split for split in ("validation", "out_of_fold") if any(split in each for each in study["settings"])]
    print_text(f"Scores are on {' or '.join(splits) or 'validation'}, shares in percent. All results: {summary}")
    chosen = study["chosen"]
    if chosen is None:
        print_text(study.get("reason_for_no_choice") or "No setting is chosen.")
        return
    score = with_deviation(_spreads(chosen)[metric.name], metric.name)
    print_text(f"\n{chosen['setting']} scored best: {metric.title} {score}")
    if study.get("comparison"):
        print_text(study["comparison"]["summary"][0])
    by_seed = chosen.get("test_by_seed", {})
    if not by_seed:
        return
    typer.echo()
    print_scores({f"test, seed {seed}": metrics for seed, metrics in by_seed.items()}, selects=metric.name)
    if len(by_seed) > 1:
        spreads = chosen["test"].items()
        print_text("over the seeds: " + ", ".join(f"{name} {with_deviation(spread, name)}" for name, spread in spreads))


def _print_settings(settings: Sequence[Mapping[str, Any]], chosen_by: str) -> None:
    """Print what varies between settings, and the metric that chooses; further metrics while the table fits."""
    from slugline.evaluation.metrics import numbers_in
    from slugline.workflows.study.plan import differences

    shown: list[str] = []
    known = [metric.name for metric in numbers_in(key for each in settings for key in _spreads(each))]
    for name in dict.fromkeys([chosen_by, "accuracy", "f1_macro", *known]):
        headers, rows = _settings_table(settings, differences([each["overrides"] for each in settings]), [*shown, name])
        if not shown or table_width(headers, rows) <= screen_width():
            shown.append(name)
    print_table(*_settings_table(settings, differences([each["overrides"] for each in settings]), shown))


def _settings_table(
    settings: Sequence[Mapping[str, Any]], varying: Sequence[str], metrics: Sequence[str]
) -> tuple[list[str], list[list[object]]]:
    rows: list[list[object]] = []
    for setting, difference in zip(settings, varying, strict=True):
        spreads = _spreads(setting)
        scores = [with_deviation(spreads[name], name) if name in spreads else "" for name in metrics]
        rows.append([setting["step"], difference, setting["n"], *scores, setting["state"]])
    return ["step", "setting", "seeds", *metrics, "state"], rows


def _spreads(setting: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metrics of a setting over its seeds, on validation or on the rows that its folds held out."""
    found: Mapping[str, Any] = setting.get("validation") or setting.get("out_of_fold") or {}
    return found
