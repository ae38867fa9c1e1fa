"""Prepared sets: data sets written to a folder, from which they are read without any change."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from slugline.core.errors import DataError
from slugline.core.labels import Split
from slugline.core.layouts import RunLayout, StudyLayout
from slugline.core.storage import replacing
from slugline.data.dataset import TextDataset
from slugline.data.reading.places.class_folders import class_files
from slugline.data.reading.places.folders import METADATA, read_metadata
from slugline.data.reading.raw_data import SPLIT_NAMES
from slugline.data.tables.table import BATCH_ROWS, release_all

if TYPE_CHECKING:
    import pyarrow as pa


def write_dataset(dataset: TextDataset, folder: Path, *, format: Literal["jsonl", "parquet"] = "jsonl") -> list[Path]:
    """Write a prepared set: one file per split, and metadata.json with the columns and classes.

    A recipe that names the folder in ``data.path`` gets the same ids, texts, labels and splits.

    Args:
        dataset: data set to write.
        folder: folder to write into; created if it does not exist.
        format: format of the split files.

    Returns:
        The written files.

    Raises:
        DataError: the folder has other data, which would be overwritten or read together with the new files, or is that
            of a run or a study.
        RunError: the disk is full or not writable.
    """
    targets = {split: folder / f"{split}.{format}" for split in dataset.splits}
    _check_folder(dataset, folder, [*targets.values(), folder / METADATA])
    for split, path in targets.items():
        with replacing(path) as temporary:
            _write_rows(dataset, split, temporary, format)
    with replacing(folder / METADATA) as temporary:
        text = json.dumps(_metadata(dataset), ensure_ascii=False, indent=2)
        temporary.write_text(text + "\n", encoding="utf-8")
    return [*targets.values(), folder / METADATA]


def _check_folder(dataset: TextDataset, folder: Path, targets: Sequence[Path]) -> None:
    """Refuse to overwrite or mix data; only files of the same data are overwritten."""
    hint = "Write into an empty folder."
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is a file.", hint=hint)
    if RunLayout(folder).is_run() or StudyLayout(folder).summary.is_file():
        raise DataError(f"{folder} is the folder of a run or a study.", hint=hint)
    others = [file for file in sorted(folder.glob("*")) if file.stem in SPLIT_NAMES and file not in targets]
    others += [file.parent for file in class_files(folder)[:1]] if folder.is_dir() else []
    if others:
        raise DataError(f"{folder}: {others[0].name} already exists and would be read with the new files.", hint=hint)
    existing = [target for target in targets if target.exists()]
    if existing and not dataset.identity.matches(read_metadata(folder)):
        raise DataError(f"{folder}: {existing[0].name} already exists with other data.", hint=hint)


def _write_rows(dataset: TextDataset, split: Split, path: Path, format: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("id", pa.string()), ("text", pa.string()), ("label", _label_type(dataset))])
    batches = _named_batches(dataset, split, schema)
    if format == "parquet":
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch)
        return
    with path.open("w", encoding="utf-8") as file:
        for batch in batches:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in batch.to_pylist())


def _label_type(dataset: TextDataset) -> pa.DataType:
    import pyarrow as pa

    return pa.list_(pa.string()) if dataset.labels.is_multi else pa.string()


def _named_batches(dataset: TextDataset, split: Split, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows of a split with the names of their labels."""
    import pyarrow as pa

    for batch in dataset[split].with_format("arrow").iter(BATCH_ROWS):
        labels = dataset.labels.decode(dataset.labels.targets(batch["label"].to_pylist()))
        cells = list(map(list, labels)) if dataset.labels.is_multi else [name for (name,) in labels]
        columns = [
            batch["id"].combine_chunks(),
            batch["text"].combine_chunks(),
            pa.array(cells, schema.field("label").type),
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)
        release_all()


def _metadata(dataset: TextDataset) -> dict[str, Any]:
    values = dataset.to_manifest()
    return {
        "name": values["name"],
        "task": f"{values['label_kind']}{'' if values['label_kind'] == 'hierarchical' else '-label'}",
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
