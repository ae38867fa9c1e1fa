r"""Cleaning step ``artefacts``: special tokens, HTML entities without ampersand, stray backslashes.

Newswire sets have such artefacts: AG News has ``O #39;Neal`` for ``O&#39;Neal``, and ``dwindling\band`` for two lines.
Ambiguous text, such as a path, is not changed.
"""

from __future__ import annotations

import html
import re

#: Every text with artefacts has one of these characters.
SIGNS = frozenset("[<;\\")

# Square brackets attached to a word are text: "[mask]ed", "x[start]". Tokens in angle brackets may be attached, because
# decoders write them so. "<s>" is a token only at the start of a text or after "</s>": Reuters has the ticker "<S>".
TOKENS = re.compile(
    r"(?<!\w)\[(?:start|unk|pad|unused\d*|cls|sep|mask)\](?!\w)"
    r"|<(?:unk|pad)>|</s>|(?:\A\s*|(?<=</s>))(?:<s>\s*)+",
    re.IGNORECASE,
)

# The ampersand may have become a blank: group 1. Not matched: an entity after a letter or digit ("Camp;", "DoD#39;"),
# after an ampersand (the step `encoding` decodes complete entities), or one whose decoding makes a new entity.
ENTITIES = re.compile(
    r"( ?)(?<![\w&])(?:amp;)*"
    r"(quot|amp(?!;#?\w+;)|lt|gt|nbsp|apos|hellip|[mn]dash|[lr][sd]quo"
    r"|#0{0,2}(?:34|36(?=;\d)|38(?!;#?\w+;)|39|133|14[5-9]|15[01]|160|163|8211|8212|8216|8217|8220|8221|8230));"
)
APOSTROPHES = "'’"
CLOSING_QUOTES = '"”'
AFTER_A_QUOTATION = re.compile(r"[\s.,;:!?)-]|$")
CONTRACTED = re.compile(r"(?:s|t|d|m|re|ve|ll)\b", re.IGNORECASE)
NAME_PREFIX = re.compile(r"(?<!\w)[dlo]", re.IGNORECASE)

WORDS_WITH_BACKSLASH = re.compile(r"\S*\\\S*")
# Drives, servers, nested folders, files with a suffix, identifiers.
PATHS = re.compile(r"(?<!\w)[a-zA-Z]:\\|\\\\[\w.$-]+\\\w|\w\\(?!n)[\w.-]+\\(?!n)\w|\\[\w-]+\.[a-z]{2,4}\W*$|_")
ESCAPED_DOLLAR = re.compile(r"(?<![a-z0-9])\\(?=\$)")
# "\n" before a small letter is not matched: in "\new" the line break may be "\n" or only the backslash.
ESCAPED_LINES = re.compile(r"(?:\\n){2,}|\\n(?![a-z\\])")
LINE_BREAKS = re.compile(
    r"(?<=[\w.,;:!?)\"'-])(?:\\(?!n[a-z])(?=[\w($<&])|\\\\(?=[\w($<&\"'])|(?<=[.,!?\"])\\{1,2}(?=\s|$))"
)


def remove_artefacts(text: str) -> str:
    r"""Remove artefacts, conservatively.

    Special tokens (``[UNK]``, ``[PAD]``, ``<unk>``, ``</s>`` ...) become a blank. Entities without ampersand (``#39;``,
    ``quot;``, ``amp;`` ...) become their characters. A backslash in place of a line break becomes a blank; the
    backslash of ``\$`` is removed.

    Args:
        text: text as read, or cleaned by other steps.

    Returns:
        The text without artefacts.
    """
    if SIGNS.isdisjoint(text):
        return text
    if "[" in text or "<" in text:
        text = TOKENS.sub(" ", text)
    if ";" in text:
        text = ENTITIES.sub(_character, text)
    return WORDS_WITH_BACKSLASH.sub(_without_line_breaks, text) if "\\" in text else text


def _character(entity: re.Match[str]) -> str:
    """Return the character of an entity; the blank before the entity is dropped if it replaced the ampersand."""
    blank, name = entity.groups()
    character = html.unescape(f"&{name};").replace("\xa0", " ")
    return (
        character
        if blank and _is_attached(character, entity.string, entity.start(), entity.end())
        else blank + character
    )


def _is_attached(character: str, text: str, start: int, end: int) -> bool:
    """True if a character belongs to the word before it: ``AT&T``, ``O'Neal``, ``it's``, a closing quotation mark."""
    if not start or text[start - 1].isspace():
        return False
    if character == "&":
        return text[end : end + 1].isalnum()
    if character in APOSTROPHES and (CONTRACTED.match(text, end) or NAME_PREFIX.match(text, start - 1)):
        return True
    return character in APOSTROPHES + CLOSING_QUOTES and AFTER_A_QUOTATION.match(text, end) is not None


def _without_line_breaks(word: re.Match[str]) -> str:
    text = word.group()
    if PATHS.search(text):
        return text
    return LINE_BREAKS.sub(" ", ESCAPED_LINES.sub(" ", ESCAPED_DOLLAR.sub("", text)))
