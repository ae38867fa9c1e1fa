"""Row ids and fingerprints: pure functions of the contents of the rows."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from slugline.core.errors import DataError, nearest
from slugline.core.labels import Split

#: Test is cut before validation, so that the test rows do not depend on validation_fraction.
CUT_ORDER: tuple[Split, ...] = ("test", "validation")


def row_ids(rows: Mapping[Split, Sequence[Mapping[str, object]]], *, column: str = "") -> dict[Split, list[str]]:
    """Return the ids of rows.

    Args:
        rows: rows by split, as read, with all columns.
        column: column with the ids; empty = ids are hashes of the contents.

    Returns:
        Ids by split: the values of the column, or the first 16 hex digits of each row's SHA-256. Repeated rows get the
        suffixes ``-2``, ``-3``. Test rows are numbered first, then validation, then train: new train rows change no id
        of test.

    Raises:
        DataError: the column does not exist, has empty values, or repeats a value within a split.
    """
    return joint_row_ids([("", rows, column)])[0]


def joint_row_ids(
    sources: Sequence[tuple[str, Mapping[Split, Sequence[Mapping[str, object]]], str]],
) -> list[dict[Split, list[str]]]:
    """Return the ids of the rows of several sources, unique over all sources.

    Args:
        sources: address, rows by split, and id column (or empty) of each source. Repetitions are counted in the order
            of the addresses, so that the ids do not depend on the order of the sources.

    Returns:
        Ids by source and split, as in `row_ids`. An id from a column also gets ``-2`` if another source has it.

    Raises:
        DataError: a column does not exist, has empty values, or repeats a value within a split.
    """
    _, rows, column = sources[0]
    if column and len(sources) == 1:
        return [{split: _ids_from_column(split, rows[split], column) for split in rows}]
    ids: list[dict[Split, list[str]]] = [{} for _ in sources]
    seen: Counter[str] = Counter()
    for split in (*CUT_ORDER, "train"):
        for number in sorted(range(len(sources)), key=lambda number: sources[number][0]):
            _, rows, column = sources[number]
            if split in rows:
                names = _ids_from_column(split, rows[split], column) if column else map(_digest, rows[split])
                ids[number][split] = [_unique_id(name, seen) for name in names]
    return [
        {split: ids_by_split[split] for split in rows} for (_, rows, _), ids_by_split in zip(sources, ids, strict=True)
    ]


def _digest(row: Mapping[str, object]) -> str:
    canonical = json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _unique_id(name: str, seen: Counter[str]) -> str:
    """Return the name, with a number if the name was seen before."""
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
            hint=f"Columns: {', '.join(rows[0])}.",
        )
    ids = ["" if row.get(column) is None else str(row[column]) for row in rows]
    if "" in ids:
        raise DataError(f"data.id: row {ids.index('') + 1} of {split} has no {column!r}.", hint="Omit data.id.")
    repeated = [name for name, count in Counter(ids).items() if count > 1]
    if repeated:
        raise DataError(
            f"data.id: {column!r} has repeated values in {split}: {len(repeated):,}, among them {repeated[0]!r}.",
            hint="Choose a column with unique values, or omit data.id.",
        )
    return ids


def fingerprint(
    ids: Iterable[str], texts: Iterable[str], labels: Iterable[object], *, classes: Sequence[str] = ()
) -> str:
    """Return a checksum of rows in their order.

    Args:
        ids: (N,) ids of the rows.
        texts: (N,) texts.
        labels: (N,) labels.
        classes: names of the classes that the labels are indices into.

    Returns:
        SHA-256 as hex.
    """
    digest = hashlib.sha256()
    for row in (*zip(ids, texts, labels, strict=True), *([classes] if classes else [])):
        digest.update(json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
    return digest.hexdigest()
