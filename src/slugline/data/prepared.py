"""Prepared sets: a data set written so that it reads back as it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from slugline.core.errors import DataError
from slugline.core.labels import Split
from slugline.core.storage import replacing
from slugline.data.dataset import TextDataset
from slugline.data.reading.paths import METADATA, class_files, read_metadata
from slugline.data.reading.raw_data import SPLIT_NAMES


def write_dataset(dataset: TextDataset, folder: Path, *, format: Literal["jsonl", "parquet"] = "jsonl") -> list[Path]:
    """Write a prepared set: one file a split, and metadata.json, which names the columns and the classes.

    Reading the folder through ``data.path`` gives the same ids, texts, labels and splits.

    Args:
        dataset: what to write.
        folder: made where it is not there.
        format: of the split files.

    Returns:
        The files written.

    Raises:
        DataError: the folder holds other data, which would be overwritten or read as well.
        RunError: the disk is full or cannot be written.
    """
    targets = {split: folder / f"{split}.{format}" for split in dataset.splits}
    _require_room(dataset, folder, [*targets.values(), folder / METADATA])
    for split, path in targets.items():
        with replacing(path) as temporary:
            _write_rows(dataset, split, temporary, format)
    with replacing(folder / METADATA) as temporary:
        text = json.dumps(_metadata(dataset), ensure_ascii=False, indent=2)
        temporary.write_text(text + "\n", encoding="utf-8")
    return [*targets.values(), folder / METADATA]


def _require_room(dataset: TextDataset, folder: Path, targets: Sequence[Path]) -> None:
    """The only files that may be written over are those of the same data, written before."""
    hint = "Write into an empty folder."
    others = [file for file in sorted(folder.glob("*")) if file.stem in SPLIT_NAMES and file not in targets]
    others += [file.parent for file in class_files(folder)[:1]]
    if others:
        raise DataError(f"{folder}: {others[0].name} is there already and would be read with the new files.", hint=hint)
    there = [target for target in targets if target.exists()]
    if there and read_metadata(folder).get("fingerprint") != dataset.fingerprint:
        raise DataError(f"{folder}: {there[0].name} is there already and holds other data.", hint=hint)


def _write_rows(dataset: TextDataset, split: Split, path: Path, format: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    part = dataset[split]
    names = dataset.labels.decode(part["label"][:])
    columns = {"id": part["id"][:], "text": part["text"][:], "label": names}
    if format == "parquet":
        pq.write_table(pa.table(columns), path, compression="zstd")
        return
    with path.open("w", encoding="utf-8") as file:
        for values in zip(*columns.values(), strict=True):
            file.write(json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False) + "\n")


def _metadata(dataset: TextDataset) -> dict[str, Any]:
    values = dataset.to_manifest()
    return {
        "name": values["name"],
        "task": "single-label",
        "classes": values["labels"],
        "splits": values["rows"],
        "label_distribution": {split: dataset.class_counts(split) for split in dataset.splits},
        "columns": {"id": "id", "text": ["text"], "label": "label"},
        "source": values["url"],
        "url": values["url"],
        "revision": values["revision"],
        "licence": values["licence"],
        "fingerprint": values["fingerprint"],
        "clean": values["clean"],
        "notes": [finding.message for finding in dataset.findings],
    }
