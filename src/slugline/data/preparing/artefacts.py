r"""What machines left behind in texts: special tokens of tokenizers, entities without their ampersand, backslashes.

The cleaning step ``artefacts``. Newswire sets have all of them: AG News writes ``O #39;Neal`` for ``O&#39;Neal`` and
``dwindling\band`` for two lines. What might be meant as it stands, such as a path, stays.
"""

from __future__ import annotations

import html
import re

#: One of these is in every text that has artefacts.
SIGNS = frozenset("[<;\\")

# A bracket glued to a word is somebody's own: "[mask]ed", "x[start]". Decoders do glue tokens in angle brackets. "<S>"
# within a text is Sears, Roebuck's ticker in Reuters; as a token it stands where a text begins.
TOKENS = re.compile(
    r"(?<!\w)\[(?:start|unk|pad|unused\d*|cls|sep|mask)\](?!\w)"
    r"|<(?:unk|pad)>|</s>|(?:\A\s*|(?<=</s>))(?:<s>\s*)+",
    re.IGNORECASE,
)

# The ampersand became a blank, so one blank in front may be its trace. No letter or digit stands in front ("Camp;", a
# ticket "DoD#39;"), an ampersand means a whole entity, which `encoding` mends, and what would become one is left alone.
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
# A drive, a server, a folder in a folder, a file with its suffix, an identifier.
PATHS = re.compile(r"(?<!\w)[a-zA-Z]:\\|\\\\[\w.$-]+\\\w|\w\\(?!n)[\w.-]+\\(?!n)\w|\\[\w-]+\.[a-z]{2,4}\W*$|_")
ESCAPED_DOLLAR = re.compile(r"(?<![a-z0-9])\\(?=\$)")
# "\new" may be a new line and "ew", or a line that begins with "new": only what is clear counts.
ESCAPED_LINES = re.compile(r"(?:\\n){2,}|\\n(?![a-z\\])")
LINE_BREAKS = re.compile(
    r"(?<=[\w.,;:!?)\"'-])(?:\\(?!n[a-z])(?=[\w($<&])|\\\\(?=[\w($<&\"'])|(?<=[.,!?\"])\\{1,2}(?=\s|$))"
)


def remove_artefacts(text: str) -> str:
    r"""Remove what is no part of a text, conservatively.

    Special tokens (``[UNK]``, ``[PAD]``, ``<unk>``, ``</s>`` ...) become a blank; entities that lost their ampersand
    (``#39;``, ``quot;``, ``amp;`` ...) become their characters; a backslash in place of a line break becomes a blank,
    and the one of ``\$`` goes.

    Args:
        text: as read, or cleaned by other steps.

    Returns:
        The text without them; itself where it has none.
    """
    if SIGNS.isdisjoint(text):
        return text
    if "[" in text or "<" in text:
        text = TOKENS.sub(" ", text)
    if ";" in text:
        text = ENTITIES.sub(_character, text)
    return WORDS_WITH_BACKSLASH.sub(_without_line_breaks, text) if "\\" in text else text


def _character(entity: re.Match[str]) -> str:
    """What the entity stood for, with the blank in front of it unless that is the ampersand's."""
    blank, name = entity.groups()
    character = html.unescape(f"&{name};").replace("\xa0", " ")
    return (
        character if blank and _is_glued(character, entity.string, entity.start(), entity.end()) else blank + character
    )


def _is_glued(character: str, text: str, start: int, end: int) -> bool:
    """Whether a character belongs to the word before it: ``AT&T``, ``O'Neal``, ``it's``, a quotation's end."""
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
