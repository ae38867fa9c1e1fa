"""Predictions as arrays with one entry for each row, for every kind of label set, and statistics of them.

```text
outcomes.py         Outcomes: what metrics read; outcomes_of: predictions to outcomes
single_label.py     one label a text: cells of the confusion matrix
multi_label.py      any number of labels a text: true and predicted labels
class_counts.py     ClassCounts: precision, recall and F1 of each class, and their averages
tree.py             levels of a hierarchy, hierarchical F1
abstention.py       confidences of texts in and out of scope
statistics.py       log-likelihood, calibration error, sums of groups
```
"""
