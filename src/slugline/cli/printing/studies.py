"""Output of studies: their settings, the best one and its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from slugline.cli.printing.layout import print_table, print_text, screen_width, table_width
from slugline.cli.printing.scores import print_scores, with_deviation


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
