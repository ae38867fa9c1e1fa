"""`CheckedRows`: the rows that a check reads; `CheckOptions`: what it needs besides them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from slugline.core.labels import RowLabels, Split, Targets, joined_labels
from slugline.data.batching.truncation import Truncation
from slugline.data.checks.patterns import masked, personal_data
from slugline.data.dataset import TextDataset
from slugline.data.findings import MAX_EXAMPLES, Finding, Level
from slugline.data.preparing import duplicates
from slugline.data.preparing.cleaning import clean
from slugline.data.preparing.examples import SPLIT_ORDER
from slugline.data.preparing.similar.near_duplicates import near_duplicates

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: Characters of a text in an excerpt.
EXCERPT_CHARACTERS = 100


@dataclass(frozen=True)
class CheckOptions:
    """Input of the checks besides the rows.

    Args:
        clean: cleaning steps that training applies to these texts; empty if they are cleaned already.
        tokenizer: tokenizer of the model; None = lengths are counted in words.
        truncation: division of long texts; None = the model reads whole texts.
        out_of_fold: function from rows to their (N, K) probabilities, each from a model that has not learned from the
            row or from one with the same text; None = checks that need them are left out.
        max_examples: examples of each finding.
    """

    clean: tuple[str, ...] = ()
    tokenizer: PreTrainedTokenizerBase | None = None
    truncation: Truncation | None = None
    out_of_fold: Callable[[CheckedRows], NDArray[np.float64]] | None = None
    max_examples: int = MAX_EXAMPLES


@dataclass(frozen=True)
class CheckedRows:
    """The N rows of all splits in one sequence: train first, then validation and test.

    Args:
        dataset: their data set.
        options: options of the checks.
    """

    dataset: TextDataset
    options: CheckOptions = CheckOptions()

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def split_names(self) -> list[Split]:
        """The splits, in the order of their rows."""
        return [split for split in SPLIT_ORDER if split in self.dataset.splits]

    @cached_property
    def ids(self) -> list[str]:
        """(N,) row ids."""
        return self._column("id")

    @cached_property
    def originals(self) -> list[str]:
        """(N,) texts of the data set."""
        return self._column("text")

    @cached_property
    def texts(self) -> list[str]:
        """(N,) texts as a model reads them, after cleaning."""
        return [clean(text, self.options.clean) for text in self.originals] if self.options.clean else self.originals

    @cached_property
    def keys(self) -> list[str]:
        """(N,) keys that are equal if the texts count as the same."""
        return [duplicates.same_text_key(text) for text in self.texts]

    @cached_property
    def splits(self) -> list[Split]:
        """(N,) split of each row."""
        return [split for split in self.split_names for _ in range(len(self.dataset.splits[split]))]

    @cached_property
    def targets(self) -> Targets:
        """True classes: (N,), or (N, K) in a ``multi`` set."""
        return np.concatenate([self.dataset.targets(split) for split in self.split_names])

    @cached_property
    def labels(self) -> list[RowLabels]:
        """(N,) labels of each row."""
        return self.dataset.labels.decode(self.targets)

    @cached_property
    def has_label(self) -> NDArray[np.bool_]:
        """(N, K) True for the labels of each row, whatever the kind of the label set."""
        if self.targets.ndim == 2:
            return np.asarray(self.targets, dtype=np.bool_)
        return np.asarray(self.targets[:, None] == np.arange(len(self.dataset.labels)))

    @cached_property
    def clusters(self) -> list[list[int]]:
        """Clusters of rows with the same or nearly the same text."""
        return near_duplicates(self.keys)

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """(N, K) probabilities of `CheckOptions.out_of_fold`."""
        assert self.options.out_of_fold is not None
        return self.options.out_of_fold(self)

    def rows_of(self, split: Split) -> range:
        """Return the indices of the rows of a split; empty if there is no such split."""
        start = 0
        for name in self.split_names:
            end = start + len(self.dataset.splits[name])
            if name == split:
                return range(start, end)
            start = end
        return range(0)

    def finding(
        self,
        kind: str,
        affected: Sequence[int],
        message: str,
        *,
        level: Level,
        advice: str,
        notes: Iterable[str] = (),
        places: Iterable[int] = (),
    ) -> Finding:
        """Build a finding about rows.

        Args:
            kind: kind of the finding.
            affected: indices of all affected rows, the most important first.
            message: the problem; ``{count}`` becomes the number of rows, ``{share}`` their share of all rows.
            level: level of the finding.
            advice: what to do about it.
            notes: addition to the excerpt of each row, in the order of ``affected``.
            places: characters of the texts that the excerpts show, in the order of ``affected``; by default their
                beginnings.

        Returns:
            The finding, with excerpts of the first rows.
        """
        count = len(affected)
        text = message.replace("{count}", f"{count:,}").replace("{share}", share_text(count, len(self)))
        shown = list(affected[: self.options.max_examples])
        at = [place for _, place in zip(shown, places, strict=False)] or [0] * len(shown)
        excerpts = list(map(self.excerpt, shown, at))
        for number, note in zip(range(len(shown)), notes, strict=False):
            excerpts[number] += f" {note}"
        return Finding(
            kind, count, text, tuple(self.ids[i] for i in shown), level=level, advice=advice, excerpts=tuple(excerpts)
        )

    def excerpt(self, index: int, place: int = 0) -> str:
        """Return one line about a row: id, split, part of the text without personal data, labels.

        Args:
            index: index of the row.
            place: character of the text that the part has to show.

        Returns:
            The line, with at most `EXCERPT_CHARACTERS` of the text.
        """
        text = self.originals[index]
        # The text is not divided within a piece of personal data, which would not be masked then.
        place = next((start for _, start, end in personal_data(text) if start < place < end), place)
        before = " ".join(masked(text[:place]).split()) + " " * text[:place][-1:].isspace()
        after = " ".join(masked(text[place:]).split())
        space_before = max(EXCERPT_CHARACTERS // 3, EXCERPT_CHARACTERS - len(after))
        part = before if len(before) <= space_before else "... " + before[-space_before:].lstrip()
        space = EXCERPT_CHARACTERS - min(len(before), space_before)
        shown = part + (after if len(after) <= space else after[:space].rstrip() + " ...")
        return f"{self.ids[index]} ({self.splits[index]}) {shown!r} [{joined_labels(self.labels[index])}]"

    def _column(self, name: str) -> list[str]:
        return [value for split in self.split_names for value in self.dataset.splits[split][name][:]]


def share_text(count: int, total: int) -> str:
    """Return a share in percent for a message: ``"3.1%"``, ``"below 0.1%"``."""
    share = count / total if total else 0.0
    return "below 0.1%" if 0 < share < 0.001 else f"{share:.1%}"


def rows_text(count: int) -> str:
    """Return a number of rows for a message: ``"1 row"``, ``"1,200 rows"``."""
    return f"{count:,} row{'' if count == 1 else 's'}"
