"""The run: one executed recipe, and the folder with its evidence.

```text
run.py           Run: reads and writes a run folder
lifecycle.py     open_run: starts, resumes and replaces runs; their states
process.py       is the process of a run still alive?
predictions.py   predictions as Parquet files
```
"""

from slugline.run.run import Run

__all__ = ["Run"]
