"""Patterns of personal data: what is found, what is not, and in linear time."""

from __future__ import annotations

import time

import pytest

from slugline.data.checks.patterns import masked, passes_luhn, passes_mod97, personal_data
from slugline.data.checks.texts.encodings import CONTROL, repaired
from slugline.data.checks.texts.languages import STOP_WORDS, language_of, script_of


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("write to jane.doe+news@mail.example.co.uk today", "e-mail address"),
        ("(jane@mail.org)", "e-mail address"),
        ("pay to DE89 3704 0044 0532 0130 00.", "IBAN"),
        ("GB82WEST12345698765432", "IBAN"),
        ("card 4539 1488 0343 6467,", "card number"),
        ("4539-1488-0343-6467", "card number"),
        ("amex 378282246310005", "card number"),
        ("call +49 30 901820", "telephone number"),
        ("call 0049 30 901820 now", "telephone number"),
        ("tel. 212-555-0123", "telephone number"),
        ("(212) 555-0123", "telephone number"),
        ("020 7946 0958", "telephone number"),
    ],
)
def test_personal_data_is_found_and_masked(text: str, name: str) -> None:
    ((found, start, end),) = personal_data(text)
    assert found == name
    assert masked(text) == f"{text[:start]}<{name}>{text[end:]}"
    assert not any(character.isdigit() for character in masked(text))


@pytest.mark.parametrize(
    "text",
    [
        "profit rose to 1,234,567,890 dollars in 2024",
        "from 2024-12-31 to 2025-01-02 12:30:59",
        "31.12.2024 and 01/02/2025 and 1.2.2024",
        "card 4539 1488 0343 6468",  # wrong check digit
        "DE88 3704 0044 0532 0130 00",  # wrong check digits
        "order 1111111111111111",
        "ISBN 978-3-16-148410-0",
        "version 10.0.19041.1415, at 192.168.100.200",
        "pi is 3.14159265358979",
        "mail @user and user@localhost and me@example.com",
        "score 212-55, room 0123",
        "id 0049abc301820",
        "https://host/2024/0301/0123456789.html",
    ],
)
def test_other_numbers_are_no_personal_data(text: str) -> None:
    assert list(personal_data(text)) == []


def test_checksums() -> None:
    assert passes_luhn("79927398713")
    assert sum(passes_luhn(f"7992739871{digit}") for digit in range(10)) == 1
    assert passes_mod97("GB82WEST12345698765432")
    assert not passes_mod97("GB83WEST12345698765432")


@pytest.mark.parametrize(
    "part", ["1", "1 ", "a@", "a.", "DE89 ", "DE89 3704 ", "+49 ", "(212) ", "0", "@a.", "é", "00 4"]
)
def test_long_texts_take_linear_time(part: str) -> None:
    text = part * (200_000 // len(part))
    started = time.process_time()
    masked(text)
    language_of(text)
    CONTROL.search(text)
    assert time.process_time() - started < 6


def test_mojibake_is_repaired_and_other_texts_are_kept() -> None:
    assert repaired("le cafÃ© fermÃ© â€“ fin") == "le café fermé – fin"
    for text in ("le café fermé", "日本語", "plain", "Ã", "naïve — “quoted”"):
        assert repaired(text) == text


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("the trainer and the team are not happy with this match", "English"),
        ("der Trainer und die Spieler sind nicht zufrieden mit dem Spiel", "German"),
        ("les joueurs et le public ne sont pas dans le stade", "French"),
        ("то же самое мы и они не для меня", "Russian"),
        ("これは日本語のテキストです", "Japanese kana"),
        ("นี่คือข้อความภาษาไทย", "Thai"),
        ("12345 !!! 678", ""),
        ("oil prices fell sharply", ""),  # no common words
        ("ok", ""),
    ],
)
def test_the_language_of_a_text(text: str, language: str) -> None:
    assert language_of(text) == language


def test_scripts_of_mixed_texts() -> None:
    assert script_of("Toyota тойота тойота тойота") == "Cyrillic"
    assert script_of("abc") == ""
    assert all(len(words.split()) >= 15 for words in STOP_WORDS.values())
