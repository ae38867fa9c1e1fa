"""Parquet, Arrow and Feather files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from slugline.core.errors import DataError
from slugline.data.reading.formats.files import File, Row

BATCH_ROWS = 1024


def read_parquet(file: File) -> Iterator[Row]:
    """Read a Parquet file in batches of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with file.on_disk() as path, pq.ParquetFile(path) as parquet:
            _check_names(file, parquet.schema_arrow.names)
            for batch in parquet.iter_batches(batch_size=BATCH_ROWS):
                yield from batch.to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        raise _invalid(file, "Parquet", error) from error


def read_arrow(file: File) -> Iterator[Row]:
    """Read an Arrow file, a stream of Arrow batches (as `datasets` writes them), or a Feather file."""
    import pyarrow as pa

    try:
        with file.on_disk() as path, pa.memory_map(str(path)) as source:
            for batch in _batches(source):
                _check_names(file, batch.schema.names)
                for start in range(0, batch.num_rows, BATCH_ROWS):
                    yield from batch.slice(start, BATCH_ROWS).to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        raise _invalid(file, "Arrow or Feather", error) from error


def _batches(source: Any) -> Iterator[Any]:
    import pyarrow as pa

    head = source.read(6)
    source.seek(0)
    if head == b"ARROW1":
        reader = pa.ipc.open_file(source)
        yield from map(reader.get_batch, range(reader.num_record_batches))
    elif head.startswith(b"FEA1"):
        from pyarrow import feather

        yield from feather.read_table(source).to_batches()
    else:
        yield from pa.ipc.open_stream(source)


def _check_names(file: File, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(
            f"{file.name}: has several columns {', '.join(map(repr, repeated))}.",
            hint="Give each column a different name.",
        )


def _invalid(file: File, kind: str, error: Exception) -> DataError:
    reason = str(error).partition("\n")[0].rstrip(".")
    return DataError(f"{file.name}: not a valid {kind} file ({reason}).", hint="Download or write it again.")
