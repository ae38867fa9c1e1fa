"""The result of a SQL query, run by DuckDB over files and databases: ``select ... from 'rows.parquet'``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

from slugline.core.errors import DataError, MissingExtra
from slugline.data.reading.raw_data import RawData, SourceFile, SourceInfo
from slugline.data.tables.rows import Row, Rows
from slugline.data.tables.table import BATCH_ROWS

if TYPE_CHECKING:
    import duckdb

#: Statements of a query before its last one, which is a select. Others could change files and databases.
PREPARING = ("ATTACH", "LOAD", "PRAGMA", "SET")

#: Characters of a query that a message shows.
SHOWN_CHARACTERS = 80


def read_query(query: str, folder: str) -> RawData:
    """Read the result of a query.

    Args:
        query: SQL of DuckDB: a select, after any number of ``attach``, ``load``, ``set`` and ``use``.
        folder: folder that relative paths of files start from; empty = the current folder.

    Returns:
        All rows of the result, in train.

    Raises:
        DataError: the query has another statement, fails, or returns no rows.
        MissingExtra: DuckDB is not installed.
    """
    if find_spec("duckdb") is None:
        raise MissingExtra("data.query", extra="query")
    import duckdb

    try:
        with duckdb.connect() as connection:
            connection.execute("set enable_progress_bar = false")
            if folder:
                escaped = folder.replace("'", "''")
                connection.execute(f"set file_search_path = '{escaped}'")
            *preparing, select = _statements(connection, query)
            for statement in preparing:
                connection.execute(statement)
            rows = Rows.write(_rows_of(connection.sql(select)))
    except (duckdb.Error, OSError) as error:
        raise _failed(query, str(error)) from error
    if not rows:
        raise DataError(f"data.query: {_shown(query)} returns no rows.", hint="Check its conditions.")
    digest = hashlib.sha256(query.encode()).hexdigest()[:16]
    return RawData({"train": rows}, SourceInfo("query", url=query, revision=digest), {"train": (_file(query, rows),)})


def _rows_of(result: duckdb.DuckDBPyRelation) -> Iterator[Row]:
    for batch in result.to_arrow_reader(BATCH_ROWS):
        yield from batch.to_pylist()


def _file(query: str, rows: Rows) -> SourceFile:
    return SourceFile(f"data.query {_shown(query)}", len(rows))


def _statements(connection: duckdb.DuckDBPyConnection, query: str) -> list[duckdb.Statement]:
    """The statements of a query; refuse those that could change data."""
    statements: list[duckdb.Statement] = connection.extract_statements(query)
    kinds = [statement.type.name for statement in statements]
    if not kinds or kinds[-1] != "SELECT":
        raise DataError(f"data.query: {_shown(query)} does not end with a select.", hint="End it with: select ...")
    refused = [kind for kind in kinds[:-1] if kind not in PREPARING]
    if refused:
        raise DataError(
            f"data.query: a query only reads; it cannot have the statement {refused[0].lower()}.",
            hint=f"Allowed before the select: {', '.join(PREPARING).lower()}. Subqueries (with ...) replace tables.",
        )
    return statements


def _failed(query: str, message: str) -> DataError:
    """The error of a query: the first line of DuckDB's message, and the names that it suggests."""
    lines = [line for line in message.splitlines() if line.strip()] or ["unknown error"]
    suggested = [line.strip() for line in lines if line.startswith(("Candidate bindings", "Did you mean"))]
    reason = "; ".join(line.rstrip(".!") for line in [lines[0], *suggested])
    hint = "Paths in a query start from the folder of the recipe; queries are in the SQL of DuckDB."
    if "extension" in reason.lower():
        hint = "DuckDB reads this kind of place with an extension, which it downloads; without a network, install it "
        hint += "beforehand, or write the rows into a Parquet file."
    return DataError(f"data.query: {_shown(query)}: {reason}.", hint=hint)


def _shown(query: str) -> str:
    flat = " ".join(query.split())
    return repr(flat if len(flat) <= SHOWN_CHARACTERS else flat[:SHOWN_CHARACTERS] + "...")
