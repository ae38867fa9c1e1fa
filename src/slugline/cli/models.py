"""`slugline train`, `evaluate`, `predict`, `compare`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from slugline.cli.output import Json, print_comparison, print_json, print_metrics, print_table

Model = Annotated[
    str,
    typer.Argument(help="A run, its model folder, a checkpoint, any Hugging Face classifier folder, or a Hub name."),
]


def refuse_both(*, resume: bool, force: bool) -> None:
    """Going on and beginning anew exclude each other; guessed wrong, hours would be lost."""
    if resume and force:
        raise typer.BadParameter("--resume goes on, --force begins anew: give one of them.")


def train(
    recipe: Annotated[Path, typer.Argument(help="The recipe: a TOML file.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key.sub=value, any number.")] = None,
    run_dir: Annotated[Path | None, typer.Option(help="The run's own folder; by default runs/<name>.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    checkpoint: Annotated[Path | None, typer.Option(help="With --resume: go on from this checkpoint.")] = None,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="With --resume: although the recipe has changed.")
    ] = False,
    folds: Annotated[int, typer.Option(help="Cross-validate with this many folds: short for train.folds=K.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Begin anew in place of what stands in the folder.")] = False,
    as_json: Json = False,
) -> None:
    """Train, evaluate, and write the run."""
    from slugline import pipeline
    from slugline.recipe.recipe import read

    refuse_both(resume=bool(resume or checkpoint), force=force)
    resolved = read(recipe, [*(overrides or []), *([f"train.folds={folds}"] if folds else [])])
    run_dir = run_dir or Path("runs") / resolved.name
    try:
        run = pipeline.train(
            resolved, run_dir=run_dir, resume=checkpoint or resume, force=force, accept_changes=accept_changes
        )
    except KeyboardInterrupt:
        sys.stderr.write(f"\nInterrupted; {run_dir} keeps what is done. Go on with the same command and --resume.\n")
        raise
    if as_json:
        print_json({"run": str(run.path), **run.metrics, "diagnosis": run.diagnosis})
        return
    print_metrics({split: run.metrics[split] for split in run.scored_splits})
    typer.echo(f'{run.path} is complete; ask it: slugline predict {run.path} "a text"')


def evaluate(
    model: Model,
    data: Annotated[str, typer.Option(help="A known set or a path; by default the run's own data.")] = "",
    split: Annotated[
        str, typer.Option(help="train, validation or test; data without splits is scored whole.")
    ] = "test",
    text: Annotated[list[str] | None, typer.Option(help="With --data: its text column, or several.")] = None,
    label: Annotated[str, typer.Option(help="With --data: its label column.")] = "",
    as_json: Json = False,
) -> None:
    """Score a model on any data, also on data it never saw."""
    from slugline.pipeline import evaluate_on

    evaluation = evaluate_on(model, data=data, split=split, text=text or [], label=label)
    if as_json:
        print_json({evaluation.predictions.split: evaluation.metrics, "timing": evaluation.timing})
        return
    metrics = evaluation.metrics
    print_metrics({evaluation.predictions.split: metrics})
    print_table(
        ["class", "precision", "recall", "f1", "support"],
        [
            [name, *(f"{scores[key]:.4f}" for key in ("precision", "recall", "f1")), scores["support"]]
            for name, scores in metrics["per_class"].items()
        ],
    )


def predict(
    model: Model,
    texts: Annotated[list[str] | None, typer.Argument(help="Texts to classify.")] = None,
    input: Annotated[Path | None, typer.Option(help="CSV, TSV, JSONL, Parquet, or a text a line.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="CSV, TSV, JSONL or Parquet; every column of the input is kept.")
    ] = None,
    text_column: Annotated[
        list[str] | None, typer.Option("--text", help="Text column; by default the run's own.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Label and probability for each text; files of any size in constant memory."""
    from slugline import load
    from slugline.inference.files import predict_file, predict_texts

    if bool(texts) == bool(input) or bool(input) != bool(output):
        raise typer.BadParameter("give texts, or --input and --output together.")
    classifier = load(model)
    if input and output:
        count = predict_file(classifier, input, output, columns=text_column or [])
        typer.echo(f"{count:,} rows written to {output}")
        return
    found = predict_texts(classifier, texts or [])
    if as_json:
        print_json(found)
    else:
        print_table(
            ["label", "probability", "text"], [[a["label"], f"{a['probability']:.3f}", a["text"]] for a in found]
        )


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Two runs or more that were evaluated on the same rows.")],
    split: Annotated[str, typer.Option(help="Which of their predictions.")] = "test",
    as_json: Json = False,
) -> None:
    """Table with confidence intervals, and paired tests: better is said only where it is shown."""
    from slugline.pipeline import compare_runs

    comparison = compare_runs(runs, split=split)
    if as_json:
        print_json(comparison.to_dict())
        return
    print_comparison(comparison)
