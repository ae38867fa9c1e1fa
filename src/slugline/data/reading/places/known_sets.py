"""The table of known sets: one entry for each name that ``data.name`` can have beside folders under SLUGLINE_DATA.

An entry describes the copy on the Hub: its address, columns, labels, licence, rows and faults. A folder of the same
name under SLUGLINE_DATA is used before the Hub; its own metadata.json describes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from slugline.core.labels import Kind
from slugline.data.reading.raw_data import RawData
from slugline.data.tables.rows import Row, Rows

NOT_STATED = "not stated"


@dataclass(frozen=True)
class KnownSet:
    """A known set, as its copy on the Hub is.

    Args:
        name: value of ``data.name``.
        subject: what the labels are, in two or three words.
        n_classes: number of classes; of leaves in a hierarchy; 0 if unknown.
        rows: number of rows by name of the split; empty if unknown.
        hub: address, ``owner/set`` or ``owner/set:configuration``; empty if no copy there has the usual splits.
        kind: one label a text, any number, or one leaf of a tree.
        text: text columns; empty = guessed when the set is read.
        label: label column; several: one 0/1 column a label, or the levels of a path, top first; empty = guessed.
        classes: class names, if the copy has none, or numbers in place of names.
        first_label: the smallest integer label.
        licence: licence as the source states it.
        faults: known irregularities, in one sentence each.
    """

    name: str
    subject: str
    n_classes: int
    rows: Mapping[str, int] = field(default_factory=dict)
    hub: str = ""
    kind: Kind = "single"
    text: tuple[str, ...] = ("text",)
    label: tuple[str, ...] = ("label",)
    classes: tuple[str, ...] = ()
    first_label: int = 0
    licence: str = NOT_STATED
    faults: tuple[str, ...] = ()

    @property
    def task(self) -> str:
        """The task as `RawData.task` states it."""
        words = {"single": "single-label", "multi": "multi-label", "hierarchical": "hierarchical"}
        return f"{words[self.kind]}, {self.subject}"

    @property
    def columns(self) -> dict[str, object]:
        """Columns as `RawData.columns` states them."""
        label = list(self.label) if len(self.label) > 1 else "".join(self.label)
        return {key: value for key, value in (("text", list(self.text)), ("label", label)) if value}


_NEWS = ("World", "Sports", "Business", "Sci/Tech")
_TOXIC = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")
_R8 = ("acq", "crude", "earn", "grain", "interest", "money-fx", "ship", "trade")
_TWEETS = "released without restrictions, except those of Twitter and of single tasks"
_REUTERS = "research use; copyright Reuters Ltd and Carnegie Group"
_SORTED = "Rows are sorted by class."


def _tweets(
    task: str, subject: str, n_classes: int, rows: tuple[int, int, int], configuration: str = "", fault: str = ""
) -> KnownSet:
    """One task of TweetEval."""
    return KnownSet(
        f"tweeteval_{task}",
        subject,
        n_classes,
        dict(zip(("train", "validation", "test"), rows, strict=True)),
        f"cardiffnlp/tweet_eval:{configuration or task}",
        licence=_TWEETS,
        faults=(fault,) if fault else (),
    )


# fmt: off
_ALL = (
    KnownSet("ag_news", "news topics", 4, {"train": 120_000, "test": 7_600}, "fancyzhx/ag_news",
             faults=("Title and description are joined; some texts hold HTML entities without ampersand (quot;).",),
             licence="non-commercial research"),
    KnownSet("ag_news_title_description", "news topics", 4, {"train": 120_000, "test": 7_600}, "sh0416/ag_news",
             text=("title", "description"), classes=_NEWS, first_label=1,
             faults=("Labels are 1 to 4, without names.",),
             licence="non-commercial research"),
    KnownSet("banking77", "intents of bank customers", 77, {"train": 10_003, "test": 3_080}, "PolyAI/banking77",
             licence="CC BY 4.0", faults=("7 test texts are also in train.",)),
    KnownSet("bbc_news", "news topics", 5, {"train": 2_225},
             licence="the articles are the BBC's, for non-commercial research (Greene and Cunningham 2006)",
             faults=("98 articles are repeated.",
                     "No given splits; the copy SetFit/bbc-news on the Hub has 1,225 and 1,000 rows.")),
    KnownSet("clinc150", "intents, with out-of-scope queries", 151,
             {"train": 15_250, "validation": 3_100, "test": 5_500}, "clinc/clinc_oos:plus", label=("intent",),
             licence="CC BY 3.0", faults=("The class oos holds the queries that are out of scope.",
                                         "2 test texts are also in train.")),
    KnownSet("dbpedia", "kinds of Wikipedia articles", 219,
             {"train": 240_942, "validation": 36_003, "test": 60_794}, "DeveloperOats/DBPedia_Classes",
             kind="hierarchical", label=("l1", "l2", "l3"), licence="CC0 1.0"),
    KnownSet("goemotions", "emotions in comments", 28,
             {"train": 43_410, "validation": 5_426, "test": 5_427}, "google-research-datasets/go_emotions:simplified",
             kind="multi", label=("labels",), licence="Apache 2.0",
             faults=("221 texts of train are repeated; 42 test texts are also in train.",)),
    KnownSet("imdb", "sentiment of film reviews", 2, {"train": 25_000, "test": 25_000}, "stanfordnlp/imdb",
             faults=(_SORTED, "Texts hold <br />.", "123 test texts are also in train.")),
    KnownSet("newsgroups20", "newsgroups", 20, {"train": 11_314, "test": 7_532}, "SetFit/20_newsgroups",
             faults=("Headers, footers and quotes are removed; some texts are empty.",)),
    KnownSet("polish_youth_slang", "Polish youth slang", 0, hub="jziebura/polish_youth_slang_classification",
             text=(), label=()),
    KnownSet("reuters21578_modapte", "newswire topics", 118, {"train": 9_603, "test": 3_299},
             "ucirvine/reuters21578:ModApte", kind="multi", text=("title", "text"), label=("topics",), licence=_REUTERS,
             faults=("1,828 rows of train and 280 of test have no topic.",
                     "90 topics have rows in both splits; the usual set keeps those (7,770 and 3,019 rows).")),
    KnownSet("reuters46", "newswire topics", 46, {"train": 8_982, "test": 2_246}, text=("text",), licence=_REUTERS,
             faults=("Keras distributes it as numbers of words; recipes/reuters46-bert-small.toml has a script that "
                     "writes the texts.", "The smallest classes have 10 to 20 rows in train.")),
    KnownSet("reuters_r52", "newswire topics", 52, {"train": 6_532, "test": 2_568}, licence=_REUTERS,
             faults=("Very imbalanced: 1 to 2,840 rows a class in train.",
                     "The usual copies are in lower case; counts of other copies differ by one row.")),
    KnownSet("reuters_r8", "newswire topics", 8, {"train": 5_485, "test": 2_189}, "yangwang825/reuters-21578",
             classes=_R8, licence=_REUTERS, faults=("Copies differ by one row of test.",)),
    KnownSet("sms_spam", "spam", 2, {"train": 5_574}, "ucirvine/sms_spam", text=("sms",),
             faults=("No given splits.", "More than 400 messages are repeated.")),
    KnownSet("sst2", "sentiment of sentences on films", 2,
             {"train": 6_920, "validation": 872, "test": 1_821}, "SetFit/sst2",
             faults=("Lower case, tokenised.", "Counts differ from GLUE's, whose train split also holds phrases.")),
    KnownSet("toxic_comments", "toxic comments", 6, {"train": 159_571, "test": 63_978}, "monology/jigsaw",
             kind="multi", text=("comment_text",), label=_TOXIC, licence="CC0; comments CC BY-SA 3.0",
             faults=("Offensive language.", "Nine in ten rows have no label.")),
    KnownSet("trec", "kinds of questions", 50, {"train": 5_452, "test": 500}, "CogComp/trec", kind="hierarchical",
             label=("coarse_label", "fine_label"),
             faults=("72 texts of train are repeated; 11 test texts are also in train.",
                     "8 fine classes have no row in test.")),
    _tweets("emoji", "emojis of tweets", 20, (45_000, 5_000, 50_000)),
    _tweets("emotion", "emotions in tweets", 4, (3_257, 374, 1_421), fault="25 texts of train are repeated."),
    _tweets("hate", "hate speech in tweets", 2, (9_000, 1_000, 2_970),
            fault="Offensive language; 236 test texts are also in train; 7 texts of train are empty."),
    _tweets("irony", "irony in tweets", 2, (2_862, 955, 784)),
    _tweets("offensive", "offensive language in tweets", 2, (11_916, 1_324, 860), fault="Offensive language."),
    _tweets("sentiment", "sentiment of tweets", 3, (45_615, 2_000, 12_284)),
    _tweets("stance_abortion", "stance of tweets", 3, (587, 66, 280)),
    _tweets("stance_atheism", "stance of tweets", 3, (461, 52, 220)),
    _tweets("stance_climate", "stance of tweets", 3, (355, 40, 169)),
    _tweets("stance_feminist", "stance of tweets", 3, (597, 67, 285)),
    _tweets("stance_hillary", "stance of tweets", 3, (620, 69, 295)),
    KnownSet("web_of_science", "fields of science", 134, {"train": 46_985}, "HDLTex/web_of_science:WOS46985",
             kind="hierarchical", text=("input_data",), label=("label_level_1", "label_level_2"),
             licence="free use, as its readme states",
             faults=("No given splits.", "Labels are numbers without names.")),
    KnownSet("yahoo_answers", "topics of questions", 10, {"train": 1_400_000, "test": 60_000},
             "community-datasets/yahoo_answers_topics",
             text=("question_title", "question_content", "best_answer"), label=("topic",),
             faults=("Some questions have no content; line breaks are written as \\n.",)),
    KnownSet("yelp_polarity", "sentiment of reviews", 2, {"train": 560_000, "test": 38_000}, "fancyzhx/yelp_polarity",
             classes=("negative", "positive"),
             faults=("The copy calls its classes 1 and 2; they are named here.", "Line breaks are written as \\n.")),
)
# fmt: on

#: Known sets by name, in alphabetical order.
KNOWN_SETS: dict[str, KnownSet] = {known.name: known for known in _ALL}


def adapted(raw: RawData, known: KnownSet) -> RawData:
    """Give a copy from the Hub the columns and class names of its entry.

    Args:
        raw: rows as the Hub has them.
        known: entry of the set.

    Returns:
        The same rows; integer labels start at 0.
    """
    rows = dict(raw.rows)
    if known.first_label:
        rows = {split: Rows.write(_from_zero(row, known) for row in part) for split, part in raw.rows.items()}
    named = {known.label[0]: known.classes} if known.classes else {}
    return replace(
        raw,
        rows=rows,
        task=known.task,
        columns=known.columns,
        source=replace(raw.source, licence=raw.source.licence or known.licence),
        classes=known.classes or raw.classes,
        class_columns={**raw.class_columns, **named},
    )


def _from_zero(row: Row, known: KnownSet) -> Row:
    column = known.label[0]
    return {**row, column: int(str(row[column])) - known.first_label}
