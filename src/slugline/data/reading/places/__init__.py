"""One reader for each kind of place that rows come from.

```text
paths.py       files, globs, class folders, folders with a file per split
named.py       a set by its name: embedded, under SLUGLINE_DATA, or a known set of the Hub
known_sets.py  KNOWN_SETS: columns, labels, licence, rows and faults of each known set
hub.py         data sets of the Hugging Face Hub
```
"""
