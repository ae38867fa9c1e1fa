"""Patterns of personal data: e-mail addresses, IBANs, card and telephone numbers. All are searched in linear time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

#: Digits of a card number, and of a telephone number with the code of its country.
CARD_DIGITS = range(13, 20)
PHONE_DIGITS = range(9, 16)

#: Shortest and longest IBAN.
IBAN_LENGTHS = range(15, 35)


def passes_luhn(digits: str) -> bool:
    """Return True if the last digit is the check digit of the others (ISO/IEC 7812)."""
    doubled = [sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2]]
    return (sum(map(int, digits[::-2])) + sum(doubled)) % 10 == 0


def passes_mod97(iban: str) -> bool:
    """Return True if the check digits of an IBAN without blanks are right (ISO 13616)."""
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isdigit())


def _is_card(text: str) -> bool:
    digits = _digits(text)
    return len(digits) in CARD_DIGITS and digits[0] in "3456" and len(set(digits)) > 1 and passes_luhn(digits)


def _is_iban(text: str) -> bool:
    iban = text.replace(" ", "").upper()
    return len(iban) in IBAN_LENGTHS and passes_mod97(iban)


def _is_phone(text: str) -> bool:
    return len(_digits(text)) in PHONE_DIGITS


@dataclass(frozen=True)
class Pattern:
    """One kind of personal data.

    Args:
        name: its name in messages.
        expression: regular expression of candidates.
        is_valid: function that decides about a candidate.
        needs: characters of which each text with such data has one; other texts are not searched.
    """

    name: str
    expression: re.Pattern[str]
    is_valid: Callable[[str], bool]
    needs: str


DIGITS = "0123456789"

#: Kinds of personal data; a place in a text has the first kind that fits. Repetitions in the expressions are bounded.
PATTERNS = (
    Pattern(
        "e-mail address",
        re.compile(r"(?<![\w.%+-])[\w.%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])", re.ASCII),
        lambda text: not re.search(r"[@.]example\.(?:com|org|net)$", text.lower()),
        "@",
    ),
    Pattern(
        "IBAN",
        re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])"),
        _is_iban,
        DIGITS,
    ),
    Pattern(
        "card number",
        re.compile(r"(?<![\w.-])[0-9](?:[ -]?[0-9]){12,18}(?![\w-])", re.ASCII),
        _is_card,
        DIGITS,
    ),
    Pattern(
        "telephone number",
        # International (+49 30 ..., 0049 ...), national with a leading zero, or North American (212-555-0123).
        re.compile(
            r"(?<![\w.,/:-])(?<![0-9]{4} )"  # not a later group of digits
            r"(?![0-9]{1,2}[./-][0-9]{1,2}[./-][0-9]{2,4})"  # not a date
            r"(?:(?:\+|00)[1-9]|\(?0[1-9]|\(?[2-9][0-9]{2}\)?[ .-][2-9][0-9]{2}[ .-](?=[0-9]{4}(?![\w-])))"
            r"[0-9]?(?:[ ()./-]{0,2}[0-9]){3,13}(?![\w-])",
            re.ASCII,
        ),
        _is_phone,
        DIGITS,
    ),
)


def personal_data(text: str) -> Iterator[tuple[str, int, int]]:
    """Find personal data in a text.

    Args:
        text: any text.

    Yields:
        Name of the pattern, start and end of each place; places do not overlap.
    """
    taken: list[tuple[int, int]] = []
    for pattern in PATTERNS:
        if not any(character in text for character in pattern.needs):
            continue
        for match in pattern.expression.finditer(text):
            start, end = match.span()
            if any(start < other_end and other_start < end for other_start, other_end in taken):
                continue
            if pattern.is_valid(match.group()):
                taken.append((start, end))
                yield pattern.name, start, end


def masked(text: str) -> str:
    """Return a text with the name of its kind in place of each piece of personal data: ``<e-mail address>``."""
    for name, start, end in sorted(personal_data(text), key=lambda found: -found[1]):
        text = f"{text[:start]}<{name}>{text[end:]}"
    return text
