"""Data sets of the Hugging Face Hub, or of the mirror in ``HF_ENDPOINT``. Only this module downloads data sets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slugline.core.errors import DataError
from slugline.core.labels import Split
from slugline.data.reading.raw_data import SPLIT_NAMES, RawData, SourceFile, SourceInfo
from slugline.data.tables.rows import Row, Rows
from slugline.data.tables.table import BATCH_ROWS

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

#: Branch with the Hub's Parquet copies of sets that are defined by a script, which `datasets` no longer runs.
PARQUET_REVISION = "refs/convert/parquet"


def read_hub(address: str, *, name: str = "") -> RawData:
    """Read a set of the Hub, or its copy in the local cache.

    Args:
        address: ``owner/set`` or ``owner/set:configuration``.
        name: name of the known set; empty for other sets.

    Returns:
        Rows of the set; splits other than train, validation and test are skipped.

    Raises:
        DataError: the set cannot be loaded, or has no train split.
    """
    parts = _parts(_load(address, name), address)
    source = SourceInfo(
        name or address,
        licence=parts["train"].info.license or "",
        revision=_commit(parts["train"]),
        url=f"{_endpoint()}/datasets/{address.partition(':')[0]}",
    )
    return _raw_data(parts, source, address, is_known=True)


def is_saved(folder: Path) -> bool:
    """True for a folder that ``save_to_disk`` of `datasets` wrote."""
    return (folder / "dataset_dict.json").is_file() or all(
        (folder / name).is_file() for name in ("state.json", "dataset_info.json")
    )


def read_saved(folder: Path, source: SourceInfo) -> RawData:
    """Read a folder that ``save_to_disk`` of `datasets` wrote.

    Args:
        folder: folder of a set with or without splits.
        source: name of the source.

    Returns:
        Rows of the set, in train if it has no splits; splits other than train, validation and test are skipped.

    Raises:
        DataError: a file is missing or broken, or there is no train split.
    """
    import datasets
    import pyarrow as pa

    try:
        loaded = datasets.load_from_disk(folder)
    except (OSError, ValueError, LookupError, pa.ArrowException) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise DataError(
            f"{folder}: a folder of save_to_disk that cannot be read ({reason}).", hint="Save the set again."
        ) from error
    splits = loaded if isinstance(loaded, datasets.DatasetDict) else datasets.DatasetDict({"train": loaded})
    return _raw_data(_parts(splits, str(folder)), source, str(folder), is_known=False)


def _parts(loaded: DatasetDict, where: str) -> dict[Split, Dataset]:
    """The splits by their usual names; of two names for one split the usual one is taken."""
    named = {SPLIT_NAMES[key]: loaded[key] for key in reversed(loaded) if key in SPLIT_NAMES}
    parts: dict[Split, Dataset] = named | {split: loaded[split] for split in named if split in loaded}
    if "train" not in parts:
        raise DataError(f"{where}: has no train split, only {', '.join(loaded)}.", hint="Choose another set.")
    return {split: parts[split] for split in sorted(parts, key=list(SPLIT_NAMES).index)}


def _raw_data(parts: dict[Split, Dataset], source: SourceInfo, where: str, *, is_known: bool) -> RawData:
    named = _class_columns(parts["train"])
    return RawData(
        {split: Rows.write(_rows_of(part)) for split, part in parts.items()},
        source,
        {split: (SourceFile(f"{where} ({split})", len(part)),) for split, part in parts.items()},
        classes=named.get("label", ()),
        is_known=is_known,
        class_columns=named,
    )


def is_cached(address: str) -> bool:
    """True if the cache of `datasets` holds a copy; needs neither the network nor `datasets`."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    cache = Path(os.environ.get("HF_DATASETS_CACHE") or home / "datasets")
    return (cache / address.partition(":")[0].replace("/", "___").lower()).is_dir()


def _load(address: str, name: str) -> DatasetDict:
    import datasets

    repository, _, configuration = address.partition(":")
    try:
        try:
            return datasets.load_dataset(repository, configuration or None)
        except RuntimeError:  # the set is defined by a script
            return datasets.load_dataset(repository, configuration or None, revision=PARQUET_REVISION)
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        folder = f"put a folder {name!r} into the folder SLUGLINE_DATA, " if name else ""
        hub = f"the Hub at {_endpoint()}"
        raise DataError(
            f"{name or address}: no local copy, and loading {repository} from {hub} failed ({reason}).",
            hint=f"Without a network, {folder}set data.path to the files, or HF_HOME to a filled cache. "
            "HF_ENDPOINT selects a mirror of the Hub.",
        ) from error


def _rows_of(part: Dataset) -> Iterator[Row]:
    """The rows of a split without its formats: integers in place of class names, bytes in place of images."""
    for batch in part.with_format("arrow").iter(BATCH_ROWS):
        yield from batch.to_pylist()


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def _commit(part: Dataset) -> str:
    """The commit of the files; `datasets` records it only in their addresses."""
    addresses = " ".join(part.info.download_checksums or {})
    commit = re.search(r"@([0-9a-f]{40})/", addresses)
    return commit.group(1) if commit else ""


def _class_columns(train: Dataset) -> dict[str, tuple[str, ...]]:
    """Class names of the columns that hold a ``ClassLabel`` or lists of them."""
    named = {column: _names(feature) for column, feature in train.features.items()}
    return {column: tuple(names) for column, names in named.items() if names}


def _names(feature: Any) -> Sequence[str]:
    """Class names of a ``ClassLabel``, or of a list of them."""
    return getattr(feature, "names", None) or getattr(getattr(feature, "feature", None), "names", None) or ()
