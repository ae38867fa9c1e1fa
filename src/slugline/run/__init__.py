"""The run: one executed recipe, and the folder with its results.

```text
run.py                 Run: reads and writes a run folder; its state: running, interrupted, failed or complete
lifecycle.py           open_run: starts, resumes and replaces runs, and records the end of their processes
lock.py                locked: of several processes that open one folder, one is admitted
heartbeat.py           the file that a living process writes again and again
process.py             checks if the process of a run is alive
figures.py             figure: a figure of a run by its path, such as test.accuracy.low
bounds.py              Bound: a limit of a figure, such as > 0.92
prediction_tables.py   reads and writes predictions as Parquet tables
```
"""

from slugline.run.run import Run

__all__ = ["Run"]
