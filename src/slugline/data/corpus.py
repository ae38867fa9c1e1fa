"""`Corpus`: texts without labels to pre-train on, and their sources.

A corpus has only training rows, and no text that is also in a validation or test split of its sources or of the data
that the model will be evaluated on.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from itertools import product
from pathlib import Path
from typing import Any

from slugline.core.errors import DataError
from slugline.core.labels import Split
from slugline.core.progress import track
from slugline.data.dataset import TextDataset
from slugline.data.findings import Finding
from slugline.data.load import load_dataset
from slugline.data.preparing import cleaning, duplicates, statistics
from slugline.data.preparing.row_ids import row_ids
from slugline.data.reading import sources
from slugline.data.reading.columns import SAMPLE_ROWS, check_column, choose_text_columns
from slugline.data.reading.raw_data import RawData, SourceInfo
from slugline.data.reading.texts import join_text
from slugline.recipe.data_section import DataSection, SourceSection

logger = logging.getLogger(__name__)

#: Splits that models are evaluated on.
HELD_OUT: tuple[Split, ...] = ("validation", "test")

#: Example texts in `Corpus.describe`, and their characters.
SHOWN_TEXTS, SHOWN_CHARACTERS = 3, 300


@dataclass(frozen=True)
class Corpus:
    """Texts without labels.

    Args:
        texts: cleaned texts, none empty, all different.
        sources: sources of the texts.
        clean: cleaning steps of the texts.
        findings: findings about dropped texts.
    """

    texts: list[str]
    sources: tuple[SourceInfo, ...]
    clean: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the texts in their order."""
        digest = hashlib.sha256()
        for text in self.texts:
            encoded = text.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(8, "big") + encoded)
        return digest.hexdigest()

    def to_manifest(self) -> dict[str, Any]:
        """Return the values that identify the texts in a manifest."""
        return {
            "name": " + ".join(source.name for source in self.sources),
            "fingerprint": self.fingerprint,
            "sources": [asdict(source) for source in self.sources],
            "rows": {"train": len(self.texts)},
            "clean": list(self.clean),
        }

    def describe(self) -> dict[str, Any]:
        """Return `to_manifest`, text lengths, findings, and a few example texts, for ``data.json``."""
        return {
            **self.to_manifest(),
            "lengths": {"train": statistics.length_quantiles(self.texts)},
            "findings": [finding.to_json() for finding in self.findings],
            "examples": [text[:SHOWN_CHARACTERS] for text in self.texts[:SHOWN_TEXTS]],
        }


def load_corpus(sections: Sequence[SourceSection], data: DataSection | None) -> Corpus:
    """Load texts to pre-train on.

    Args:
        sections: sources of the texts; empty = the training texts of ``data``.
        data: section of the data that the model will be evaluated on. Its cleaning steps are used, and texts of its
            validation and test splits are dropped. None = not known.

    Returns:
        The texts. Dropped texts are in its findings and in the log.

    Raises:
        DataError: the texts cannot be found or read, or none is left.
        MissingExtra: the embedded set is requested but not installed.
    """
    assert sections or data, "the recipe's schema requires one of them"
    dataset = load_dataset(data) if data else None
    steps = tuple((data or DataSection.model_construct()).clean)
    held_out = _held_out_texts(dataset) if dataset else []
    collected: list[tuple[SourceInfo, list[str]]] = []
    if dataset and not sections:
        collected.append((dataset.source, dataset["train"]["text"][:]))
    for section in sections:
        raw = sources.read(section)
        training_texts, held_out_texts = _read_texts(raw, section, steps, _held_out_rows(section, raw, data, dataset))
        collected.append((raw.source, training_texts))
        held_out += held_out_texts
        if len(raw.rows) == 1 and data is None:
            logger.warning(
                "%s has no test rows of its own: set [data], or the model is pre-trained on texts that it may be "
                "tested on later.",
                raw.source.name,
            )
    texts, findings = _select_texts([text for _, source_texts in collected for text in source_texts], held_out)
    for finding in findings:
        logger.info(finding.message)
    if not texts:
        raise DataError("there is no text to pre-train on.", hint="Check pretrain.texts, or [data].")
    return Corpus(texts, tuple(source for source, _ in collected), steps, tuple(findings))


def _held_out_texts(dataset: TextDataset) -> list[str]:
    return [text for split in HELD_OUT if split in dataset.splits for text in dataset[split]["text"][:]]


def _held_out_rows(
    section: SourceSection, raw: RawData, data: DataSection | None, dataset: TextDataset | None
) -> dict[Split, list[bool]]:
    """True for each row of a source, by split, that is in validation or test of the data set."""
    if data is None or dataset is None or not _is_source_of(section, data):
        return {}
    column = (
        data.id if any(data.id in row for row in raw.rows["train"][:SAMPLE_ROWS]) else str(raw.columns.get("id", ""))
    )
    held_out = {name for split in HELD_OUT if split in dataset.splits for name in dataset[split]["id"][:]}
    ids = row_ids(raw.rows, column=column)
    return {split: [name in held_out for name in ids[split]] for split in ids}


def _is_source_of(section: SourceSection, data: DataSection) -> bool:
    address = _resolved_address(section)
    return any(address == _resolved_address(source) for source in data.all_sources())


def _resolved_address(source: SourceSection) -> tuple[str, ...]:
    """Return the address of a source; one file has one address, however its path is spelled."""
    path = str(Path(source.path).expanduser().resolve()) if source.path else ""
    return source.model_copy(update={"path": path}).address


def _read_texts(
    raw: RawData, section: SourceSection, steps: Sequence[str], held_out_rows: dict[Split, list[bool]]
) -> tuple[list[str], list[str]]:
    """Clean the texts of a source; return its training texts and its held-out texts."""
    columns = choose_text_columns(
        list(raw.rows["train"][:SAMPLE_ROWS]),
        section.text,
        raw.columns.get("text", ()),
        where=raw.file_names("train"),
        option="text in [[pretrain.texts]]",
    )
    for split, column in product(raw.rows, columns):
        check_column(raw, split, "text", column)
    is_held = {split: held_out_rows.get(split, [False] * len(rows)) for split, rows in raw.rows.items()}
    training: list[str] = []
    held_out: list[str] = []
    with track("cleaning", sum(map(len, raw.rows.values())), unit="texts") as advance:
        for split, rows in raw.rows.items():
            for index, (row, is_held_out) in enumerate(zip(rows, is_held[split], strict=True)):
                text = cleaning.clean(join_text(row, columns, locate=partial(raw.locate, split, index)), steps)
                (held_out if split in HELD_OUT or is_held_out else training).append(text)
                advance(1)
    return training, held_out


def _select_texts(texts: Sequence[str], held_out: Collection[str]) -> tuple[list[str], list[Finding]]:
    """Drop empty, held-out and repeated texts; return the others, and findings about the dropped ones."""
    held_out_keys = {duplicates.same_text_key(text) for text in held_out}
    selected: dict[str, str] = {}
    empty = leaked = 0
    for text in texts:
        key = duplicates.same_text_key(text)
        if not key:
            empty += 1
        elif key in held_out_keys:
            leaked += 1
        else:
            selected.setdefault(key, text)
    counts = {
        "empty text": (empty, "empty texts: {} (dropped)"),
        "leak": (leaked, "texts that are also in a validation or test split: {} (dropped)"),
        "repetition": (len(texts) - empty - leaked - len(selected), "repeated texts: {} (used once)"),
    }
    findings = [
        Finding(kind, count, message.format(f"{count:,}")) for kind, (count, message) in counts.items() if count
    ]
    return list(selected.values()), findings
