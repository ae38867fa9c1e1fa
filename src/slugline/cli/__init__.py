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
output.py        results in tables, or as JSON, on stdout
show_checks.py   findings of data check, and what was fixed
layout.py        tables and sentences that fit the terminal
streams.py       stdout and stderr, whose readers may exit
```
"""

from __future__ import annotations

from slugline.cli.app import main

__all__ = ["main"]
