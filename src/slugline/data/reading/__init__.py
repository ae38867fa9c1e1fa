"""From a place to rows: a file, a folder, a known set or a set of the Hub becomes `RawData`.

```text
sources.py      read: a section of the recipe in, RawData out; known sets
paths.py        files, globs, class folders, folders with a file per split
hub.py          data sets of the Hugging Face Hub
formats.py      read_rows: CSV, TSV, JSON lines, JSON, Parquet, plain text
encoding.py     detects the encoding of a text file
raw_data.py     RawData: rows as read, by split, and their source
columns.py      text and label columns, given or guessed
texts.py        the text of a row, from one or several columns
labels/         from cells to class names; label maps
```
"""
