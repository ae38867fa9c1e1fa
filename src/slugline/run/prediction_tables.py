"""Predictions as Parquet files: one row per text; label set, data set and calibration in the metadata of the schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from slugline.core.labels import LabelSet
from slugline.core.predictions import Calibration, Predictions

if TYPE_CHECKING:
    import pyarrow as pa


def to_table(predictions: Predictions, *, fingerprint: str) -> pa.Table:
    """Return predictions as a table.

    Args:
        predictions: predictions of N rows.
        fingerprint: fingerprint of the data set.

    Returns:
        Columns ``id``, ``label``, ``predicted``, ``confidence``, ``logits``. In a ``multi`` set, ``label`` and
        ``predicted`` are lists.
    """
    import pyarrow as pa

    labels = predictions.labels
    class_type = pa.list_(pa.int64()) if labels.is_multi else pa.int64()
    metadata = {
        "label_set": labels.to_dict(),
        "split": predictions.split,
        "dataset": predictions.dataset,
        "fingerprint": fingerprint,
        "calibration": predictions.calibration.to_dict() if predictions.calibration else None,
    }
    columns = {
        "id": pa.array(predictions.ids.tolist(), pa.string()),
        "label": pa.array(labels.column(predictions.targets), class_type),
        "predicted": pa.array(labels.column(predictions.predicted), class_type),
        "confidence": pa.array(predictions.confidence.tolist(), pa.float64()),
        "logits": pa.array(predictions.logits.tolist(), pa.list_(pa.float32())),
    }
    return pa.table(columns).replace_schema_metadata({"slugline": json.dumps(metadata)})


def read_predictions(path: Path) -> Predictions:
    """Read a file with the table of `to_table`."""
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    metadata = json.loads(table.schema.metadata[b"slugline"])
    # Earlier versions wrote names and kind.
    labels = LabelSet.from_dict(metadata.get("label_set") or {"names": metadata["labels"], "kind": metadata["kind"]})
    return Predictions(
        ids=np.array(table["id"].to_pylist(), dtype=object),
        targets=labels.targets(table["label"].to_pylist()),
        logits=np.array(table["logits"].to_pylist(), dtype=np.float32).reshape(table.num_rows, len(labels)),
        labels=labels,
        split=metadata["split"],
        dataset=metadata["dataset"],
        calibration=Calibration.from_dict(metadata["calibration"]) if metadata["calibration"] else None,
    )
