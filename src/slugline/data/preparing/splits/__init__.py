"""Splits: which rows go to train, validation and test, to a subset, and to folds.

```text
apply_splits.py     cuts missing splits, takes a subset of train
split_rules.py      SPLIT_RULES: the ways to choose rows for splits and folds
stratified_rule.py  each class evenly
time_splits.py      in the order of data.time
assign_splits.py    stratified splits, subsets and folds of rows in hash order
group_splits.py     assigns groups of rows to splits
stratified_rows.py  assigns the other rows to splits
rows_to_split.py    RowsToSplit: what a rule knows about the rows
groups.py           groups: data.group, joined with near duplicates
```
"""
