"""Plain words: retired terms and riddles stay out of code, messages and documents. CONTRIBUTING.md has the glossary."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import ROOT

#: Retired word -> the present one. Matched as whole words, in any case, also as parts of identifiers.
RETIRED = {
    "answer_texts": "forward_texts",
    "anew": "again",
    "asked": "requested",
    "asks": "requests",
    "bolder": "higher_rate",
    "calmer": "lower_rate",
    "carry_out": "run_training",
    "contender": "run",
    "contenders": "runs",
    "course": "TrainingSession",
    "doubt": "1 - p",
    "facts": "to_manifest, statistics",
    "follow_recipe": "restore_recipe_rates",
    "give_back": "restore_replaced",
    "historian": "HistoryWriter",
    "house": "package",
    "journey": "walkthrough",
    "judging": "evaluating",
    "learnt": "learned",
    "lent": "swapped_in",
    "material": "inputs",
    "mend": "hint, fix",
    "mended": "fixed",
    "mends": "hints, fixes",
    "mistakes": "errors",
    "nobody": "no one; better: name what does not",
    "replay": "FrozenBase",
    "room": "package; space",
    "rooms": "packages",
    "said": "stated",
    "says": "states",
    "scorer": "Predictor",
    "somebody": "a user; better: name who",
    "starter": "first_recipe",
    "tally": "RunningConfusion",
    "teachable": "sequences_with_targets",
    "told": "described",
    "waist": "central type",
    "whoever": "name who",
}

#: Phrases that a reader has to decode, and what to write.
PHRASES = {
    r"go(?:es|ing)? on\b(?! (?:the|a) )": "continue, resume",
    r"gone on\b": "resumed",
    r"let(?:s|ting)? go\b": "drop",
    r"passed over\b": "skipped",
    r"by heart\b": "memorised",
    r"what the models? (?:says?|said)": "logits, prediction",
    r"which is told\b": "name it",
}

#: Words that a summary must not begin with: "Return ...", "True if ...", or a noun.
NO_SUMMARY = ("How", "What", "When", "Where", "Whether", "Which", "Who")

WORD = re.compile(
    r"(?<![A-Za-z])(?:" + "|".join(sorted(map(re.escape, RETIRED), key=len, reverse=True)) + r")(?![a-z])",
    re.IGNORECASE,
)
PHRASE = re.compile("|".join(f"(?:{phrase})" for phrase in PHRASES), re.IGNORECASE)

CODE = [
    *sorted((ROOT / "src").rglob("*.py")),
    *sorted((ROOT / "scripts").glob("*")),
    *(ROOT / "benchmarks").glob("*.py"),
]
TEXTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "Makefile", "pyproject.toml")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "recipes").rglob("*.toml")),
]


def retired_words(text: str) -> Iterator[tuple[int, str]]:
    """Line numbers and retired words or phrases of a text."""
    for number, line in enumerate(text.splitlines(), start=1):
        for match in [*WORD.finditer(line), *PHRASE.finditer(line)]:
            yield number, match.group()


def riddle_summaries(source: str) -> Iterator[tuple[int, str]]:
    """Line numbers and summaries of docstrings that begin with a question word."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            summary = (ast.get_docstring(node) or "").partition("\n")[0]
            if summary.startswith(NO_SUMMARY):
                yield getattr(node, "lineno", 1), summary


def present_text(path: Path) -> str:
    """The text of a file without its tables of old and new names."""
    return re.sub(r"<!-- retired -->.*?<!-- /retired -->", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("path", [*CODE, *TEXTS], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_retired_words_stay_out(path: Path) -> None:
    found = [f"line {number}: {word}" for number, word in retired_words(present_text(path))]
    assert not found


@pytest.mark.parametrize(
    "path", [path for path in CODE if path.suffix == ".py"], ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_summaries_are_statements(path: Path) -> None:
    assert not list(riddle_summaries(path.read_text(encoding="utf-8")))


def test_the_check_finds_what_it_looks_for() -> None:
    assert [word for _, word in retired_words("class Tally:\n    told_twice = 1  # it goes on from there")] == [
        "Tally",
        "told",
        "goes on",
    ]
    assert not list(retired_words("# mushrooms, untold, foretold, stalled: RunningConfusion; it goes on the list"))
    assert [line for line, _ in riddle_summaries('"""What it is."""\n\ndef f():\n    """Return it."""\n')] == [1]
