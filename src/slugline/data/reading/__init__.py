"""From a place to rows: a file, a folder, a known set or a set of the Hub becomes `RawData`.

```text
sources.py       read: a section of the recipe in, RawData out
places/          one reader for each kind of place: paths, names, the Hub
exports/         annotation exports: Label Studio, Doccano, Prodigy, Argilla
given_splits.py  the splits that a source brings: a column, separate files, files without labels
formats/         read_rows: one file of any format, row by row
encoding/        detects the encoding of a text file
raw_data.py      RawData: rows as read, by split, and their source
columns.py       text and label columns, given or guessed
texts.py         the text of a row, from one or several columns
labels/          from cells to class names; label maps
```
"""
