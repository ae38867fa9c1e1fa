"""Cleaning steps, alone and together."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slugline.data.preparing.cleaning import KEEP_PLAIN, clean, clean_texts, is_plain

STEPS = ["encoding", "whitespace", "lowercase", "artefacts"]
LETTERS = st.text(alphabet=st.one_of(st.characters(), st.sampled_from("&;<>#3amplt9 \t\n\r\x1b[£Ã©â€™“”ﬁİßＡ")))
PIECES = (
    "& &amp; amp; amp;amp; #38; #39; #36; #x61;mp; #035; quot; lt; gt; nbsp; ; # "
    "\\ \\\\ \\n \\$ C:\\ [UNK] [ PAD] <s> </s> <pad >"
)
MESSY = st.one_of(LETTERS, st.lists(st.sampled_from([*PIECES.split(), *"aGT $1.(\"' \n"])).map("".join))


@settings(deadline=None)  # the first call imports ftfy
@given(text=MESSY, steps=st.lists(st.sampled_from(STEPS), unique=True))
def test_cleaning_a_clean_text_changes_nothing(text: str, steps: list[str]) -> None:
    once = clean(text, steps)
    assert clean(once, steps) == once


PRINTABLE = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]))


@settings(deadline=None)
@given(texts=st.lists(PRINTABLE | MESSY), steps=st.lists(st.sampled_from(STEPS), unique=True))
def test_many_texts_are_cleaned_like_one(texts: list[str], steps: list[str]) -> None:
    assert clean_texts(texts, steps) == [clean(text, steps) for text in texts]


@settings(deadline=None)
@given(text=PRINTABLE)
def test_plain_texts_are_clean(text: str) -> None:
    if is_plain(text):
        assert clean(text, sorted(KEEP_PLAIN)) == text


@pytest.mark.parametrize("text", ["a  b", " a", "a ", "a\tb", "a\nb", "&lt;", "\x7f", "\x1b[0m", "é"])
def test_texts_that_a_step_may_change_are_not_plain(text: str) -> None:
    assert not is_plain(text)
    assert is_plain("Two words.")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The CafÃ© â€“ now", "The Café – now"),
        ("AT&amp;T &lt;b&gt;", "AT&T <b>"),
        ("“curly” ‘quotes’ stay", "“curly” ‘quotes’ stay"),
        ("  two \n\n lines\t ", "two lines"),
        ("NA", "NA"),
        ("", ""),
    ],
)
def test_default_cleaning(text: str, expected: str) -> None:
    assert clean(text, ["encoding", "whitespace"]) == expected


def test_steps_reach_a_stable_text() -> None:
    """A restored ampersand must not begin an entity that `encoding` decodes to the beginning of another one."""
    for text in ("amp;" + "#x61;mp;" * 15, "#38;" + "#x23;38;" * 15, "<s>" * 15, "[PAD]<s>" * 15):
        once = clean(text, ["artefacts", "encoding"])
        assert clean(once, ["artefacts", "encoding"]) == once


def test_without_steps_the_text_is_unchanged() -> None:
    assert clean("  AT&amp;T\r\n", []) == "  AT&amp;T\r\n"
