"""Sets of each label kind without a fault, and faults to plant in them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from conftest import TOPICS, articles

KINDS = ("single", "multi", "hierarchical")

#: Topic -> its path in a hierarchy; other labels without a path are below ``other``.
PATHS = {
    **{name: f"money/{name}" for name in ("business", "bussiness", "tech", "Tech", "t\u00e9ch", "te-ch")},
    **{name: f"leisure/{name}" for name in ("sport", "sports")},
}

Rows = list[dict[str, Any]]


def clean_rows(kind: str) -> dict[str, Rows]:
    """300 rows of train and 150 of test without a fault; in a multi-label set every fifth has two labels."""
    rng = random.Random(3)
    splits: dict[str, Rows] = {"train": articles(300, seed=1), "test": articles(150, seed=2)}  # type: ignore[dict-item]
    for rows in splits.values():
        for number, row in enumerate(rows):
            row["labels"] = [row.pop("label")]
            if kind == "multi" and number % 5 == 0:
                other = rng.choice([topic for topic in TOPICS if topic not in row["labels"]])
                row["labels"].append(other)
                row["text"] += " " + " ".join(rng.sample(TOPICS[other], k=4))
    return splits


def write_set(folder: Path, splits: dict[str, Rows], kind: str) -> Path:
    """Write a folder with a file of JSON lines for each split."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in splits.items():
        lines = [{"text": row["text"], "label": _cell(row["labels"], kind)} for row in rows]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / f"{split}.jsonl").write_text(text, encoding="utf-8", errors="surrogatepass")
    return folder


def _cell(labels: Sequence[str], kind: str) -> str | list[str]:
    if kind == "multi":
        return list(labels)
    if kind != "hierarchical" or "/" in labels[0]:
        return labels[0]
    return PATHS.get(labels[0], f"other/{labels[0]}")


def long_text(rng: random.Random) -> str:
    """30 words that no other text has."""
    return " ".join(f"w{rng.randrange(10**6)}" for _ in range(30))


def leak(splits: dict[str, Rows]) -> int:
    splits["test"] += [{**row, "text": row["text"].upper()} for row in splits["train"][:7]]
    return 7


def near_leak(splits: dict[str, Rows]) -> int:
    rng = random.Random(5)
    for _ in range(4):
        text = long_text(rng)
        splits["train"].append({"text": text, "labels": ["sport"]})
        splits["test"].append({"text": f"{text} again", "labels": ["sport"]})
    return 4


def untrained_class(splits: dict[str, Rows]) -> int:
    splits["test"] += [{"text": f"rain and wind {number}", "labels": ["weather"]} for number in range(6)]
    return 1


def absent_class(splits: dict[str, Rows]) -> int:
    splits["test"] = [row for row in splits["test"] if "sport" not in row["labels"]]
    return 1


def no_classes(splits: dict[str, Rows]) -> int:
    splits.pop("test")
    for number, row in enumerate(splits["train"]):
        row["labels"] = [f"item{number}"]
    return len(splits["train"])


def similar_classes(splits: dict[str, Rows]) -> int:
    for rows in splits.values():
        for row in rows[1::6]:
            row["labels"] = ["sports" if label == "sport" else label for label in row["labels"]]
    return 1


def conflict(splits: dict[str, Rows]) -> int:
    own = [row for row in splits["train"] if row["labels"] == ["sport"]][:5]
    splits["train"] += [{"text": row["text"], "labels": ["tech"]} for row in own]
    return 5


def label_noise(splits: dict[str, Rows]) -> int:
    """Every twentieth row gets another topic; ``was`` has the right one."""
    rng = random.Random(2)
    chosen = [row for rows in splits.values() for row in rng.sample(rows, k=len(rows) // 20)]
    for row in chosen:
        row["was"] = row["labels"]
        row["labels"] = [rng.choice([topic for topic in TOPICS if topic not in row["labels"]])]
    return len(chosen)


def shortcut(splits: dict[str, Rows]) -> int:
    for rows in splits.values():
        for row in rows:
            if "sport" in row["labels"]:
                row["text"] = f"sportswire {row['text']}"
    return 1


def drift(splits: dict[str, Rows]) -> int:
    rng = random.Random(6)
    for row in splits["test"]:
        row["text"] += " " + " ".join(rng.choices(["pandemic", "vaccine", "lockdown", "mask"], k=2))
    return len(splits["test"])


def imbalance(splits: dict[str, Rows]) -> int:
    tech = [row for row in splits["train"] if "tech" in row["labels"]]
    kept = tech[:6]
    more = [{"text": f"{row['text']} {row['text']}x", "labels": ["sport"]} for row in articles(320, seed=9)]
    splits["train"] = [row for row in splits["train"] if row not in tech] + kept + more
    return 1


def rare_class(splits: dict[str, Rows]) -> int:
    splits["train"] += [{"text": f"rain and wind {number}", "labels": ["weather"]} for number in range(3)]
    return 1


def repetition(splits: dict[str, Rows]) -> int:
    splits["train"] += [dict(row) for row in splits["train"][:8]]
    return 8


def near_duplicate(splits: dict[str, Rows]) -> int:
    rng = random.Random(7)
    for _ in range(5):
        text = long_text(rng)
        splits["train"] += [{"text": f"{text}{end}", "labels": ["tech"]} for end in ("", " again", " again today")]
    return 5


def empty_text(splits: dict[str, Rows]) -> int:
    for row, text in zip(splits["train"][10:14], ("", " ", "\t \n", "  "), strict=True):
        row["text"] = text
    return 4


def long_texts(splits: dict[str, Rows]) -> int:
    splits["train"][0]["text"] = " ".join(f"word{number}" for number in range(4_000))
    return 1


def truncated(splits: dict[str, Rows]) -> int:
    for row in splits["train"][:3]:
        row["text"] = " ".join([row["text"]] * 60)
    return 3


def language(splits: dict[str, Rows]) -> int:
    for number, row in enumerate(splits["train"][:40]):
        row["text"] = f"der Trainer und die Spieler sind nicht mit dem Spiel Nummer {number} zufrieden"
    return 40


def mojibake(splits: dict[str, Rows]) -> int:
    for row in splits["train"][:6]:
        row["text"] += " le cafÃ© fermÃ©"
    return 6


def lost_character(splits: dict[str, Rows]) -> int:
    for row in splits["test"][:2]:
        row["text"] += " caf\ufffd"
    return 2


def control_character(splits: dict[str, Rows]) -> int:
    for row in splits["train"][:9]:
        row["text"] = row["text"].replace(" ", " \x07", 1)
    return 9


def personal_data(splits: dict[str, Rows]) -> int:
    texts = (
        "write to jane.doe@mail.org",
        "call +49 30 901820 today",
        "card 4539 1488 0343 6467",
        "pay to DE89 3704 0044 0532 0130 00",
    )
    for row, text in zip(splits["train"], texts, strict=False):
        row["text"] += f" {text} "
    return 4


#: Check -> function that plants its fault and returns the number that its findings have to state; its level.
FAULTS: dict[str, tuple[Callable[[dict[str, Rows]], int], str]] = {
    "leak": (leak, "error"),
    "near leak": (near_leak, "warning"),
    "untrained class": (untrained_class, "error"),
    "absent class": (absent_class, "warning"),
    "no classes": (no_classes, "error"),
    "similar classes": (similar_classes, "warning"),
    "conflict": (conflict, "warning"),
    "label noise": (label_noise, "warning"),
    "shortcut": (shortcut, "warning"),
    "drift": (drift, "warning"),
    "imbalance": (imbalance, "warning"),
    "rare class": (rare_class, "warning"),
    "repetition": (repetition, "warning"),
    "near duplicate": (near_duplicate, "note"),
    "empty text": (empty_text, "warning"),
    "long text": (long_texts, "note"),
    "truncation": (truncated, "note"),
    "language": (language, "warning"),
    "mojibake": (mojibake, "note"),
    "lost character": (lost_character, "warning"),
    "control character": (control_character, "note"),
    "personal data": (personal_data, "warning"),
}
