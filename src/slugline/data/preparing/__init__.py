"""Preparation: from rows to splits.

```text
loading.py         read_examples: columns, labels, row ids and cleaned texts of all sources
row_ids.py         row ids and fingerprints
cleaning.py        clean: the cleaning steps
artefacts.py       cleaning step: special tokens, broken entities, stray backslashes
examples.py        Examples: ids, texts and labels of one split
class_filters.py   drops classes, reports classes without rows
filters.py         drops empty and short texts, leaks, repetitions
duplicates.py      finds repetitions, conflicts, leaks
similar/           finds near duplicates
splits/            which rows go to which split, subset and fold
split_tables.py    finished splits as tables
statistics.py      text lengths, class imbalance
```
"""
