"""Data sets of the Hugging Face Hub, or of the mirror in ``HF_ENDPOINT``. Only this module downloads data sets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from slugline.core.errors import DataError
from slugline.core.labels import Split
from slugline.data.reading.raw_data import SPLIT_NAMES, RawData, SourceFile, SourceInfo
from slugline.data.tables.rows import Row, Rows
from slugline.data.tables.table import BATCH_ROWS

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

#: Name of a known set to its address: ``owner/set``, with ``:configuration`` if the set has several.
HUB_SETS: dict[str, str] = {
    "ag_news": "fancyzhx/ag_news",
    "banking77": "PolyAI/banking77",
    "imdb": "stanfordnlp/imdb",
    "newsgroups20": "SetFit/20_newsgroups",
    "polish_youth_slang": "jziebura/polish_youth_slang_classification",
    "sms_spam": "ucirvine/sms_spam",
    "sst2": "SetFit/sst2",
    "tweeteval_emotion": "cardiffnlp/tweet_eval:emotion",
    "tweeteval_hate": "cardiffnlp/tweet_eval:hate",
    "tweeteval_irony": "cardiffnlp/tweet_eval:irony",
    "tweeteval_offensive": "cardiffnlp/tweet_eval:offensive",
    "yelp_polarity": "fancyzhx/yelp_polarity",
}

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
    loaded = _load(address, name)
    parts: dict[Split, Dataset] = {SPLIT_NAMES[key]: loaded[key] for key in loaded if key in SPLIT_NAMES}
    if "train" not in parts:
        raise DataError(f"{address}: has no train split, only {', '.join(loaded)}.", hint="Choose another set.")
    train = parts["train"]
    return RawData(
        {split: Rows.write(_rows_of(part)) for split, part in parts.items()},
        SourceInfo(
            name or address,
            licence=train.info.license or "",
            revision=_commit(train),
            url=f"{_endpoint()}/datasets/{address.partition(':')[0]}",
        ),
        {split: (SourceFile(f"{address} ({split})", len(part)),) for split, part in parts.items()},
        classes=_class_columns(train).get("label", ()),
        is_known=True,
        class_columns=_class_columns(train),
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
    """Class names of the ``ClassLabel`` columns."""
    named = {column: getattr(feature, "names", None) for column, feature in train.features.items()}
    return {column: tuple(names) for column, names in named.items() if names}
