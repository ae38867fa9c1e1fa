"""Time and memory of the preparation of data: rows per second of each step, and the peak of the resident memory.

A CSV file of short random texts is prepared as for a training. One text in a hundred is repeated, one in a hundred has
one changed word. Each number of rows is prepared in a process of its own, in an empty cache. A small file is prepared
before, so that imports are not counted. The time is that of the fastest of three repetitions; near duplicates are
searched and texts tokenised once. Time should grow like the number of rows; memory should hardly grow.

    python benchmarks/data.py                    # 10,000, 100,000 and 1,000,000 rows
    python benchmarks/data.py 10000000           # other numbers of rows
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np

SIZES = (10_000, 100_000, 1_000_000)
WORDS, CLASSES, VOCABULARY = 20, 10, 50_000
#: Rows that are written at once.
CHUNK = 10_000
#: Rows of the file that is prepared first, and repetitions.
WARM_UP_ROWS, REPETITIONS = 200, 3


def main() -> None:
    """Prepare each number of rows in a process of its own, or the file that the arguments name in this process."""
    if len(sys.argv) == 4 and sys.argv[1] == "--prepare":
        prepare(Path(sys.argv[2]), int(sys.argv[3]))
        return
    for size in [int(argument) for argument in sys.argv[1:]] or SIZES:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.csv"
            write_rows(path, size)
            write_rows(path.with_name("warm_up.csv"), WARM_UP_ROWS)
            environment = os.environ | {"SLUGLINE_CACHE": str(Path(folder) / "cache")}
            command = [sys.executable, __file__, "--prepare", str(path), str(size)]
            subprocess.run(command, check=True, env=environment)  # noqa: S603  # this file


def write_rows(path: Path, size: int) -> None:
    """Write rows with a text and a label; words are drawn like in a language, few of them often."""
    generator = np.random.default_rng(7)
    vocabulary = np.array([f"w{number:x}" for number in generator.permutation(VOCABULARY)])
    weights = 1 / np.arange(10, VOCABULARY + 10)
    with path.open("w", encoding="utf-8") as file:
        file.write("text,label\n")
        for start in range(0, size, CHUNK):
            rows = min(CHUNK, size - start)
            words = generator.choice(vocabulary, (rows, WORDS), p=weights / weights.sum())
            words[1::100] = words[: len(words[1::100]) * 100 : 100]
            words[2::100] = words[: len(words[2::100]) * 100 : 100]
            words[2::100, WORDS // 2] = "changed"
            labels = generator.integers(CLASSES, size=rows)
            labels[1::100] = labels[: len(labels[1::100]) * 100 : 100]
            file.writelines(f"{' '.join(row)},class{label}\n" for row, label in zip(words, labels, strict=True))


def prepare(path: Path, size: int) -> None:
    """Prepare a file, and print the time of each step and the peak of the memory."""
    from slugline.core import progress
    from slugline.data import load as load_module
    from slugline.data.preparing import filters, loading
    from slugline.data.preparing.splits import apply_splits
    from slugline.data.reading import sources
    from slugline.recipe.data_section import DataSection

    progress.hide()
    load_module.load_dataset(DataSection(path=str(path.with_name("warm_up.csv"))))
    before, seconds = peak_memory(), defaultdict[str, float](float)
    filters.near_duplicates = searched_once(filters.near_duplicates, seconds)
    for step, module, name in (
        ("reading", sources, "read"),
        ("labels", loading, "name_labels"),
        ("ids", loading, "joint_row_ids"),
        ("cleaning", loading, "_write_texts"),
        ("leaks and repetitions", filters, "drop_repetitions"),
        ("leaks and repetitions", filters, "report_conflicts"),
        ("splits", apply_splits, "cut_splits"),
        ("tables and fingerprint", load_module, "_assemble"),
    ):
        setattr(module, name, timed(getattr(module, name), seconds, step))
    fastest: dict[str, float] = {}
    search = 0.0
    for _ in range(REPETITIONS):
        seconds.clear()
        started = time.perf_counter()
        dataset = load_module.load_dataset(DataSection(path=str(path)))
        searched = seconds.pop("near duplicates", 0.0)
        seconds["all steps"] = time.perf_counter() - started - searched
        search += searched
        fastest = min(fastest or dict(seconds), dict(seconds), key=lambda found: found["all steps"])
    seconds.update(fastest)
    prepared = peak_memory()
    timed(dataset.describe, seconds, "description")()
    tokens = timed(tokenised, seconds, "tokenising")(dataset)
    print(f"{size:,} rows in {', '.join(f'{split} {len(rows):,}' for split, rows in dataset.splits.items())}")
    for step, duration in {**seconds, "near duplicates": search}.items():
        print(f"  {step:24} {duration:8.2f} s {size / duration:12,.0f} rows/s")
    print(f"  peak of the memory: {before:,.0f} MB at the start, {prepared:,.0f} MB when prepared, ", end="")
    print(f"{peak_memory():,.0f} MB with {tokens:,} tokens", flush=True)


def searched_once(search: Callable[..., Any], seconds: dict[str, float]) -> Callable[..., Any]:
    """Return the search for near duplicates, which adds its time, and of the same texts returns the first result."""
    results: list[Any] = []

    def searched(texts: Any) -> Any:
        if not results:
            results.append(timed(search, seconds, "near duplicates")(texts))
        return results[0]

    return searched


def timed(function: Callable[..., Any], seconds: dict[str, float], step: str) -> Callable[..., Any]:
    """Return the function, which adds its time to that of a step."""

    @wraps(function)
    def measured(*args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            seconds[step] += time.perf_counter() - started

    return measured


def tokenised(dataset: Any) -> int:
    """Tokenise all splits as the training does; return the number of tokens."""
    from slugline.data.batching.tokens import tokenise
    from slugline.data.batching.truncation import Truncation
    from slugline.models.tokenizers import train_tokenizer

    tokenizer = train_tokenizer(dataset["train"]["text"][:5_000], "bpe", vocabulary_size=5_000)
    return sum(
        int(tokenise(rows["text"], tokenizer, Truncation(128), cached=True).arrays.lengths.sum())
        for rows in dataset.splits.values()
    )


def peak_memory() -> float:
    """Return the peak of the resident memory of this process, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


if __name__ == "__main__":
    main()
