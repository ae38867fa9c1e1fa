"""The command line: parses arguments, calls one function, prints its result.

Heavy imports happen inside commands, so that ``--help`` is fast.

```text
app.py           the application: commands, errors, exit codes
train.py         train, pretrain
models.py        evaluate, predict
studies.py       study
results.py       show, compare, check
recipes.py       recipe new, show, schema
data.py          data list, inspect, check, prepare, hierarchy
system.py        demo, doctor
printing/        tables, sentences and JSON on stdout
```
"""

from __future__ import annotations

from slugline.cli.app import main

__all__ = ["main"]
