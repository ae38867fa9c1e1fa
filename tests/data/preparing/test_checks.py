"""What is noticed about texts."""

from __future__ import annotations

import logging
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slugline.data import findings
from slugline.data.findings import Finding
from slugline.data.preparing import duplicates, statistics
from slugline.data.preparing.cleaning import clean
from slugline.data.preparing.duplicates import same_text_key

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
        ("Suzuki  lt;7269.T gt; said", "Suzuki <7269.T > said"),
        (r"dwindling\band of ultra-cynics,\they said.\\How so", "dwindling band of ultra-cynics, they said. How so"),
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
        r"relationship\nme, either \/ or, don\'t, \alpha, \o/, said \"so\", ¯\_(ツ)_/¯, /\/\/\ ",
        "Roebuck and Co <S> posted a gain; put on a [mask]ed face, x[start], [UNKNOWN], [1] and <b>",
        "Hamas Camp; 13 are killed; DoD#39; saw #12; &lt;b&gt; &#39; AMP; at 5; [a; b]",
    ],
)
def test_what_may_be_meant_is_no_artefact(text: str) -> None:
    assert clean(text, ["artefacts"]) == text


def test_steps_do_not_feed_each_other_for_ever() -> None:
    """An ampersand given back must not begin an entity that `encoding` turns into the next one."""
    for text in ("amp;" + "#x61;mp;" * 15, "#38;" + "#x23;38;" * 15, "<s>" * 15, "[PAD]<s>" * 15):
        once = clean(text, ["artefacts", "encoding"])
        assert clean(once, ["artefacts", "encoding"]) == once


def test_no_steps_leave_the_text_alone() -> None:
    assert clean("  AT&amp;T\r\n", []) == "  AT&amp;T\r\n"


def test_same_text_is_blind_to_case_composition_and_white_space() -> None:
    assert same_text_key("Cafe\u0301  STRASSE\n") == same_text_key("café straße")
    assert same_text_key("cafe") != same_text_key("café")


def test_repetitions_need_the_same_text_and_label() -> None:
    assert duplicates.repetitions(["a", "a", "a", "b"], ["x", "y", "x", "x"]) == [[0, 2]]


def test_conflicts_are_texts_with_several_labels() -> None:
    assert duplicates.conflicts(["a", "a", "b", "b"], ["x", "y", "x", "x"]) == [[0, 1]]


def test_leaks_are_rows_of_train() -> None:
    assert duplicates.leaks({"train": ["a", "b", "c"], "validation": ["b"], "test": ["c", "d"]}) == [1, 2]


WORDS = [f"word{number}" for number in range(500)]


def story(seed: int, length: int = 60) -> list[str]:
    return random.Random(seed).choices(WORDS, k=length)


def test_near_duplicates_are_found_and_distant_texts_are_not() -> None:
    first, second = story(1), story(2)
    changed = [*first[:-1], "ending"]
    texts = [" ".join(words) for words in (first, second, changed, story(3), second)]
    assert duplicates.near_duplicates(texts) == [[0, 2], [1, 4]]


def test_near_duplicates_agree_with_exact_jaccard() -> None:
    """MinHash estimates: pairs far from the threshold must fall on their side of it."""
    generator = random.Random(5)
    texts = []
    for seed in range(60):
        words = story(seed, 100)
        texts.append(" ".join(words))
        for place in generator.sample(range(100), generator.choice([1, 20])):
            words[place] = "changed"
        texts.append(" ".join(words))
    together = {(a, b) for cluster in duplicates.near_duplicates(texts) for a in cluster for b in cluster if a < b}
    for one in range(0, len(texts), 2):
        a, b = set(duplicates._shingles(texts[one])), set(duplicates._shingles(texts[one + 1]))
        similarity = len(a & b) / len(a | b)
        if similarity > 0.9 or similarity < 0.6:
            assert ((one, one + 1) in together) == (similarity > 0.9)
    assert all(b == a + 1 and a % 2 == 0 for a, b in together)


def test_clusters_do_not_depend_on_the_order_of_texts() -> None:
    texts = [" ".join([*story(seed // 3), str(seed)]) for seed in range(60)]
    shuffled = random.Random(0).sample(texts, k=len(texts))
    found = {frozenset(texts[index] for index in cluster) for cluster in duplicates.near_duplicates(texts)}
    again = {frozenset(shuffled[index] for index in cluster) for cluster in duplicates.near_duplicates(shuffled)}
    assert found == again
    assert len(found) == 20


def test_empty_texts_are_no_duplicates_of_each_other() -> None:
    assert duplicates.near_duplicates(["", "", "a b c d"]) == []


def test_clusters_are_remembered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLUGLINE_CACHE", str(tmp_path))
    monkeypatch.setattr(duplicates, "WORTH_CACHING", 2)
    texts = [" ".join(story(1)), " ".join([*story(1), "more"]), "another text"]
    first = duplicates.near_duplicates(texts)
    monkeypatch.setattr(duplicates, "_clusters", lambda _: pytest.fail("searched again"))
    assert duplicates.near_duplicates(texts) == first == [[0, 1]]
    assert len(list(tmp_path.rglob("*.json"))) == 1


def test_a_cache_that_cannot_be_used_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("SLUGLINE_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(duplicates, "WORTH_CACHING", 2)
    texts = [" ".join(story(1)), " ".join([*story(1), "more"]), "another text"]
    with caplog.at_level(logging.WARNING, logger="slugline"):
        assert duplicates.near_duplicates(texts) == [[0, 1]]
    assert [record.message.partition(":")[0] for record in caplog.records] == ["near duplicates are not remembered"]


def test_a_broken_cache_is_mended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLUGLINE_CACHE", str(tmp_path))
    monkeypatch.setattr(duplicates, "WORTH_CACHING", 2)
    texts = [" ".join(story(1)), " ".join([*story(1), "more"]), "another text"]
    duplicates.near_duplicates(texts)
    (file,) = tmp_path.rglob("*.json")
    whole = file.read_text()
    file.write_text(whole[:3])
    assert duplicates.near_duplicates(texts) == [[0, 1]]
    assert file.read_text() == whole


def test_findings_name_a_few_only() -> None:
    finding = Finding.of("leak", [str(number) for number in range(2000)], "rows: {count}")
    assert (finding.count, finding.message) == (2000, "rows: 2,000")
    assert len(finding.examples) == findings.MAX_EXAMPLES


def test_length_quantiles() -> None:
    lengths = statistics.length_quantiles(["one", "one two", "one two three"])
    assert lengths["words"]["p50"] == lengths["words"]["mean"] == 2
    assert lengths["characters"]["p100"] == 13
    assert statistics.length_quantiles([]) == {}


def test_imbalance() -> None:
    assert statistics.imbalance(["a", "a", "a", "b"]) == 3
