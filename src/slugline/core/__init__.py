"""Types and files that every package uses.

```text
errors.py        SluglineError and its subclasses
labels.py        LabelSet: class names in order
predictions.py   Predictions: logits and targets of one split; Calibration
layouts.py       names of all files in the folders of runs, studies and models
storage.py       files that are complete or do not exist; the cache folder
hardware.py      detect the hardware, choose precision and profile
executor.py      run_jobs: jobs in several processes
progress.py      progress of long tasks
```
"""
