"""Data sets larger than the memory: rows and texts in Arrow tables, which are written and read a batch at a time.

```text
rows.py      Rows: rows as read
values.py    columns of a batch to Arrow arrays and back
coded.py     Coded: many values of which few are different
texts.py     Texts: a column of texts by row numbers; columns of finished splits, a batch at a time
digests.py   hashes of rows and texts
table.py     Table: record batches in memory or in a temporary file
```
"""
