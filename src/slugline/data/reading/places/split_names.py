"""The split of a file or folder, from its name: ``Train.csv``, ``news_test.csv``, ``train-00000-of-00002.parquet``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from slugline.core.errors import DataError
from slugline.core.labels import Split
from slugline.data.reading.formats import bare_name, can_read
from slugline.data.reading.raw_data import SPLIT_NAMES

#: Names of a split that is validation where another one is test, and test otherwise.
EVALUATION_NAMES = ("eval", "evaluation")

#: One of several files with the rows of a split, as the Hub names them; some names end with a hash.
SHARD = re.compile(r"(?P<name>.+?)-(?P<number>\d{5})-of-(?P<total>\d{5})(-[0-9a-f]+)?")


def is_table(file: Path) -> bool:
    """True if a file exists, has a suffix that can be read, and is not hidden."""
    return not file.name.startswith(".") and can_read(file) and file.is_file()


def split_files(files: Iterable[Path]) -> dict[Split, list[Path]]:
    """Find the files with the rows of each split.

    Args:
        files: the files of a folder; other files than tables are skipped.

    Returns:
        Files by split, the shards of a split in their order.

    Raises:
        DataError: two files hold the rows of one split, or a shard is missing.
    """
    tables: dict[str, list[Path]] = {}
    for file in sorted(files):
        if is_table(file):
            tables.setdefault(_without_shard(_stem(file)) + _suffix(file), []).append(file)
    splits = split_names([_stem_of_name(name) for name in tables])
    found: dict[Split, list[Path]] = {}
    for name, parts in tables.items():
        split = splits.get(_stem_of_name(name))
        if split is None:
            continue
        if split in found:
            first, folder = found[split][0], parts[0].parent
            raise DataError(
                f"{folder}: both {first.name} and {parts[0].name} hold {split} rows.", hint="Keep one of them."
            )
        found[split] = _complete(parts)
    return found


def split_names(names: Sequence[str]) -> dict[str, Split]:
    """Find the splits that names of files or folders mean.

    Args:
        names: names without suffixes, in any case.

    Returns:
        Splits by name. Whole words come first: ``train``; else the same words must surround the split in all names, as
        in ``news-train`` and ``news-test``.
    """
    exact = {name: name.lower() for name in names if name.lower() in SPLIT_NAMES}
    words = exact or _words_beside(names)
    has_test = any(SPLIT_NAMES[word] == "test" and word not in EVALUATION_NAMES for word in words.values())
    return {
        name: "validation" if word in EVALUATION_NAMES and has_test else SPLIT_NAMES[word]
        for name, word in words.items()
    }


def _words_beside(names: Sequence[str]) -> dict[str, str]:
    """The split word in each name, if one of them is train and the other words are the same in all names."""
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for name in names:
        parts = [part for part in re.split(r"[-_. ]+", name.lower()) if part]
        words = [part for part in parts if part in SPLIT_NAMES]
        if len(words) == 1:
            found.setdefault(tuple(part for part in parts if part not in SPLIT_NAMES), {})[name] = words[0]
    trained = [group for group in found.values() if "train" in map(SPLIT_NAMES.get, group.values())]
    return trained[0] if len(trained) == 1 else {}


def _complete(parts: list[Path]) -> list[Path]:
    """Refuse a split of several files if one is missing or there are two of one number."""
    shards = [match for file in parts if (match := SHARD.fullmatch(_stem(file)))]
    if not shards:
        return parts
    total, numbers = int(shards[0]["total"]), [int(match["number"]) for match in shards]
    if sorted(numbers) != list(range(total)):
        missing = sorted(set(range(total)) - set(numbers))
        what = f"file {missing[0]:05d} of {total:05d} is missing" if missing else "there are files of two versions"
        raise DataError(
            f"{parts[0].parent}: {shards[0]['name']}: {what}.", hint="Download all files of one version into a folder."
        )
    return parts


def _suffix(file: Path) -> str:
    """The suffix that can be read; empty if there is none."""
    return file.name.removeprefix(bare_name(file))


def _stem(file: Path) -> str:
    return bare_name(file)


def _stem_of_name(name: str) -> str:
    return _stem(Path(name))


def _without_shard(stem: str) -> str:
    shard = SHARD.fullmatch(stem)
    return shard["name"] if shard else stem
