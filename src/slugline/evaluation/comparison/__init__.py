"""Comparison of runs on the same rows.

```text
compare.py        compare: metrics of each run, with a verdict for each pair
alignment.py      align: runs on the same rows; refuse others
simultaneous.py   intervals and p-values of all pairs together
slices.py         shares of correct answers by class, length or confidence
paired_tests.py   McNemar's test and Holm's correction, for slices
```
"""
