"""Evaluation: metrics of predictions, comparisons of runs, and a diagnosis of each training.

```text
evaluate.py         predict, evaluate: a classifier on a split, with timing
score.py            score: predictions to metrics with confidence intervals
metrics.py          METRICS by name; summary: all metrics of one split
outcomes/           predictions as arrays, for every kind of label set; statistics of each class
calibration.py      temperature scaling, fitted on validation
intervals.py        bootstrap and Wilson intervals
comparison/         compare: runs on the same rows, with a verdict for each pair
error_analysis.py   confused classes and the most confident errors
plots/              training curves, confusion matrices, errors of labels, learning curves
diagnosis/          problems of a run, and recipe keys that may fix them
```
"""
