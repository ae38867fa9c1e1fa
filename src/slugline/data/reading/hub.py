"""Data sets of the Hugging Face Hub, or of any mirror that ``HF_ENDPOINT`` names. The only module that goes there."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slugline.core.errors import DataError
from slugline.core.labels import Split
from slugline.data.reading.raw_data import SPLIT_NAMES, Place, RawData, SourceInfo

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

#: Our names of sets on the Hub: ``owner/set``, with ``:configuration`` where the set has several.
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

#: Where the Hub keeps Parquet copies of sets that still are a script, which `datasets` no longer runs.
PARQUET_COPIES = "refs/convert/parquet"


def read_hub(address: str, *, name: str = "") -> RawData:
    """Read a set of the Hub, or the copy of it in the local cache.

    Args:
        address: ``owner/set`` or ``owner/set:configuration``.
        name: under which it is known here.

    Returns:
        Its rows; splits that are none of train, validation and test are left alone.

    Raises:
        DataError: it cannot be had here, or has no train split.
    """
    loaded = _load(address, name)
    parts: dict[Split, Dataset] = {SPLIT_NAMES[part]: loaded[part] for part in loaded if part in SPLIT_NAMES}
    if "train" not in parts:
        raise DataError(f"{address}: has no train split, only {', '.join(loaded)}.", hint="Choose another set.")
    train = parts["train"]
    return RawData(
        {split: part.to_list() for split, part in parts.items()},
        SourceInfo(
            name or address,
            licence=train.info.license or "",
            revision=_commit(train),
            url=f"{_endpoint()}/datasets/{address.partition(':')[0]}",
        ),
        {split: (Place(f"{address} ({split})", len(part)),) for split, part in parts.items()},
        classes=_classes(train),
        is_known=True,
    )


def is_cached(address: str) -> bool:
    """Whether `datasets` has a copy in its cache; asks no network and imports nothing heavy."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    cache = Path(os.environ.get("HF_DATASETS_CACHE") or home / "datasets")
    return (cache / address.partition(":")[0].replace("/", "___").lower()).is_dir()


def _load(address: str, name: str) -> DatasetDict:
    import datasets

    repository, _, configuration = address.partition(":")
    try:
        try:
            return datasets.load_dataset(repository, configuration or None)
        except RuntimeError:  # the set is a script
            return datasets.load_dataset(repository, configuration or None, revision=PARQUET_COPIES)
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        folder = f"put a folder {name!r} where SLUGLINE_DATA points, or " if name else ""
        raise DataError(
            f"{name or address}: no local copy, and the Hub at {_endpoint()} did not give {repository} ({reason}).",
            hint=f"Without a network, {folder}give the files by data.path, or a filled cache by HF_HOME; "
            "HF_ENDPOINT names a mirror of the Hub.",
        ) from error


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def _commit(part: Dataset) -> str:
    """The commit that the files were taken from, which `datasets` keeps in their addresses only."""
    addresses = " ".join(part.info.download_checksums or {})
    commit = re.search(r"@([0-9a-f]{40})/", addresses)
    return commit.group(1) if commit else ""


def _classes(train: Dataset) -> tuple[str, ...]:
    """Class names from a ``ClassLabel`` column, or from the ``label_text`` beside an integer ``label``."""
    features: dict[str, Any] = dict(train.features)
    for feature in features.values():
        if getattr(feature, "names", None):
            return tuple(feature.names)
    if "label_text" not in features or "label" not in features:
        return ()
    names = dict(zip(train["label"][:], train["label_text"][:], strict=True))
    return tuple(names[index] for index in sorted(names)) if set(names) == set(range(len(names))) else ()
