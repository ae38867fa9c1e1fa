"""Classified texts: a few at a time for people, or files of any size in constant memory."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import DataError
from slugline.core.progress import track
from slugline.core.storage import replacing
from slugline.data.reading.columns import choose_text_columns, join_text
from slugline.data.reading.formats import Row, read_rows, replace_surrogates
from slugline.inference.classifier import Classifier

#: Columns that are added to every row of a file.
ADDED = ("predicted", "confidence")

#: Rows that are held in memory together.
ROWS_AT_ONCE = 4_096

Write = Callable[[list[Row]], None]


def predict_texts(classifier: Classifier, texts: Sequence[str]) -> list[dict[str, Any]]:
    """What a classifier says of some texts.

    Args:
        classifier: as `load` gives it.
        texts: N texts.

    Returns:
        For each text its ``label``, that label's ``probability``, and ``probabilities`` of all by name.
    """
    names = classifier.labels.names
    texts = [replace_surrogates(text) for text in texts]  # a byte of the command line that is not UTF-8 becomes one
    return [
        {
            "text": text,
            "label": names[int(row.argmax())],
            "probability": float(row.max()),
            "probabilities": dict(zip(names, row.tolist(), strict=True)),
        }
        for text, row in zip(texts, classifier.predict_proba(texts), strict=True)
    ]


def predict_file(classifier: Classifier, source: Path, target: Path, *, columns: Sequence[str] = ()) -> int:
    """Classify every row of a file, in constant memory; the target appears when it is whole.

    Args:
        classifier: as `load` gives it.
        source: CSV, TSV, JSON lines, Parquet, or a text a line.
        target: CSV, TSV, JSON lines or Parquet; every column of the source, then `ADDED`.
        columns: that hold the text; by default those that the classifier was trained on, or a guess.

    Returns:
        The number of rows.

    Raises:
        DataError: the source cannot be read, lacks a column, has one of `ADDED`, or one that a target that is a table
            does not have yet; or the target is of an unknown kind.
    """
    suffix = target.suffix.lower()
    if suffix not in WRITERS:
        raise DataError(f"{target}: cannot write {suffix or 'this'}.", hint=f"Kinds that can: {', '.join(WRITERS)}.")
    rows = read_rows(source)
    first = list(islice(rows, ROWS_AT_ONCE))
    known = list(dict.fromkeys(column for row in first for column in row))
    chosen = choose_text_columns(first, columns, classifier.text_columns, where=str(source))
    count = 0
    with (
        track("predicting", unit="rows") as advance,
        replacing(target) as temporary,
        WRITERS[suffix](temporary, [*known, *ADDED], str(source)) as write,
    ):
        for window in _windows(chain(first, rows)):
            _require_free_columns(window, str(source))
            probabilities = classifier.predict_proba([join_text(row, chosen) for row in window])
            write(_with_predictions(window, probabilities, classifier.labels.names))
            count += len(window)
            advance(len(window))
    return count


def _windows(rows: Iterable[Row]) -> Iterator[list[Row]]:
    remaining = iter(rows)
    while window := list(islice(remaining, ROWS_AT_ONCE)):
        yield window


def _require_free_columns(rows: list[Row], where: str) -> None:
    taken = [name for name in ADDED if any(name in row for row in rows)]
    if taken:
        raise DataError(
            f"{where}: has a column {taken[0]!r} already, which is where the answers go.", hint="Rename the column."
        )


def _require_columns(rows: list[Row], columns: list[str], where: str) -> None:
    """A table has the columns of its first rows, and no others later."""
    known = set(columns)
    new = [name for row in rows if not row.keys() <= known for name in row if name not in known]
    if new:
        raise DataError(
            f"{where}: column {new[0]!r} comes up only after the first {ROWS_AT_ONCE:,} rows.",
            hint="Write JSON lines, which take any row.",
        )


def _with_predictions(rows: list[Row], probabilities: NDArray[np.float64], names: tuple[str, ...]) -> list[Row]:
    best = probabilities.argmax(axis=1)
    return [
        row | {"predicted": names[index], "confidence": float(probabilities[number, index])}
        for number, (row, index) in enumerate(zip(rows, best.tolist(), strict=True))
    ]


@contextmanager
def _csv_writer(path: Path, columns: list[str], where: str, *, delimiter: str = ",") -> Iterator[Write]:
    with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
        writer = csv.DictWriter(file, columns, delimiter=delimiter, lineterminator="\n")
        writer.writeheader()

        def write(rows: list[Row]) -> None:
            _require_columns(rows, columns, where)
            writer.writerows(rows)

        yield write


@contextmanager
def _tsv_writer(path: Path, columns: list[str], where: str) -> Iterator[Write]:
    with _csv_writer(path, columns, where, delimiter="\t") as write:
        yield write


@contextmanager
def _jsonl_writer(path: Path, columns: list[str], where: str) -> Iterator[Write]:
    """Every row has what it had; dates, decimals and bytes out of Parquet files are written as text."""
    with path.open("w", encoding="utf-8", errors="replace") as file:
        yield lambda rows: file.writelines(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)


@contextmanager
def _parquet_writer(path: Path, columns: list[str], where: str) -> Iterator[Write]:
    """The first rows decide the types of the columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: pq.ParquetWriter | None = None

    def write(rows: list[Row]) -> None:
        nonlocal writer
        _require_columns(rows, columns, where)
        whole = [{column: row.get(column) for column in columns} for row in rows]  # pyarrow asks the first row only
        try:
            table = pa.Table.from_pylist(whole, schema=writer.schema if writer else None)
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


#: Suffix -> how such a file is written.
WRITERS = {".csv": _csv_writer, ".tsv": _tsv_writer, ".jsonl": _jsonl_writer, ".parquet": _parquet_writer}
