"""Checks of the texts.

```text
repeated.py        repetitions, leaks, near duplicates, texts with different labels
encodings.py       mojibake, lost characters, control characters
lengths.py         empty, long and truncated texts
languages.py       mixture of languages
personal_data.py   e-mail addresses, telephone numbers, card numbers, IBANs
drift.py           difference between splits
```
"""
