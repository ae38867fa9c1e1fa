"""."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from slugline.core.errors import DataError, nearest
from slugline.core.labels import Split

#: Own splits are cut in this order, so that another validation_fraction keeps the test rows.
CUT_FIRST: tuple[Split, ...] = ("test", "validation")


def row_ids(rows: Mapping[Split, Sequence[Mapping[str, object]]], *, column: str = "") -> dict[Split, list[str]]:
    """Names for rows that depend on their contents only.

    Args:
        rows: by split, as read, with all their columns.
        column: the column that names the rows; empty = made from the contents.

    Returns:
        By split: 16 hex digits of the row's SHA-256, with ``-2``, ``-3`` for its repetitions, counted through test
        first, then validation, then train, so that rows added to train rename no test row.

    Raises:
        DataError: the column does not exist, is empty somewhere, or repeats within a split.
    """
    return joint_row_ids([("", rows, column)])[0]


def joint_row_ids(
    sources: Sequence[tuple[str, Mapping[Split, Sequence[Mapping[str, object]]], str]],
) -> list[dict[Split, list[str]]]:
    """`row_ids` of several sources, unique over all of them.

    Args:
        sources: of each its address, its rows by split, and the column that names them, if one does. Repetitions are
            counted in the order of addresses, so that the order of the sources renames nothing.

    Returns:
        By source and split, as `row_ids`. Names from a column get ``-2`` as well where another source has the name.

    Raises:
        DataError: a column does not exist, is empty somewhere, or repeats within a split.
    """
    _, rows, column = sources[0]
    if column and len(sources) == 1:
        return [{split: _ids_from_column(split, some, column) for split, some in rows.items()}]
    ids: list[dict[Split, list[str]]] = [{} for _ in sources]
    seen: Counter[str] = Counter()
    for split in (*CUT_FIRST, "train"):
        for number in sorted(range(len(sources)), key=lambda number: sources[number][0]):
            _, rows, column = sources[number]
            if split in rows:
                some = rows[split]
                names = _ids_from_column(split, some, column) if column else map(_digest, some)
                ids[number][split] = [_numbered(name, seen) for name in names]
    return [{split: some[split] for split in source[1]} for source, some in zip(sources, ids, strict=True)]


def _digest(row: Mapping[str, object]) -> str:
    canonical = json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _numbered(name: str, seen: Counter[str]) -> str:
    """The name itself the first time, then with a number that no other name ends in."""
    numbered = name
    while numbered in seen:
        seen[name] += 1
        numbered = f"{name}-{seen[name]}"
    seen[numbered] = 1
    return numbered


def _ids_from_column(split: Split, rows: Sequence[Mapping[str, object]], column: str) -> list[str]:
    if rows and column not in rows[0]:
        raise DataError(
            f"data.id is {column!r}, but the {split} rows have no such column.{nearest(column, list(rows[0]))}",
            hint=f"Columns there: {', '.join(rows[0])}.",
        )
    ids = ["" if row.get(column) is None else str(row[column]) for row in rows]
    if "" in ids:
        raise DataError(f"data.id: row {ids.index('') + 1} of {split} has no {column!r}.", hint="Leave data.id out.")
    repeated = [name for name, count in Counter(ids).items() if count > 1]
    if repeated:
        raise DataError(
            f"data.id: {column!r} names {len(repeated):,} {split} rows more than once, among them {repeated[0]!r}.",
            hint="Name a column whose values differ, or leave data.id out.",
        )
    return ids


def fingerprint(ids: Iterable[str], texts: Iterable[str], labels: Iterable[object]) -> str:
    """SHA-256, as hex, of rows in their order."""
    digest = hashlib.sha256()
    for row in zip(ids, texts, labels, strict=True):
        digest.update(json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
    return digest.hexdigest()
