"""Row ids and fingerprints: pure functions of the contents of the rows."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from json.encoder import encode_basestring

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import DataError, nearest
from slugline.core.labels import Split
from slugline.data.tables.digests import text_digests
from slugline.data.tables.rows import Rows
from slugline.data.tables.table import BATCH_ROWS

#: Test is cut before validation, so that the test rows do not depend on validation_fraction.
CUT_ORDER: tuple[Split, ...] = ("test", "validation")


_JSON = json.JSONEncoder(ensure_ascii=False)

#: Ids of an id column that may be equal to a numbered id.
NUMBERED = re.compile(r"-[0-9]+\Z")


class RowIds(Iterable[str]):
    """The ids of N rows: hashes of the contents, or the values of a column. They are made when they are read.

    Args:
        rows: N rows as read.
        column: column with the ids; empty = hashes of the contents.
        numbered: ids with a number, which differ from the others' form, by the number of the row.
    """

    def __init__(self, rows: Rows, column: str = "", numbered: Mapping[int, str] | None = None) -> None:
        self._rows = rows
        self._column = column
        self._numbered = numbered or {}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[str]:
        names = self._from_column() if self._column else self._from_digests()
        if not self._numbered:
            return names
        return (self._numbered.get(index, name) for index, name in enumerate(names))

    @property
    def digests(self) -> NDArray[np.uint64]:
        """(N,) hashes of the contents of the rows."""
        return self._rows.digests

    def hashes_at(self, indices: Sequence[int]) -> Iterator[tuple[int, str]]:
        """Yield some indices, each with the hash of the contents of its row as an id."""
        return zip(indices, map("{:016x}".format, self.digests[indices].tolist()), strict=True)

    def _from_column(self) -> Iterator[str]:
        return ("" if value is None else str(value) for value in self._rows.values(self._column))

    def _from_digests(self) -> Iterator[str]:
        digests = self._rows.digests
        for start in range(0, len(digests), BATCH_ROWS):
            digits = digests[start : start + BATCH_ROWS].astype(">u8").tobytes().hex()
            yield from (digits[first : first + 16] for first in range(0, len(digits), 16))


def row_ids(rows: Mapping[Split, Rows], *, column: str = "") -> dict[Split, RowIds]:
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


def joint_row_ids(sources: Sequence[tuple[str, Mapping[Split, Rows], str]]) -> list[dict[Split, RowIds]]:
    """Return the ids of the rows of several sources, unique over all sources.

    Args:
        sources: address, rows by split, and id column (or empty) of each source. Repetitions are counted in the order
            of the addresses, so that the ids do not depend on the order of the sources.

    Returns:
        Ids by source and split, as in `row_ids`. An id from a column also gets ``-2`` if another source has it.

    Raises:
        DataError: a column does not exist, has empty values, or repeats a value within a split.
    """
    ids = [{split: RowIds(rows[split], column) for split in rows} for _, rows, column in sources]
    for _, rows, column in sources:
        for split in rows if column else ():
            _check_id_column(split, rows[split], column)
    if len(sources) == 1 and sources[0][2]:
        return ids
    by_address = sorted(range(len(sources)), key=lambda number: sources[number][0])
    counted = [
        (number, split) for split in (*CUT_ORDER, "train") for number in by_address if split in sources[number][1]
    ]
    numbered = _numbered([ids[number][split] for number, split in counted], any(column for *_, column in sources))
    for (number, split), names in zip(counted, numbered, strict=True):
        _, rows, column = sources[number]
        ids[number][split] = RowIds(rows[split], column, names)
    return ids


def _numbered(parts: Sequence[RowIds], has_columns: bool) -> list[dict[int, str]]:
    """Number repeated names over all parts; return the names that change, by the number of the row in its part."""
    digests = [text_digests(part)[:, 0] if has_columns else part.digests for part in parts]
    repeated = _repeated(np.concatenate(digests)) if digests else np.empty(0, dtype=np.bool_)
    seen: Counter[str] = Counter()
    numbered: list[dict[int, str]] = []
    start = 0
    for part in parts:
        own = repeated[start : start + len(part)]
        start += len(part)
        numbered.append({})
        names = enumerate(part) if has_columns else part.hashes_at(np.flatnonzero(own).tolist())
        for index, name in names:
            if own[index] or NUMBERED.search(name):
                unique = _unique_id(name, seen)
                if unique != name:
                    numbered[-1][index] = unique
    return numbered


def _repeated(digests: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Tell which values occur more than once."""
    order = np.argsort(digests, kind="stable")
    is_equal = np.diff(digests[order]) == 0
    repeated = np.zeros(len(digests), dtype=np.bool_)
    repeated[order[1:][is_equal]] = True
    repeated[order[:-1][is_equal]] = True
    return repeated


def _unique_id(name: str, seen: Counter[str]) -> str:
    """Return the name, with a number if the name was seen before."""
    numbered = name
    while numbered in seen:
        seen[name] += 1
        numbered = f"{name}-{seen[name]}"
    seen[numbered] = 1
    return numbered


def _check_id_column(split: Split, rows: Rows, column: str) -> None:
    """Refuse an id column that is missing, has empty values or repeats one."""
    if len(rows) and column not in rows[0]:
        first = rows[0]
        raise DataError(
            f"data.id is {column!r}, but the {split} rows have no such column.{nearest(column, list(first))}",
            hint=f"Columns: {', '.join(first)}.",
        )
    ids = RowIds(rows, column)
    empty = next((number for number, name in enumerate(ids, start=1) if not name), 0)
    if empty:
        raise DataError(f"data.id: row {empty} of {split} has no {column!r}.", hint="Omit data.id.")
    is_repeated = _repeated(text_digests(ids)[:, 0])
    if not is_repeated.any():
        return
    counts = Counter(name for name, candidate in zip(ids, is_repeated, strict=True) if candidate)
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        raise DataError(
            f"data.id: {column!r} has repeated values in {split}: {len(repeated):,}, among them {repeated[0]!r}.",
            hint="Choose a column with unique values, or omit data.id.",
        )


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
    rows = zip(ids, texts, labels, strict=True)
    while batch := list(islice(rows, BATCH_ROWS)):
        encoded = [label if type(label) is int else _JSON.encode(label) for *_, label in batch]
        lines = [
            f"[{encode_basestring(name)}, {encode_basestring(text)}, {label}]"
            for (name, text, _), label in zip(batch, encoded, strict=True)
        ]
        digest.update("\n".join([*lines, ""]).encode("utf-8", "surrogatepass"))
    if classes:
        digest.update(_JSON.encode(classes).encode("utf-8", "surrogatepass") + b"\n")
    return digest.hexdigest()
