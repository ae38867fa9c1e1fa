"""The cleaning step ``artefacts``: removed artefacts, and ambiguous text that stays."""

from __future__ import annotations

import pytest

from slugline.data.preparing.cleaning import clean


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[START] oil [UNK] [unused7][PAD][PAD]", "oil"),
        ("[cls] Oil prices [MASK] . [SEP]", "Oil prices ."),
        ("<s>Oil <unk> prices</s></s><s>rise</s><pad><PAD>", "Oil prices rise"),
        ("Shaquille O #39;Neal and Indonesia #39;s", "Shaquille O'Neal and Indonesia's"),
        (
            "the  quot;spam host quot; of  #39;El Gato #39;, players #39; union",
            "the \"spam host\" of 'El Gato', players' union",
        ),
        ("AT amp;T, Marsh  amp; McLennan, M amp;amp;T, women amp;apos;s", "AT&T, Marsh & McLennan, M&T, women's"),
        ("US #36;13 billion  #151; a nbsp;loss #133;", "US $13 billion — a loss…"),
        ("Suzuki  lt;7269.T gt; reported", "Suzuki <7269.T > reported"),
        (r"dwindling\band of ultra-cynics,\they wrote.\\How so", "dwindling band of ultra-cynics, they wrote. How so"),
        (r"a \$1.32 million (US\$49) on\$5, \$4-\$8", "a $1.32 million (US$49) on $5, $4-$8"),
        (r"on Tamra\nKelly\n\nme. the end.\\", "on Tamra Kelly me. the end."),
    ],
)
def test_artefacts_are_removed(text: str, expected: str) -> None:
    for steps in (["artefacts", "whitespace"], ["whitespace", "artefacts", "encoding"]):
        cleaned = clean(text, steps)
        assert cleaned.replace(" …", "…").strip() == expected
        assert clean(cleaned, steps) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        r"open C:\Windows\System32 or D:\new, \\server\share, src\main\data, docs\report.pdf and my_name\x",
        r"relationship\nme, either \/ or, don\'t, \alpha, \o/, wrote \"so\", ¯\_(ツ)_/¯, /\/\/\ ",
        "Roebuck and Co <S> posted a gain; put on a [mask]ed face, x[start], [UNKNOWN], [1] and <b>",
        "Hamas Camp; 13 are killed; DoD#39; saw #12; &lt;b&gt; &#39; AMP; at 5; [a; b]",
    ],
)
def test_ambiguous_text_is_unchanged(text: str) -> None:
    assert clean(text, ["artefacts"]) == text
