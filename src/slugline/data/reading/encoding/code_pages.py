"""Guess the code page of bytes that are not Unicode.

The code pages of Latin script share most of their bytes: ``è`` of Windows-1252 is ``č`` of Windows-1250. They are
distinguished by the letters that each language uses beside ASCII. charset_normalizer guesses all others.
"""

from __future__ import annotations

import re
from collections import Counter

#: The usual code page, and the answer without evidence for another.
USUAL = "cp1252"

#: Letters of Western languages, whose texts are in the same code pages.
_WESTERN = (
    "äöüß",  # German
    "àâæçéèêëîïôœùûüÿ",  # French
    "áéíñóúü",  # Spanish
    "ãõáàâçéêíóôúü",  # Portuguese
    "àèéìíîòóùú",  # Italian
    "åäöé",  # Swedish, Finnish
    "æøåéòôóêè",  # Danish, Norwegian
    "éëïöüèêóáí",  # Dutch
    "àçèéíïòóúü",  # Catalan
)
_TURKISH = "çğıöşüâîû"
_ICELANDIC = "áðéíóúýþæö"
_CENTRAL = (
    "ąćęłńóśźż",  # Polish
    "áčďéěíňóřšťúůýž",  # Czech
    "áäčďéíĺľňóôŕšťúýž",  # Slovak
    "áéíóöőúüű",  # Hungarian
    "ăâîşţ",  # Romanian
    "čćđšž",  # Croatian, Slovene
)
_BALTIC = (
    "ąčęėįšųūž",  # Lithuanian
    "āčēģīķļņšūž",  # Latvian
)

#: Code page and letters of a language, the more usual first: of two that explain the bytes, the first is taken.
LANGUAGES: tuple[tuple[str, str], ...] = (
    *((USUAL, letters) for letters in _WESTERN),
    ("cp1254", _TURKISH),
    *(("cp1250", letters) for letters in _CENTRAL),
    (USUAL, _ICELANDIC),
    *(("cp1257", letters) for letters in _BALTIC),
    *(("iso8859-2", letters) for letters in _CENTRAL),
    *(("cp850", letters) for letters in _WESTERN),
    *(("mac_roman", letters) for letters in _WESTERN),
)

#: Share of the letters beside ASCII that a language has to explain; and by how much one has to be better than a more
#: usual one. The rest are names and quotations of other languages.
EXPLAINED, MARGIN = 0.9, 0.02

#: The detector is unreliable with fewer non-ASCII bytes: it took a single pound sign for Japanese.
MIN_NON_ASCII_BYTES = 16

# Latin texts have at most this share of letters beside ASCII; in other scripts nearly all letters are such.
_MAX_ACCENTED = 0.35

# Quotation marks, dashes and apostrophes are right between letters, other symbols are letters of another code page.
_SYMBOL_IN_WORD = re.compile(
    r"(?<=[^\W\d_])[\u0080-\u00bf\u0192\u02c6\u02d8-\u02dd\u2020-\u2022\u2030\u20ac\u2122](?=[^\W\d_])"
)

# Letters, and those beside ASCII; "²" and "½" match \w, "ª" and "µ" are signs although they are letters of Unicode.
_ANY_LETTER = r"[^\W\d_ªºµ²³¹¼½¾]"
_OTHER_LETTER = r"[^\W\d_ªºµ²³¹¼½¾\x00-\x7f]"

# A letter beside ASCII that has a letter beside it, or stands alone, as the French "à" does.
_LETTER = re.compile(
    rf"(?<={_ANY_LETTER}){_OTHER_LETTER}|{_OTHER_LETTER}(?={_ANY_LETTER})|(?<!\w){_OTHER_LETTER}(?!\w)"
)

# Such a letter beside a digit only: a pound sign is one in another code page.
_LETTER_BESIDE_DIGIT = re.compile(
    rf"(?<!{_ANY_LETTER}){_OTHER_LETTER}(?=[0-9])|(?<=[0-9]){_OTHER_LETTER}(?!{_ANY_LETTER})"
)


def guess_code_page(sample: bytes) -> str:
    """Guess the 8-bit or multi-byte encoding of bytes that are not Unicode.

    Args:
        sample: bytes, some of them non-ASCII.

    Returns:
        A codec name; ``"cp1252"`` unless there is evidence for another one.
    """
    latin = _latin_code_page(sample)
    if latin:
        return latin
    from charset_normalizer import from_bytes

    is_usual = _is_plausible(sample)
    n_non_ascii = sum(byte > 127 for byte in sample)
    if is_usual and n_non_ascii < MIN_NON_ASCII_BYTES:
        return USUAL
    best = from_bytes(sample).best()
    if best is None or (is_usual and (str(best) == sample.decode(USUAL) or _is_latin(str(best)))):
        return USUAL  # several Western languages in one file: no single one explains it
    return best.encoding


def _latin_code_page(sample: bytes) -> str:
    """The code page whose letters are those of one language; empty if no language explains the bytes."""
    texts = {code_page: _decoded(sample, code_page) for code_page in dict.fromkeys(name for name, _ in LANGUAGES)}
    usual = texts[USUAL]
    if usual is not None and not _LETTER.search(usual) and not _SYMBOL_IN_WORD.search(usual):
        return USUAL  # only signs, as in "5 m³ for £10"; other code pages have letters in their places
    explained: list[tuple[float, str]] = []
    for code_page, alphabet in LANGUAGES:
        text = texts[code_page]
        if text is not None:
            explained.append((_explained(text, alphabet), code_page))
    best = max((share for share, _ in explained), default=0.0)
    if best < EXPLAINED:
        return ""
    chosen = next(code_page for share, code_page in explained if share >= best - MARGIN)
    return USUAL if texts[chosen] == texts[USUAL] else chosen


def _decoded(sample: bytes, code_page: str) -> str | None:
    """The text, or None if these bytes are none in this code page or not a text of Latin script."""
    try:
        text = sample.decode(code_page)
    except UnicodeDecodeError:
        return None
    n_letters = sum(map(str.isalpha, text))
    n_accented = sum(character > "\x7f" and character.isalpha() for character in text)
    return text if n_accented <= _MAX_ACCENTED * n_letters else None


def _explained(text: str, alphabet: str) -> float:
    """Share of the letters beside ASCII that are in an alphabet; symbols inside words count as foreign letters."""
    letters = Counter(_LETTER.findall(text.lower()))
    n_known = sum(count for letter, count in letters.items() if letter in alphabet)
    n_unknown = letters.total() - n_known + len(_SYMBOL_IN_WORD.findall(text)) + len(_LETTER_BESIDE_DIGIT.findall(text))
    return n_known / (n_known + n_unknown) if n_known + n_unknown else 0.0


def _is_plausible(sample: bytes) -> bool:
    """True if the sample, read as Windows-1252, has few accented letters and few symbols inside words."""
    try:
        text = sample.decode(USUAL)
    except UnicodeDecodeError:
        return False
    n_letters = sum(map(str.isalpha, text))
    n_accented = sum(character > "\x7f" and character.isalpha() for character in text)
    n_symbols = len(_SYMBOL_IN_WORD.findall(text))
    return 4 * n_accented <= n_letters and 20 * n_symbols <= n_accented + n_symbols


def _is_latin(text: str) -> bool:
    """True if most letters beside ASCII are Latin ones."""
    letters = [character for character in text if character > "\x7f" and character.isalpha()]
    return 2 * sum(character < "\u0250" for character in letters) > len(letters)
