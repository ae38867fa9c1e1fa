"""Tables of metrics: of splits, classes and seeds, in percent and with confidence intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from slugline.cli.printing.layout import print_table, print_text, screen_width, table_width


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
