"""`slugline evaluate` and `predict`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from slugline.cli.printing.layout import print_table
from slugline.cli.printing.output import Json, print_json
from slugline.cli.printing.scores import print_classes, print_metrics

Model = Annotated[
    str,
    typer.Argument(help="A run, its model folder, a checkpoint, a Hugging Face classifier folder, or a Hub name."),
]


class Unlabelled(StrEnum):
    """Treatment of rows without a label."""

    REFUSE = "refuse"
    DROP = "drop"


Encoding = Annotated[
    str, typer.Option(help="Encoding of the file: utf-8, cp1252, ...; by default guessed, and the guess is reported.")
]
Header = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header",
        help="Whether the first line of a table names its columns. Without a header they are 0, 1, ...; by default "
        "guessed.",
    ),
]
Delimiter = Annotated[
    str,
    typer.Option(
        help="Between the fields of a table: a character, or tab; none: each line is a text. By default guessed."
    ),
]


def evaluate(
    model: Model,
    data: Annotated[str, typer.Option(help="A known data set or a path; by default the data of the run.")] = "",
    split: Annotated[
        str, typer.Option(help="train, validation or test. If the data has no splits, all rows are scored.")
    ] = "test",
    text: Annotated[list[str] | None, typer.Option(help="With --data: its text column. May be repeated.")] = None,
    label: Annotated[str, typer.Option(help="With --data: its label column.")] = "",
    unlabelled: Annotated[
        Unlabelled, typer.Option(help="With --data: refuse or drop rows without a label.")
    ] = Unlabelled.REFUSE,
    keep_learned: Annotated[
        bool, typer.Option("--keep-learned", help="With --data: also score rows that the run has learned from.")
    ] = False,
    label_map: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL=CLASS",
            help="With --data: a label that has another name in the model, such as positive=LABEL_1. May be repeated.",
        ),
    ] = None,
    encoding: Encoding = "",
    header: Header = None,
    delimiter: Delimiter = "",
    as_json: Json = False,
) -> None:
    """Score a model on the data of its run, or on other data."""
    from slugline.data.reading.formats import Reading
    from slugline.pipeline import evaluate_on

    evaluation = evaluate_on(
        model,
        data,
        split=split,
        text=text or [],
        label=label,
        label_map=_pairs(label_map or []),
        unlabelled=unlabelled.value,
        reading=Reading(encoding, header, delimiter),
        learned="keep" if keep_learned else "drop",
    )
    if as_json:
        print_json({evaluation.predictions.split: evaluation.metrics, "timing": evaluation.timing})
        return
    metrics = evaluation.metrics
    print_metrics({evaluation.predictions.split: metrics})
    print_classes(metrics["per_class"])


def _pairs(given: list[str]) -> dict[str, str]:
    """Labels and classes of ``LABEL=CLASS``."""
    pairs = [each.partition("=") for each in given]
    wrong = [each for each, (label, _, name) in zip(given, pairs, strict=True) if not label or not name]
    if wrong:
        raise typer.BadParameter(f"give LABEL=CLASS, not {wrong[0]!r}.", param_hint="--label-map")
    return {label: name for label, _, name in pairs}


def predict(
    model: Model,
    texts: Annotated[list[str] | None, typer.Argument(help="Texts to classify.")] = None,
    input: Annotated[
        Path | None,
        typer.Option(
            help="File to classify: CSV, TSV, Excel, JSON, Parquet, Arrow, also compressed, or one text per line."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="File to write: CSV, TSV, JSONL or Parquet, with all columns of the input.")
    ] = None,
    text_column: Annotated[
        list[str] | None,
        typer.Option("--text", help="Text column of the input; by default that of the run. May be repeated."),
    ] = None,
    encoding: Encoding = "",
    header: Header = None,
    delimiter: Delimiter = "",
    level_threshold: Annotated[
        float, typer.Option(help="In a hierarchy, answer with the deepest level of at least this probability.")
    ] = 0.0,
    as_json: Json = False,
) -> None:
    """Predict the labels of texts, or of all rows of a file, with their probabilities."""
    from slugline import load
    from slugline.data.reading.formats import Reading
    from slugline.inference.predict_files import predict_file, predict_texts

    if bool(texts) == bool(input) or bool(input) != bool(output):
        raise typer.BadParameter("give texts, or --input and --output together.")
    reading = Reading(encoding, header, delimiter)
    classifier = load(model)
    if input and output:
        count = predict_file(
            classifier,
            input,
            output,
            columns=text_column or [],
            reading=reading,
            level_threshold=level_threshold,
        )
        typer.echo(f"{count:,} rows written to {output}")
        return
    predictions = predict_texts(classifier, texts or [], level_threshold=level_threshold)
    if as_json:
        print_json(predictions)
        return
    levels = [level["level"] for level in predictions[0].get("levels", ())] if predictions else []
    print_table(
        ["label", "probability", *levels, "text"],
        [
            [
                _shown(each["label"]),
                f"{each['probability']:.3f}",
                *(f"{level['probability']:.3f}" for level in each.get("levels", ())),
                each["text"],
            ]
            for each in predictions
        ],
    )


def _shown(label: str | list[str]) -> str:
    from slugline.core.labels import joined_labels

    return label if isinstance(label, str) else joined_labels(tuple(label))
