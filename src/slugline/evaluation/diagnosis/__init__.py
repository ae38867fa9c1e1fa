"""Diagnosis: problems of a finished run in plain sentences, with recipe keys that may fix them.

```text
diagnose.py        diagnose, diagnose_folds; CHECKS: all checks in order of importance
evidence.py        Evidence: the numbers that checks read; Diagnosis: their result
learning_rate.py   nothing learned, learning rate too high or too low, unstable training, long warm-up
warmup.py          the warm-up of the learning rate in updates; its warning at the start of a training
guessing.py        models that are no better than guessing, for every kind of labels
overfitting.py     overfitting, underfitting, stopped too early, wasted epochs
results.py         weak classes, differing test split, truncation, calibration, time
```
"""
