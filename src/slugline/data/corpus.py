"""`Corpus`: texts to pre-train on, without labels, and where they came from.

Only training rows become part of it, and none whose text also stands in a validation or test split: neither of the sets
that the texts come from, nor of the data that the model will be judged on.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from slugline.core.errors import DataError
from slugline.core.labels import Split
from slugline.core.progress import track
from slugline.data.dataset import TextDataset, load_dataset
from slugline.data.findings import Finding
from slugline.data.preparing import cleaning, duplicates, statistics
from slugline.data.preparing.row_ids import row_ids
from slugline.data.reading import sources
from slugline.data.reading.columns import LOOK_AT_ROWS, choose_text_columns, join_text
from slugline.data.reading.raw_data import RawData, SourceInfo
from slugline.recipe.data_section import DataSection, SourceSection

logger = logging.getLogger(__name__)

#: Splits whose texts a model is judged on.
HELD_OUT: tuple[Split, ...] = ("validation", "test")

#: Texts in `Corpus.describe`, and how many of their characters.
SHOWN_TEXTS, SHOWN_CHARACTERS = 3, 300


@dataclass(frozen=True)
class Corpus:
    """Texts without labels.

    Args:
        texts: cleaned, none empty, no two the same.
        sources: where they came from.
        clean: cleaning steps that were taken.
        findings: what was left out.
    """

    texts: list[str]
    sources: tuple[SourceInfo, ...]
    clean: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the texts in their order."""
        digest = hashlib.sha256()
        for text in self.texts:
            encoded = text.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(8, "big") + encoded)
        return digest.hexdigest()

    def to_manifest(self) -> dict[str, Any]:
        """What a manifest must hold to say which texts these were."""
        return {
            "name": " + ".join(source.name for source in self.sources),
            "fingerprint": self.fingerprint,
            "sources": [asdict(source) for source in self.sources],
            "rows": {"train": len(self.texts)},
            "clean": list(self.clean),
        }

    def describe(self) -> dict[str, Any]:
        """The texts in figures: `to_manifest`, lengths, findings, a few examples; for ``data.json``."""
        return {
            **self.to_manifest(),
            "lengths": {"train": statistics.length_quantiles(self.texts)},
            "findings": [{**asdict(finding), "examples": list(finding.examples)} for finding in self.findings],
            "examples": [text[:SHOWN_CHARACTERS] for text in self.texts[:SHOWN_TEXTS]],
        }


def load_corpus(places: Sequence[SourceSection], data: DataSection | None) -> Corpus:
    """Gather texts to pre-train on.

    Args:
        places: where from; empty = the training texts of ``data``.
        data: what the model will be judged on: its cleaning is used, and texts of its validation and test splits are
            left out; None where that is not known.

    Returns:
        The texts. What was left out is in the findings and in the log.

    Raises:
        DataError: the texts cannot be had or read, or none is left.
        MissingExtra: the embedded set was asked for and is not installed.
    """
    assert places or data, "the recipe's schema asks for one of them"
    dataset = load_dataset(data) if data else None
    steps = tuple((data or DataSection.model_construct()).clean)
    held_out = _texts_held_out(dataset) if dataset else []
    if dataset and not places:
        gathered = [(dataset.source, dataset["train"]["text"][:])]
    else:
        gathered = []
        for place in places:
            raw = sources.read(place)
            read, theirs = _read_texts(raw, place, steps, _ids_held_out(place, raw, data, dataset))
            gathered.append((raw.source, read))
            held_out += theirs
            if len(raw.rows) == 1 and data is None:
                logger.warning(
                    "%s brings no test rows of its own: give [data], or texts that it will be tested on are learnt.",
                    raw.source.name,
                )
    texts, findings = _check_can_open([text for _, some in gathered for text in some], held_out)
    for finding in findings:
        logger.info(finding.message)
    if not texts:
        raise DataError("there is no text to pre-train on.", hint="Check pretrain.texts, or [data].")
    return Corpus(texts, tuple(source for source, _ in gathered), steps, tuple(findings))


def _texts_held_out(dataset: TextDataset) -> list[str]:
    return [text for split in HELD_OUT if split in dataset.splits for text in dataset[split]["text"][:]]


def _ids_held_out(
    place: SourceSection, raw: RawData, data: DataSection | None, dataset: TextDataset | None
) -> dict[Split, list[bool]]:
    """Which rows of a place the data set judges by, whatever columns either of them reads; by split and row."""
    if data is None or dataset is None or not _is_part_of(place, data):
        return {}
    column = data.id if data.id in raw.rows["train"][0] else str(raw.columns.get("id", ""))
    held_out = {name for split in HELD_OUT if split in dataset.splits for name in dataset[split]["id"][:]}
    ids = row_ids(raw.rows, column=column)
    return {split: [name in held_out for name in some] for split, some in ids.items()}


def _is_part_of(place: SourceSection, data: DataSection) -> bool:
    return any((place.name, place.path, place.hub) == (one.name, one.path, one.hub) for one in data.all_sources())


def _read_texts(
    raw: RawData, place: SourceSection, steps: Sequence[str], judged_by: dict[Split, list[bool]]
) -> tuple[list[str], list[str]]:
    """Cleaned texts of one place: those to learn from, and those that are held out."""
    columns = choose_text_columns(
        raw.rows["train"][:LOOK_AT_ROWS],
        place.text,
        raw.columns.get("text", ()),
        where=raw.file("train"),
        option="text in [[pretrain.texts]]",
    )
    learnt: list[str] = []
    held_out: list[str] = []
    with track("cleaning", sum(map(len, raw.rows.values())), unit="texts") as advance:
        for split, rows in raw.rows.items():
            for row, is_judged_by in zip(rows, judged_by.get(split, [False] * len(rows)), strict=True):
                text = cleaning.clean(join_text(row, columns), steps)
                (held_out if split in HELD_OUT or is_judged_by else learnt).append(text)
                advance(1)
    return learnt, held_out


def _check_can_open(texts: Sequence[str], held_out: Collection[str]) -> tuple[list[str], list[Finding]]:
    """Texts that may be learnt, each once, and findings about the others."""
    forbidden = {duplicates.same_text_key(text) for text in held_out}
    admitted: dict[str, str] = {}
    empty = leaked = 0
    for text in texts:
        key = duplicates.same_text_key(text)
        if not key:
            empty += 1
        elif key in forbidden:
            leaked += 1
        else:
            admitted.setdefault(key, text)
    counts = {
        "empty text": (empty, "empty texts: {} (left out)"),
        "leak": (leaked, "texts that also stand in a validation or test split: {} (left out)"),
        "repetition": (len(texts) - empty - leaked - len(admitted), "repeated texts: {} (read once)"),
    }
    findings = [
        Finding(kind, count, message.format(f"{count:,}")) for kind, (count, message) in counts.items() if count
    ]
    return list(admitted.values()), findings
