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

NAMES = (
    r"quot|lt|gt|nbsp|apos|hellip|[mn]dash|[lr][sd]quo"
    r"|#0{0,2}(?:34|36(?=;\d)|38(?!;#?\w+;)|39|133|14[5-9]|15[01]|160|163|8211|8212|8216|8217|8220|8221|8230)"
)
# The ampersand may have become a blank: group 1. Not matched: an entity after a letter or digit ("Camp;", "DoD#39;"),
# or after an ampersand (the step `encoding` decodes complete entities). A chain of "amp;" is matched as a whole, also
# where it stays: a search that tries each of its links again takes quadratic time.
ENTITIES = re.compile(rf"( ?)(?<![\w&])(?:(?:amp;)++(?:({NAMES});)?|({NAMES});)")
#: What makes a new entity with an ampersand before it.
REST_OF_AN_ENTITY = re.compile(r"#?\w+;")
APOSTROPHES = "'’"
CLOSING_QUOTES = '"”'
AFTER_A_QUOTATION = re.compile(r"[\s.,;:!?)-]|$")
CONTRACTED = re.compile(r"(?:s|t|d|m|re|ve|ll)\b", re.IGNORECASE)
NAME_PREFIX = re.compile(r"(?<!\w)[dlo]", re.IGNORECASE)

# Not `\S*\\\S*`, which takes quadratic time in a long word without a backslash.
WORDS = re.compile(r"\S+")
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
    return WORDS.sub(_without_line_breaks, text) if "\\" in text else text


def _character(entity: re.Match[str]) -> str:
    """Return the character of an entity; the blank before the entity is dropped if it replaced the ampersand."""
    blank, name = entity[1], entity[2] or entity[3]
    if not name:
        if REST_OF_AN_ENTITY.match(entity.string, entity.end()):
            return entity.group()
        name = "amp"
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
    if "\\" not in text or PATHS.search(text):
        return text
    return LINE_BREAKS.sub(" ", ESCAPED_LINES.sub(" ", ESCAPED_DOLLAR.sub("", text)))
