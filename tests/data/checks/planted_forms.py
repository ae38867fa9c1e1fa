"""Further forms of each fault, and sets that come close to a fault without having it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

from planted import KINDS, Rows, long_text

Splits = dict[str, Rows]
Plant = Callable[[Splits], int]


class Form(NamedTuple):
    """A form of a fault: check, levels of its findings, function that plants it, kinds of labels."""

    check: str
    levels: set[str]
    plant: Plant
    kinds: tuple[str, ...] = KINDS


def texts(split: str, *endings: str) -> Plant:
    """Append one of the endings to each of the first texts of a split."""

    def plant(splits: Splits) -> int:
        for row, ending in zip(splits[split], endings, strict=False):
            row["text"] += ending
        return len(endings)

    return plant


def whole_texts(split: str, *new: str) -> Plant:
    """Replace the first texts of a split."""

    def plant(splits: Splits) -> int:
        for row, text in zip(splits[split], new, strict=False):
            row["text"] = text
        return len(new)

    return plant


def with_validation(splits: Splits) -> Rows:
    """Cut a validation split from train: 100 rows."""
    splits["validation"], splits["train"] = splits["train"][:100], splits["train"][100:]
    return splits["validation"]


def relabelled(old: str, new: str, *, every: int = 6) -> Plant:
    """Give some rows of a class a class with another name."""

    def plant(splits: Splits) -> int:
        for rows in splits.values():
            of_class = [row for row in rows if old in row["labels"]]
            for row in of_class[::every]:
                row["labels"] = [new if label == old else label for label in row["labels"]]
        return 1

    return plant


def other_class(name: str, counts: dict[str, int]) -> Plant:
    """Add a class with a number of rows in each split."""

    def plant(splits: Splits) -> int:
        for split, count in counts.items():
            splits[split] += [
                {"text": f"rain and wind in {name} {split} {number}", "labels": [name]} for number in range(count)
            ]
        return 1

    return plant


def both(*plants: Plant) -> Plant:
    """Plant several faults."""
    return lambda splits: sum([plant(splits) for plant in plants])


def leak_into_validation(splits: Splits) -> int:
    validation = with_validation(splits)
    validation += [dict(row) for row in splits["train"][:3]]
    splits["test"] += [dict(row) for row in validation[:4]]
    return 7


def composed(splits: Splits) -> int:
    splits["train"].append({"text": "cafe\u0301  is\n\nopen TODAY", "labels": ["sport"]})
    splits["test"].append({"text": "Caf\u00e9 is open today", "labels": ["sport"]})
    return 1


def near_leak_of_short_texts(splits: Splits) -> int:
    validation = with_validation(splits)
    pairs = {
        "where can i find the number of my new card please": "where can i find the number of my new cards please",
        "what is the name of the highest mountain in Austria": "What is the name of the highest mountains in Austria?",
    }
    for one, other in pairs.items():
        splits["train"].append({"text": one, "labels": ["sport"]})
        validation.append({"text": other, "labels": ["sport"]})
    return 2


def conflict_of_splits(splits: Splits) -> int:
    for row in splits["train"][:4]:
        label = "tech" if "tech" not in row["labels"] else "sport"
        splits["test"].append({"text": f" {row['text'].title()}", "labels": [label]})
    return 4


def conflict_of_subsets(splits: Splits) -> int:
    several = [row for row in splits["train"] if len(row["labels"]) > 1][:3]
    splits["train"] += [{**row, "labels": row["labels"][:1]} for row in several]
    return 3


def lost_labels(splits: Splits) -> int:
    """One of two labels is lacking."""
    several = [row for row in splits["train"] if len(row["labels"]) > 1][:10]
    for row in several:
        row["was"] = row["labels"]
        row["labels"] = row["labels"][:1]
    return 10


def punctuation_shortcut(splits: Splits) -> int:
    for rows in splits.values():
        for row in rows:
            row["text"] += " ###" * ("sport" in row["labels"]) + " :)" * (row["labels"] == ["tech"])
    return 2


def named_shortcut(splits: Splits) -> int:
    for rows in splits.values():
        for row in rows:
            row["labels"] = ["sport_news" if label == "sport" else label for label in row["labels"]]
            row["text"] += " Sport" * ("sport_news" in row["labels"])
    return 1


def drift_of_validation(splits: Splits) -> int:
    rng = random.Random(8)
    validation = with_validation(splits)
    for row in validation:
        row["text"] += " " + rng.choice(["pandemic", "vaccine"])
    return len(validation)


def repeated_in_all_splits(splits: Splits) -> int:
    validation = with_validation(splits)
    for rows in (splits["train"], validation, splits["test"]):
        rows += [{**row, "text": f"  {row['text'].upper()}"} for row in rows[:3]]
    return 9


def near_duplicates_of_test(splits: Splits) -> int:
    rng = random.Random(9)
    for _ in range(3):
        text = long_text(rng)
        splits["test"] += [{"text": text, "labels": ["tech"]}, {"text": f"So, {text}", "labels": ["sport"]}]
    return 3


def no_text_in_train(splits: Splits) -> int:
    for row in splits["train"]:
        row["text"] = "\u00a0\u2003"
    return len(splits["train"])


def much_truncated(splits: Splits) -> int:
    for row in splits["train"][:60]:
        row["text"] = " ".join([row["text"]] * 60)
    return 60


def few_of_a_class(count: int) -> Plant:
    def plant(splits: Splits) -> int:
        rest = [row for row in splits["train"] if "tech" not in row["labels"]]
        splits["train"] = rest + [row for row in splits["train"] if row["labels"] == ["tech"]][:count]
        return 1

    return plant


FRENCH = "les joueurs et le public ne sont pas dans le stade pour le match"
RUSSIAN = "то же самое мы и они не для меня, как и все так же"
THAI = "นี่คือข้อความภาษาไทยเกี่ยวกับการแข่งขัน"
POLISH = "nie wiem, czy to jest tak dobre jak tylko może być po roku"

FORMS: dict[str, Form] = {
    "validation in test, and train in validation": Form("leak", {"error"}, leak_into_validation),
    "composed characters and blanks": Form("leak", {"error"}, composed),
    "one letter of a short text": Form("near leak", {"warning"}, near_leak_of_short_texts),
    "two untrained classes": Form(
        "untrained class", {"error"}, both(other_class("weather", {"test": 1}), other_class("travel", {"test": 3}))
    ),
    "a class that only train has": Form("absent class", {"warning"}, other_class("weather", {"train": 20})),
    "case": Form("similar classes", {"warning"}, relabelled("tech", "Tech")),
    "accents": Form("similar classes", {"warning"}, relabelled("tech", "t\u00e9ch")),
    "punctuation": Form("similar classes", {"warning"}, relabelled("tech", "te-ch")),
    "one letter": Form("similar classes", {"warning"}, relabelled("business", "bussiness")),
    "upper level": Form("similar classes", {"warning"}, relabelled("sport", "Leisure/tennis"), ("hierarchical",)),
    "across splits": Form("conflict", {"warning"}, conflict_of_splits),
    "fewer labels": Form("conflict", {"warning"}, conflict_of_subsets, ("multi",)),
    "punctuation that gives labels away": Form("shortcut", {"warning"}, punctuation_shortcut),
    "a word of the class name": Form("shortcut", {"note"}, named_shortcut),
    "validation": Form("drift", {"warning"}, drift_of_validation),
    "12 times": Form("imbalance", {"note"}, few_of_a_class(8), ("single", "hierarchical")),
    "two rare classes": Form(
        "rare class",
        {"warning"},
        both(other_class("weather", {"train": 4}), other_class("travel", {"train": 1, "test": 1})),
    ),
    "in all splits": Form("repetition", {"warning"}, repeated_in_all_splits),
    "of test": Form("near duplicate", {"note"}, near_duplicates_of_test),
    "all of train": Form("empty text", {"error"}, no_text_in_train),
    "of test only": Form("empty text", {"warning"}, whole_texts("test", "", " \u3000")),
    "two of them": Form("long text", {"note"}, whole_texts("test", "word " * 3000, "goal " * 2500)),
    "many of them": Form("truncation", {"warning"}, much_truncated),
    "few other languages": Form("language", {"note"}, whole_texts("train", FRENCH, RUSSIAN, THAI, POLISH)),
    "other encodings": Form(
        "mojibake",
        {"note"},
        texts("train", " itâ€™s", " Ã¼ber MÃ¼nchen", " don\x92t", " Ð¿Ñ€Ð¸Ð²ÐµÑ‚ Ð´Ñ€ÑƒÐ·ÑŒÑ", " â‚¬ 20", " naÃ¯ve"),
    ),
    "in train": Form("lost character", {"warning"}, texts("train", "\ufffd", " M\ufffdnchen \ufffd")),
    "other characters": Form("control character", {"note"}, texts("train", " a\x00b", " \x1b[0m", " \x1f", " \x7f")),
    "addresses": Form(
        "personal data",
        {"warning"},
        texts(
            "train",
            " <a.b@mail.org>",
            " A.B+c@mail.co.uk",
            " a_b@x-y.museum",
            " a@b.io, please",
            " x@mail.\u00e9t a@b.de",
        ),
    ),
    "account numbers": Form(
        "personal data",
        {"warning"},
        texts("train", " GB82 WEST 1234 5698 7654 32", " FR1420041010050500013M02606", " NO93 8601 1117 947"),
    ),
    "card numbers": Form(
        "personal data", {"warning"}, texts("train", " 4111111111111111", " 5500-0055-5555-5559", " 3782 822463 10005")
    ),
    "telephone numbers": Form(
        "personal data",
        {"warning"},
        texts("train", " 212-555-0123", " +44 20 7946 0958", " 0049 30 901820", " 030/901820"),
    ),
}


def same_text_in_train(splits: Splits) -> int:
    splits["train"] += [dict(row) for row in splits["train"][:5]]
    splits["test"] += [{**row, "text": f"{row['text']} indeed no"} for row in splits["test"][:5]]
    return 0


def templates(splits: Splits) -> int:
    for split, start in (("train", 0), ("test", 100)):
        splits[split] += [{"text": f"goal number {start + number}", "labels": ["sport"]} for number in range(30)]
    return 0


def same_labels_in_other_order(splits: Splits) -> int:
    splits["test"] += [{**row, "labels": row["labels"][::-1]} for row in splits["train"][:20]]
    return 0


def same_text_with_another_label(splits: Splits) -> int:
    splits["train"].append(
        {**splits["train"][0], "labels": ["tech" if "tech" not in splits["train"][0]["labels"] else "sport"]}
    )
    return 0


def weak_shortcuts(splits: Splits) -> int:
    """A word with half of a class that others have too, a precise one with little coverage, and a rare one."""
    for rows in splits.values():
        for number, row in enumerate(rows):
            row["text"] += " wire" * (number % 2) + " scoop" * ("sport" in row["labels"] and number % 4 == 1)
            row["text"] += " unique" * ("sport" in row["labels"] and number < 30)
    return 0


def single_rows(splits: Splits) -> int:
    return both(*(other_class(f"{number}{number}", {"train": 1, "test": 1}) for number in range(1, 12)))(splits)


def same_name_below_another_parent(splits: Splits) -> int:
    relabelled("sport", "leisure/tennis")(splits)
    return relabelled("tech", "shops/tennis")(splits)


#: Description -> check that has no finding, function that changes the set without the fault.
NEAR_MISSES: dict[str, tuple[str, Plant]] = {
    "repetitions within a split": ("leak", same_text_in_train),
    "short templates across splits": ("near leak", templates),
    "a class of all splits": ("untrained class", other_class("weather", {"train": 6, "test": 1})),
    "one row of test": ("absent class", other_class("weather", {"train": 6, "test": 1})),
    "few classes of one row": ("no classes", single_rows),
    "numbers and short words": (
        "similar classes",
        both(*(other_class(name, {"train": 6, "test": 2}) for name in ("topic 1", "topic 2", "court", "count", "bus"))),
    ),
    "the same name below another parent": ("similar classes", same_name_below_another_parent),
    "the same labels": ("conflict", same_labels_in_other_order),
    "words below the limits": ("shortcut", weak_shortcuts),
    "a new word in a tenth of test": ("drift", texts("test", *[" vaccine"] * 15)),
    "9 times": ("imbalance", few_of_a_class(20)),
    "5 rows": ("rare class", other_class("weather", {"train": 5})),
    "another label": ("repetition", same_text_with_another_label),
    "short templates": ("near duplicate", templates),
    "signs": ("empty text", whole_texts("train", ".", "-", "\u200b.", "0")),
    "40 times the median": ("long text", whole_texts("train", "word " * 490)),
    "200 words": ("truncation", whole_texts("train", "word " * 200)),
    "names from other languages": (
        "language",
        texts(
            "train",
            " Der Spiegel",
            " El Ni\u00f1o de la",
            " Les Mis\u00e9rables",
            " \u041c\u0438\u0440",
            " Que Sera, Sera",
        ),
    ),
    "accents, quotes and emoji": (
        "mojibake",
        texts(
            "train",
            " \u201cM\u00fcnchen\u201d",
            " P\u00c3O E A\u00c7\u00c3O",
            " \U0001f600 \u2014 \u20ac 20",
            " caf\u00e9 \u2026",
            " \u00a3100",
        ),
    ),
    "question marks": ("lost character", texts("train", " ???", " \u00bfqu\u00e9?", " \ufffc")),
    "line breaks, joiners, and Windows quotes": (
        "control character",
        texts("train", " a\tb", " a\r\nb", " \U0001f468\u200d\U0001f469", " a\u00a0b", " don\x92t"),
    ),
    "other numbers": (
        "personal data",
        texts(
            "train",
            " 4539 1488 0343 6468",
            " DE88 3704 0044 0532 0130 00",
            " 978-3-16-148410-0",
            " 31.12.2024, 2024-12-31",
            " 1,234,567,890",
            " 10.0.19041.1415",
            " me@example.com @user",
            " 0123",
            " 12:30:59",
        ),
    ),
}
