"""Predictions for a few texts, or for files of any size in constant memory."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import DataError
from slugline.core.progress import track
from slugline.core.storage import replacing
from slugline.data.reading.columns import choose_text_columns
from slugline.data.reading.formats import GUESSED, Reading, Row, read_rows, replace_surrogates
from slugline.data.reading.texts import join_text
from slugline.inference.classifier import Classifier
from slugline.inference.paths import check_level_threshold, level_answers, stop_at

#: Columns that are added to every row of a file.
PREDICTED = "predicted"
ADDED = (PREDICTED, "confidence")

#: Between the labels of a text in CSV and TSV, which have no lists.
LABEL_DELIMITER = "|"

#: Rows that are in memory at the same time.
ROWS_AT_ONCE = 4_096

Write = Callable[[list[Row]], None]


def predict_texts(
    classifier: Classifier, texts: Sequence[str], *, level_threshold: float = 0.0
) -> list[dict[str, Any]]:
    """Predict the labels of texts.

    Args:
        classifier: classifier from `load`.
        texts: N texts.
        level_threshold: in a hierarchy, the answer is the deepest level with at least this probability; 0 = the leaf.

    Returns:
        For each text: ``text``, the predicted ``label``, its ``probability``, and ``probabilities`` by class name. In a
        ``multi`` set the label is a list of names, and the probability that of the least certain decision. In a
        hierarchy there are also ``levels``: the answer of each level.

    Raises:
        DataError: a level threshold is given, but the label set has no levels.
    """
    labels = classifier.labels
    check_level_threshold(labels, level_threshold)
    texts = [replace_surrogates(text) for text in texts]  # the shell may pass bytes that are not UTF-8; shown below
    probabilities = classifier.predict_proba(texts)
    answers = _answers(classifier, probabilities, level_threshold)
    predictions: list[dict[str, Any]] = [
        {
            "text": text,
            "label": label,
            "probability": confidence,
            "probabilities": dict(zip(labels.names, row.tolist(), strict=True)),
        }
        for text, row, (label, confidence) in zip(texts, probabilities, answers, strict=True)
    ]
    if labels.kind == "hierarchical":
        for prediction, levels in zip(predictions, level_answers(labels, probabilities), strict=True):
            prediction["levels"] = [asdict(answer) for answer in levels]
    return predictions


def _answers(
    classifier: Classifier, probabilities: NDArray[np.float64], level_threshold: float
) -> list[tuple[str | list[str], float]]:
    """The label of each text, as JSON holds it, and its confidence."""
    if level_threshold:
        stops = [stop_at(levels, level_threshold) for levels in level_answers(classifier.labels, probabilities)]
        return [(answer.path, answer.probability) for answer in stops]
    decided = map(classifier.labels.plain, classifier.decide(probabilities))
    return list(zip(decided, classifier.confidence(probabilities).tolist(), strict=True))


def predict_file(
    classifier: Classifier,
    source: str | Path,
    target: str | Path,
    *,
    columns: Sequence[str] = (),
    reading: Reading = GUESSED,
    level_threshold: float = 0.0,
) -> int:
    """Classify every row of a file, in constant memory. After an error there is no target file.

    Args:
        classifier: classifier from `load`.
        source: input file, of any format that `read_rows` reads; a text file has one text per line.
        target: output file: CSV, TSV, JSON lines or Parquet, with all columns of the source, then `ADDED`. The labels
            of a ``multi`` set are a list, joined by `LABEL_DELIMITER` in CSV and TSV.
        columns: text columns; by default those that the classifier was trained on, or a guess.
        reading: encoding, header and delimiter of the source, as far as the user states them.
        level_threshold: as in `predict_texts`.

    Returns:
        The number of rows.

    Raises:
        DataError: the source cannot be read, its first line may be a header or a row, a text column is missing, a
            column of the source is in `ADDED`, a column first occurs too late for a table, the format of the target is
            unknown, or it is the source itself; or a level threshold is given, but the label set has no levels.
    """
    check_level_threshold(classifier.labels, level_threshold)
    source, target = Path(source), Path(target)
    suffix = target.suffix.lower()
    if suffix not in WRITERS:
        raise DataError(
            f"{target}: cannot write {suffix or 'files without a suffix'}.", hint=f"Use one of: {', '.join(WRITERS)}."
        )
    if target.exists() and target.resolve() == source.resolve():
        raise DataError(f"{target} is the input too, and would be overwritten.", hint="Choose another output file.")
    needed = tuple(columns or classifier.text_columns)
    rows = read_rows(source, replace(reading, columns=needed, needs_known_header=not needed))
    first = list(islice(rows, ROWS_AT_ONCE))
    source_columns = list(dict.fromkeys(column for row in first for column in row))
    text_columns = choose_text_columns(first, columns, classifier.text_columns, where=str(source))
    count = 0
    with (
        track("predicting", unit="rows") as advance,
        replacing(target) as temporary,
        WRITERS[suffix](temporary, [*source_columns, *ADDED], str(source)) as write,
    ):
        for chunk in _chunks(chain(first, rows)):
            _require_free_columns(chunk, str(source))
            texts = [
                join_text(row, text_columns, locate=partial("{}, row {}".format, source, count + index))
                for index, row in enumerate(chunk, start=1)
            ]
            probabilities = classifier.predict_proba(texts)
            write(_with_predictions(chunk, _answers(classifier, probabilities, level_threshold)))
            count += len(chunk)
            advance(len(chunk))
    return count


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    remaining = iter(rows)
    while chunk := list(islice(remaining, ROWS_AT_ONCE)):
        yield chunk


def _require_free_columns(rows: list[Row], where: str) -> None:
    taken = [name for name in ADDED if any(name in row for row in rows)]
    if taken:
        raise DataError(
            f"{where}: has a column {taken[0]!r}, but predictions are written to a column of this name.",
            hint="Rename the column.",
        )


def _require_columns(rows: list[Row], columns: list[str], where: str) -> None:
    """Refuse rows with columns that the header of the table lacks."""
    known = set(columns)
    new = [name for row in rows if not row.keys() <= known for name in row if name not in known]
    if new:
        raise DataError(
            f"{where}: column {new[0]!r} first occurs after row {ROWS_AT_ONCE:,}, too late for the header of a table.",
            hint="Write JSON lines, which have no header.",
        )


def _with_predictions(rows: list[Row], answers: Sequence[tuple[str | list[str], float]]) -> list[Row]:
    return [
        row | {PREDICTED: label, "confidence": confidence}
        for row, (label, confidence) in zip(rows, answers, strict=True)
    ]


def _as_cell(value: Any) -> Any:
    """Lists of labels as one cell."""
    return LABEL_DELIMITER.join(value) if isinstance(value, list) else value


@contextmanager
def _csv_writer(path: Path, columns: list[str], where: str, *, delimiter: str = ",") -> Iterator[Write]:
    with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
        writer = csv.DictWriter(file, columns, delimiter=delimiter, lineterminator="\n")
        writer.writeheader()

        def write(rows: list[Row]) -> None:
            _require_columns(rows, columns, where)
            writer.writerows({**row, PREDICTED: _as_cell(row[PREDICTED])} for row in rows)

        yield write


@contextmanager
def _tsv_writer(path: Path, columns: list[str], where: str) -> Iterator[Write]:
    with _csv_writer(path, columns, where, delimiter="\t") as write:
        yield write


@contextmanager
def _jsonl_writer(path: Path, columns: list[str], where: str) -> Iterator[Write]:
    """Rows may have different columns; dates, decimals and bytes from Parquet files are written as text."""
    with path.open("w", encoding="utf-8", errors="replace") as file:
        yield lambda rows: file.writelines(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)


@contextmanager
def _parquet_writer(path: Path, columns: list[str], where: str) -> Iterator[Write]:
    """The first chunk of rows determines the types of the columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: pq.ParquetWriter | None = None

    def write(rows: list[Row]) -> None:
        nonlocal writer
        _require_columns(rows, columns, where)
        # pyarrow takes the names of the columns from the first row only.
        complete = [{column: row.get(column) for column in columns} for row in rows]
        try:
            table = pa.Table.from_pylist(complete, schema=writer.schema if writer else None)
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
            reason = str(error).partition("\n")[0].rstrip(".")
            raise DataError(
                f"{where}: a column has values of several types, which Parquet cannot hold ({reason}).",
                hint="Write JSON lines or CSV.",
            ) from error

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()


#: Suffix -> context manager that opens a file and yields a function to write rows.
WRITERS = {".csv": _csv_writer, ".tsv": _tsv_writer, ".jsonl": _jsonl_writer, ".parquet": _parquet_writer}
