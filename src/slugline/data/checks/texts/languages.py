"""Check: a mixture of languages, by script and by stop words.

This is a rough method: it knows the scripts below, and languages in Latin and Cyrillic script only by their most common
words. Texts that it cannot place with confidence, above all short ones, are not counted in any language.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict

from slugline.data.checks.checked_rows import CheckedRows, share_text
from slugline.data.findings import Finding

#: Script -> character class of its letters.
SCRIPTS = {
    "Latin": "A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff",
    "Cyrillic": "\u0400-\u052f",
    "Greek": "\u0370-\u03ff\u1f00-\u1fff",
    "Arabic": "\u0600-\u06ff\u0750-\u077f",
    "Hebrew": "\u0590-\u05ff",
    "Devanagari": "\u0900-\u097f",
    "Bengali": "\u0980-\u09ff",
    "Tamil": "\u0b80-\u0bff",
    "Thai": "\u0e00-\u0e7f",
    "Georgian": "\u10a0-\u10ff",
    "Hangul": "\u1100-\u11ff\uac00-\ud7af",
    "Japanese kana": "\u3040-\u30ff",
    "Chinese characters": "\u3400-\u4dbf\u4e00-\u9fff",
}

SCRIPT = re.compile("|".join(f"([{characters}]+)" for characters in SCRIPTS.values()))

#: Language -> common words, most of which few other languages have. Single letters are often initials instead.
STOP_WORDS = {
    "English": "the and of to is that it for was with are this you be have not they what which would there my do can "
    "will your how from when been i we",
    "German": "der die das und ist nicht ich sie ein eine zu den mit auf für von dem sich auch wie aber wird oder "
    "haben nach bei sind noch mein wir kann",
    "French": "le les des et est une dans que pas pour vous je il sur avec ce qui sont plus mais nous être cette "
    "du au ne mon ma comment c'est",
    "Spanish": "el los las que en una es por para con no se del como pero más está mi yo su lo cuando hay muy este "
    "esta tengo qué",
    "Italian": "il gli di che è una per non con sono della mi ma come anche più questo questa nel alla ho hai dei "
    "delle si lo perché",
    "Portuguese": "os de que não uma para com em é do da mais como mas foi ao ele das seu sua meu minha muito está "
    "você isso pelo",
    "Dutch": "de het een van en niet is ik dat op te zijn met voor maar ook wat aan er om dit naar hebben mijn wij "
    "deze kan",
    "Swedish": "och att det som en på är av för med inte den jag till har de om ett men var så vi kan min",
    "Polish": "nie na się że do jest to jak ale po co tak za od przez są czy mam moje jestem tylko",
    "Turkish": "bir ve bu da de için ile ne çok daha ben var mı değil gibi ama olarak kadar nasıl sonra",
    "Russian": "и в не на я что он с как это по но из у за от все так же для мы вы мне меня бы",
    "Ukrainian": "і в не на я що він з як це та але для від до ми ви мені бути є було які",
}

#: A language is only decided on with so many of its stop words, and so many times those of any other language.
MIN_STOP_WORDS, LEAD = 3, 2.0

#: A script is only decided on with so many letters, of which it has this share.
MIN_LETTERS, MIN_SCRIPT_SHARE = 10, 0.5

#: Share of texts in other languages from which they are a warning.
NOTICEABLE_SHARE = 0.05

WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")


def _languages_by_word() -> dict[str, list[str]]:
    by_word: dict[str, list[str]] = defaultdict(list)
    for language, words in STOP_WORDS.items():
        for word in words.split():
            by_word[word].append(language)
    return by_word


LANGUAGES = _languages_by_word()


def script_of(text: str) -> str:
    """Return the script of most letters of a text.

    Args:
        text: any text.

    Returns:
        A name of `SCRIPTS`; empty if there are few letters, or none of the scripts has most of them.
    """
    if text.isascii():
        return "Latin" if sum(map(str.isalpha, text)) >= MIN_LETTERS else ""
    counts: Counter[int] = Counter()
    for match in SCRIPT.finditer(text):
        counts[match.lastindex or 0] += len(match.group())
    if counts.total() < MIN_LETTERS:
        return ""
    number, count = counts.most_common(1)[0]
    return list(SCRIPTS)[number - 1] if count >= MIN_SCRIPT_SHARE * counts.total() else ""


def language_of(text: str) -> str:
    """Return the language of a text, for scripts of several languages, or its script.

    Args:
        text: any text.

    Returns:
        ``"German"``, or ``"Thai"`` for a text in Thai script; empty if it cannot be decided.
    """
    script = script_of(text)
    if script not in ("Latin", "Cyrillic"):
        return script
    hits: Counter[str] = Counter()
    for word in set(WORD.findall(text.lower())):
        hits.update(LANGUAGES.get(word, ()))
    ranked = hits.most_common(2)
    if not ranked or ranked[0][1] < MIN_STOP_WORDS:
        return ""
    if len(ranked) > 1 and ranked[0][1] < LEAD * ranked[1][1]:
        return ""
    return ranked[0][0]


def mixed_languages(rows: CheckedRows) -> list[Finding]:
    """Find texts in another language than most texts.

    Args:
        rows: rows to check.

    Returns:
        At most one finding; an estimate, see the description of the module.
    """
    languages = [language_of(text) for text in rows.originals]
    counts = Counter(language for language in languages if language)
    if len(counts) < 2:
        return []
    (main, _), *others = counts.most_common()
    ranks = {language: rank for rank, (language, _) in enumerate(others)}
    affected = sorted(
        (index for index, language in enumerate(languages) if language in ranks), key=lambda i: ranks[languages[i]]
    )
    decided = counts.total()
    share = len(affected) / decided
    listed = ", ".join(f"{language} {count:,}" for language, count in others[:5])
    return [
        rows.finding(
            "language",
            affected,
            f"texts that seem to be in another language than {main}: {{count}} ({listed}; "
            f"{share_text(len(affected), decided)} of the {decided:,} texts whose language could be estimated)",
            level="warning" if share >= NOTICEABLE_SHARE else "note",
            advice="This is an estimate from scripts and common words; read some of them. If they belong to the task, "
            "choose a multilingual model.base; otherwise remove them from the source.",
            notes=(languages[index] for index in affected),
        )
    ]
