"""Checks of the labels.

```text
names.py       classes that differ only in spelling; label columns of ids
counts.py      imbalance, rare classes, classes that a split lacks
noise.py       labels that are probably wrong
shortcuts.py   single words that give a label away
```
"""
