"""Checks of a data set: repeated texts, wrong labels, broken texts, personal data and more.

```text
run.py            run_checks: all checks; with_summary: the short ones before a training; CHECKS: their list
checked_rows.py   CheckedRows: the rows that a check reads; CheckOptions
patterns.py       patterns of personal data
fixing.py         FIXES; fixed: a data set without some problems; write_fixed: its copy with a list of changes
labels/           checks of the labels
texts/            checks of the texts
```
"""
