"""Splits: which rows go to train, validation and test, to a subset, and to folds.

```text
apply_splits.py   cuts missing splits, takes a subset of train
assign_splits.py  chooses rows for splits, subsets and folds
group_splits.py   assigns groups of rows to splits
stratified_rows.py  assigns the other rows to splits
groups.py         groups: data.group, joined with near duplicates
time_splits.py    splits and folds in the order of data.time
```
"""
