"""Commands about finished runs: `slugline show`, `compare` and `check`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slugline.cli.printing.comparison import print_comparison
from slugline.cli.printing.layout import print_table, print_text, print_values
from slugline.cli.printing.output import Json, print_json
from slugline.cli.printing.scores import print_classes, print_scores
from slugline.cli.printing.studies import print_study

if TYPE_CHECKING:
    from slugline.run.run import Run

#: Pairs of confused classes that are shown.
SHOWN_PAIRS = 10

#: Exit code of `check` if the required level is not met.
NOT_MET = 3


def show(
    path: Annotated[Path, typer.Argument(metavar="RUN|STUDY", help="Folder of a run, in any state, or of a study.")],
    as_json: Json = False,
) -> None:
    """Print the results of a run or a study again. Nothing is computed, and no model is loaded."""
    from slugline.core.layouts import StudyLayout
    from slugline.run.run import Run

    summary = StudyLayout(path).summary
    if summary.is_file():
        study = json.loads(summary.read_text(encoding="utf-8"))
        print_json(study) if as_json else print_study(study, summary)
        return
    run = Run(path)
    recipe = run.recipe  # raises an error that names similar runs, if this is not a run
    if as_json:
        print_json(_as_dict(run))
        return
    state = run.state
    typer.echo(f"{path}: {state}{f' ({run.process})' if state == 'running' else ''}")
    print_values(dict(_described(run)))
    if run.layout.metrics.is_file():
        _print_results(run, selects=recipe.train.select_by)
    else:
        _print_progress(run)
    _print_findings(run)


def _as_dict(run: Run) -> dict[str, Any]:
    """All results of a run, as far as it has them."""
    values: dict[str, Any] = {"run": str(run.path), "state": run.state, "manifest": run.manifest}
    if run.layout.metrics.is_file():
        values |= run.metrics
    for name in ("data", "errors", "diagnosis"):
        path: Path = getattr(run.layout, name)
        if path.is_file():
            values[name] = json.loads(path.read_text(encoding="utf-8"))
    return values


def _described(run: Run) -> Iterator[tuple[str, str]]:
    """Model, data, size and times of a run, as far as it has them."""
    recipe, manifest = run.recipe, run.manifest
    yield (
        "model",
        " ".join(filter(None, [recipe.model.kind, recipe.model.base if recipe.model.kind != "linear" else ""])),
    )
    if "data" in manifest:
        rows = ", ".join(f"{split} {count:,}" for split, count in manifest["data"]["rows"].items())
        labels = f"; {len(manifest['data']['labels'])} classes" if "labels" in manifest["data"] else ""
        yield "data", f"{manifest['data']['name']}: {rows} rows{labels}"
    metrics = run.metrics if run.layout.metrics.is_file() else {}
    size = metrics.get("size") or manifest.get("size", {})
    if size:
        stored = f"; {size['model_bytes'] / 2**20:.1f} MiB" if "model_bytes" in size else ""
        yield "parameters", f"{size['parameters']:,}, {size['trainable_parameters']:,} of them trained{stored}"
    timing = metrics.get("timing") or manifest.get("training", {})
    device = f" on {manifest['hardware']['name']}" if "hardware" in manifest else ""
    if "train_seconds" in timing:
        yield "training", f"{timing['train_seconds']:,.1f} s{device}"
    if "inference_seconds_per_1000" in timing:
        latency = f"{timing['latency_ms_p50']:.1f} ms for one" if "latency_ms_p50" in timing else ""
        yield (
            "prediction",
            ", ".join(filter(None, [f"{timing['inference_seconds_per_1000']:.2f} s per 1,000 texts", latency])),
        )
    if manifest.get("error"):
        yield "error", manifest["error"]


def _print_results(run: Run, *, selects: str) -> None:
    metrics = run.metrics
    typer.echo()
    if run.recipe.pretrain:
        measured = metrics["validation"]
        print_table(["split", *measured], [["validation", *(f"{value:.4f}" for value in measured.values())]])
        return
    print_scores({split: metrics[split] for split in run.scored_splits}, selects=selects)
    if metrics.get("folds"):
        typer.echo("\nfolds")
        print_scores({f"fold {fold['fold']}": fold["validation"] for fold in metrics["folds"]}, selects=selects)
    split = run.scored_splits[-1]
    typer.echo(f"\nclasses of {split}")
    print_classes(metrics[split]["per_class"])
    if run.layout.errors.is_file():
        errors = json.loads(run.layout.errors.read_text(encoding="utf-8"))
        typer.echo(
            f"\nconfused classes of {errors.get('split', split)}: {errors['errors']:,} of {errors['support']:,} rows"
        )
        pairs = [(pair["true"], pair["predicted"], pair["count"]) for pair in errors["most_confused"][:SHOWN_PAIRS]]
        if pairs:
            print_table(["true", "predicted", "rows"], pairs)


def _print_progress(run: Run) -> None:
    """Print the last evaluation of a run without results, or the states of its folds."""
    for number, fold in enumerate(run.folds, start=1):
        print_text(f"  fold {number}: {fold.state}")
    evaluations = [line for line in run.history if "validation" in line]
    if evaluations:
        last = evaluations[-1]
        typer.echo(f"\nlast evaluation: update {last['step']}, epoch {last['epoch']:.2f}, on validation")
        print_scores({"validation": last["validation"]}, selects=run.recipe.train.select_by)
    if run.state in ("interrupted", "failed"):
        print_text("Resume it with the command that started it and --resume.")


def _print_findings(run: Run) -> None:
    """Print the findings of the data and of the diagnosis."""
    if run.layout.data.is_file() and run.data.get("findings"):
        typer.echo("\nfindings in the data")
        for finding in run.data["findings"]:
            print_text(f"  {'! ' if finding['is_warning'] else ''}{finding['message']}", indent="    ")
    if run.layout.diagnosis.is_file():
        typer.echo("\ndiagnosis")
        for found in run.diagnosis:
            print_text(
                f"  {'! ' if found['is_warning'] else ''}{found['message']} {found['advice']}".rstrip(), indent="    "
            )


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Two or more runs that were evaluated on the same rows.")],
    split: Annotated[str, typer.Option(help="Split whose predictions are compared.")] = "test",
    metric: Annotated[str, typer.Option(help="Metric by which runs are compared: f1_macro, loss...")] = "accuracy",
    slices: Annotated[bool, typer.Option("--slices", help="Also compare by class, length and confidence.")] = False,
    as_json: Json = False,
) -> None:
    """Compare runs: metrics with confidence intervals, costs, and differences whose intervals hold together.

    Runs that differ only in their seed are compared as one setting, by the means of their metrics.
    """
    from slugline.pipeline import compare_runs

    comparison = compare_runs(runs, split=split, metric=metric, with_slices=slices)
    if as_json:
        print_json(comparison.to_dict())
        return
    print_comparison(comparison)


def check(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    criteria: Annotated[
        Path, typer.Option(help="TOML file with a table of criteria for each level, or the name of a known one: news.")
    ] = Path("news"),
    level: Annotated[str, typer.Option(help="Level that is required; by default the lowest.")] = "",
    as_json: Json = False,
) -> None:
    """Check a run against acceptance criteria. Exit code 3 if the required level, or one below it, is not met."""
    from slugline.run.run import Run
    from slugline.workflows.check_run import check_run, read_criteria

    acceptance = check_run(Run(run), read_criteria(criteria), level=level)
    if as_json:
        print_json(acceptance.to_dict())
    else:
        rows = [
            [name, each.path, each.bound, _figure(each.value, each.reason), "met" if each.is_met else "not met"]
            for name, criteria_of_level in acceptance.levels.items()
            for each in criteria_of_level
        ]
        print_table(["level", "figure", "criterion", "value", ""], rows)
        required = f"Level {acceptance.required!r} is {'met' if acceptance.is_met else 'not met'}."
        print_text(f"{required} The highest level that is met: {acceptance.reached or 'none'}.")
    if not acceptance.is_met:
        raise typer.Exit(NOT_MET)


def _figure(value: float | bool | str | None, reason: str) -> str:
    if value is None:
        return reason
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else f"{value}"
