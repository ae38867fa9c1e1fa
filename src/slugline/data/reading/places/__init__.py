"""One reader for each kind of place that rows come from.

```text
paths.py  files, globs, class folders, folders with a file per split
hub.py    data sets of the Hugging Face Hub
```
"""
