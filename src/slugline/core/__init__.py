"""Types and files that every package uses.

```text
errors.py          SluglineError and its subclasses
labels.py          LabelSet: class names in order
predictions.py     Predictions: logits and targets of one split; Calibration
layouts.py         names of all files in the folders of runs, studies and models
model_folders.py   model folders of others: formats, damaged files, adapters alone
storage.py         atomic writes of files and folders; disk errors; the cache folder
memory.py          exhausted memory: recognised and reported; memory that is freed
hardware.py        detects the hardware, chooses precision and profile
parallel_jobs.py   run_jobs: jobs in several processes; jobs_at_once: their number
messages.py        messages on stderr, unless the program configures logging
progress.py        progress of long tasks
termination.py     SIGTERM as an exception, deferred to the next checkpoint in a training
```
"""
