"""The time of cleaning and reading grows with the length of a text, not with its square, whatever the text holds."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from slugline.data.preparing.cleaning import STEPS
from slugline.data.reading import columns
from slugline.data.reading.labels import cells, class_names

#: Repeated parts of hostile texts.
PARTS = (
    *("&", "&amp;", "amp;", "amp;amp;x;", "#38;", "&#38;", "&a", "&#1", "#", ";"),
    *("[", "[unused1", "[UNK]", "<", "<s>", "</s>", "<s> ", "<pad>"),
    *("\\", "\\a", "\\n", "\\\\a", "\\a.bc!", "a\\", "\\$", "\\a."),
    *("a", "é", "Ã©", "â€", "'", '"', " ", "\n", "7", "-", ".", "_", "\x1b[", "\ufeff", "a\u0300"),
)
#: Before and after the repeated part: they pass the checks that a text has anything to clean.
FRAMES = (("", ""), ("\\ ", "x;"), ("&é [", "\\"))

#: Seconds of the processor for 200,000 characters; a quadratic expression takes half a minute or more.
LIMIT = 4.0


def seconds(function: Callable[[str], object], text: str) -> float:
    started = time.process_time()
    function(text)
    return time.process_time() - started


def texts(length: int) -> list[str]:
    return [first + part * (length // len(part)) + last for part in PARTS for first, last in FRAMES]


@pytest.mark.parametrize("step", sorted(STEPS))
def test_every_cleaning_step_takes_linear_time(step: str) -> None:
    for text in texts(200_000):
        assert seconds(STEPS[step], text) < LIMIT, (step, text[:20])


@pytest.mark.parametrize(
    ("function", "beginnings"),
    [
        (cells.labels_of, ("[", "[[", "['", "[1,")),
        (cells.CHOICES.fullmatch, ("{'choices': [", "{")),
        (columns.DATE.fullmatch, ("2024-12 ", "1 May 2024 ", "2024-12-31 12:30", "")),
        (class_names.INTEGER.fullmatch, ("1.", "")),
        (class_names.NUMBER.fullmatch, ("1.", "1e", "")),
    ],
)
def test_cells_are_recognised_in_linear_time(function: Callable[[str], object], beginnings: tuple[str, ...]) -> None:
    for text in texts(200_000):
        for beginning in beginnings:
            assert seconds(function, beginning + text) < LIMIT, (beginning, text[:20])
