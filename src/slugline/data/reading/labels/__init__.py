"""Labels: from the cells of the label columns to class names and the kind of the label set.

```text
naming.py       name_labels: class names of all rows, their order, and the kind of the set
cells.py        the labels in one cell
delimiters.py   several labels in a cell: the delimiter, given or guessed
columns.py      several label columns: one 0/1 column a label, or the levels of a path
hierarchy.py    paths: their parts, their order, and whether labels are paths
class_names.py  class names of columns of integers
label_map.py    renames and merges classes
unlabelled.py   rows whose labels are missing or not published
report.py       labels that look alike, or like combinations
```
"""
