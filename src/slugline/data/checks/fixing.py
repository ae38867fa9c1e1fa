"""`fixed`: a data set without some problems; `write_fixed`: its copy, with a list of all changes.

A new fix is a function and one row of `FIXES`. No fix removes a row of test.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from slugline.core.errors import DataError, nearest
from slugline.core.labels import joined_labels
from slugline.core.storage import replacing
from slugline.data.checks.checked_rows import CheckedRows
from slugline.data.checks.labels.noise import suspected_labels
from slugline.data.checks.texts import encodings, lengths, repeated
from slugline.data.dataset import TextDataset
from slugline.data.prepared import write_dataset
from slugline.data.preparing.row_ids import fingerprint
from slugline.data.reading.places.folders import CHANGES
from slugline.data.reading.raw_data import SPLIT_NAMES

#: Indices of rows that are removed, with the reason in words.
Removals = Iterator[tuple[int, str]]


@dataclass(frozen=True)
class Fix:
    """A fix of one kind of findings; it has one of ``removals`` and ``repair``.

    Args:
        about: what it does, in words.
        removals: function from rows to those that are removed; rows of test stay in any case.
        repair: function from a text to the repaired text, for all rows that stay.
        is_default: True for a fix that needs no decision by a person.
    """

    about: str
    removals: Callable[[CheckedRows], Removals] | None = None
    repair: Callable[[str], str] | None = None
    is_default: bool = True


def _leaks(rows: CheckedRows) -> Removals:
    for index, other in repeated.leaked_rows(rows):
        yield index, f"same text as {rows.ids[other]} in {rows.splits[other]}"


def _repetitions(rows: CheckedRows) -> Removals:
    for index, first in repeated.repeated_rows(rows):
        yield index, f"same text and labels as {rows.ids[first]}"


def _empty_texts(rows: CheckedRows) -> Removals:
    for index in lengths.blank_rows(rows):
        yield index, "empty text"


def _conflicts(rows: CheckedRows) -> Removals:
    for group in repeated.conflicting_groups(rows):
        labels = " / ".join(sorted({f"[{joined_labels(rows.labels[index])}]" for index in group}))
        for index in group:
            yield index, f"one text with different labels: {labels}"


def _near_leaks(rows: CheckedRows) -> Removals:
    for index, other in repeated.nearly_leaked_rows(rows):
        yield index, f"nearly the same text as {rows.ids[other]} in {rows.splits[other]}"


def _label_noise(rows: CheckedRows) -> Removals:
    for suspect in suspected_labels(rows):
        yield suspect.index, f"label probably wrong; suggested: [{joined_labels(suspect.suggested)}]"


_FROM_TRAIN = "removes the row of train, or of validation if the other one is in test"

#: Kind of a finding -> its fix.
FIXES: dict[str, Fix] = {
    "leak": Fix(_FROM_TRAIN, _leaks),
    "repetition": Fix("removes all but the row with the smallest id, outside test", _repetitions),
    "empty text": Fix("removes the row, outside test", _empty_texts),
    "conflict": Fix("removes all rows of such a text, outside test", _conflicts, is_default=False),
    "near leak": Fix(_FROM_TRAIN, _near_leaks, is_default=False),
    "label noise": Fix("removes the row, outside test", _label_noise, is_default=False),
    "mojibake": Fix("repairs the characters, in every split", repair=encodings.repaired),
    "control character": Fix("removes the characters, in every split", repair=encodings.without_control_characters),
}


def chosen_fixes(kinds: Collection[str] = ()) -> list[str]:
    """Return the names of fixes.

    Args:
        kinds: fixes that a user wants beside those that need no decision. Hyphens stand for blanks: ``label-noise``.

    Returns:
        Names of `FIXES`, in its order.

    Raises:
        DataError: there is no fix of a name.
    """
    wanted = {known_name(kind, FIXES) for kind in kinds}
    return [name for name, fix in FIXES.items() if fix.is_default or name in wanted]


def known_name(name: str, known: Collection[str]) -> str:
    """Return the name in a collection that is meant by one with hyphens.

    Args:
        name: name as given: ``near-leak``.
        known: names with blanks.

    Returns:
        One of the names.

    Raises:
        DataError: there is none of this name.
    """
    plain = " ".join(name.replace("-", " ").split()).lower()
    if plain not in known:
        names = [each.replace(" ", "-") for each in known]
        raise DataError(
            f"there is no kind {name!r} here.{nearest(name, names)}",
            hint=f"Kinds: {', '.join(names)}.",
        )
    return plain


@dataclass(frozen=True)
class FixedRow:
    """A line of the list of changes.

    Args:
        id: row id.
        split: split of the row.
        action: ``removed`` or ``changed``.
        kind: kind of the finding.
        reason: why, in words.
        labels: labels of the row.
        text: text of the row before.
        new_text: text of the row afterwards; None if it was removed.
    """

    id: str
    split: str
    action: Literal["removed", "changed"]
    kind: str
    reason: str
    labels: tuple[str, ...]
    text: str
    new_text: str | None


def fixed(rows: CheckedRows, kinds: Collection[str]) -> tuple[TextDataset, list[FixedRow]]:
    """Remove rows and repair texts. Test keeps all its rows.

    Args:
        rows: rows to fix.
        kinds: names of `FIXES`.

    Returns:
        The fixed data set, and the changes. A row that several fixes would remove is listed under the first one.

    Raises:
        DataError: no row of a split would be left.
    """
    # Repairs come first: two texts may be the same only after them.
    texts = list(rows.originals)
    changed: list[tuple[int, FixedRow]] = []
    for index, text in enumerate(rows.originals):
        for kind, before, after in _repairs(text, kinds):
            changed.append((index, _line(rows, index, kind, FIXES[kind].about, before=before, after=after)))
            texts[index] = after
    repaired = CheckedRows(_with_changes(rows, set(), texts), rows.options) if changed else rows
    removed: dict[int, FixedRow] = {}
    for kind in kinds:
        fix = FIXES[kind]
        for index, reason in fix.removals(repaired) if fix.removals else ():
            if index not in removed and rows.splits[index] != "test":
                removed[index] = _line(rows, index, kind, reason, before=rows.originals[index])
    changes = [*removed.values(), *(line for index, line in changed if index not in removed)]
    return _with_changes(rows, removed, texts), changes


def _repairs(text: str, kinds: Collection[str]) -> Iterator[tuple[str, str, str]]:
    """Each repair of a text: kind, text before, text afterwards. After one repair there may be another."""
    start = None
    while text != start:
        start = text
        for kind in kinds:
            repair = FIXES[kind].repair
            if repair and (better := repair(text)) != text:
                yield kind, text, better
                text = better


def _line(rows: CheckedRows, index: int, kind: str, reason: str, *, before: str, after: str | None = None) -> FixedRow:
    return FixedRow(
        id=rows.ids[index],
        split=rows.splits[index],
        action="removed" if after is None else "changed",
        kind=kind,
        reason=reason,
        labels=rows.labels[index],
        text=before,
        new_text=after,
    )


def _with_changes(rows: CheckedRows, removed: Collection[int], texts: Sequence[str]) -> TextDataset:
    import datasets
    import pyarrow as pa

    dataset = rows.dataset
    splits = {}
    fingerprints = []
    for split in rows.split_names:
        own = rows.rows_of(split)
        kept = [index for index in own if index not in removed]
        if not kept and len(own):
            raise DataError(
                f"the fixes would remove every row of {split}, so that nothing is written.",
                hint="Look at the findings: the splits of the source have the same texts.",
            )
        labels = dataset.splits[split].select([index - own.start for index in kept])["label"][:]
        ids, new_texts = [rows.ids[index] for index in kept], [texts[index] for index in kept]
        column = pa.array(labels, dataset.splits[split].data.schema.field("label").type)
        table = pa.table({"id": pa.array(ids, pa.string()), "text": pa.array(new_texts, pa.string()), "label": column})
        splits[split] = datasets.Dataset(table)
        fingerprints.append(fingerprint(ids, new_texts, labels))
    identity: tuple[Any, ...] = (list(splits), fingerprints, [len(table) for table in splits.values()])
    return replace(
        dataset,
        splits=splits,
        fingerprint=fingerprint(*identity, classes=dataset.labels.names),
        former_fingerprint=fingerprint(*identity),
        findings=(),
    )


def refuse_folder(folder: Path) -> None:
    """Refuse a folder for a copy before the checks, which may take minutes.

    Args:
        folder: folder to write into; an earlier copy in it is replaced if it is of the same data.

    Raises:
        DataError: the folder is a file, or has data that is no copy.
    """
    hint = "Choose another folder with --out."
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is a file.", hint=hint)
    data = [file for file in sorted(folder.glob("*")) if file.stem in SPLIT_NAMES]
    if data and not (folder / CHANGES).is_file():
        raise DataError(f"{folder}: {data[0].name} already exists.", hint=hint)


def write_fixed(
    dataset: TextDataset, changes: Collection[FixedRow], folder: Path, *, format: Literal["jsonl", "parquet"]
) -> list[Path]:
    """Write a fixed data set as a prepared set, with the list of changes.

    Args:
        dataset: fixed data set.
        changes: its changes.
        folder: folder to write into.
        format: format of the split files.

    Returns:
        The written files.

    Raises:
        DataError: the folder has other data.
        RunError: the disk is full or not writable.
    """
    written = write_dataset(dataset, folder, format=format)
    path = folder / CHANGES
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for change in changes:
            file.write(json.dumps(asdict(change), ensure_ascii=False) + "\n")
    return [*written, path]
