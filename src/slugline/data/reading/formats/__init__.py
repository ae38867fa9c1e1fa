"""From a file to rows: every format in one table, `READERS`.

```text
read.py          read_rows; READERS, the formats by suffix
files.py         File, and Reading: its form, as far as the user states it
compressed.py    gzip, Zstandard, bzip2, xz, zip archives with one table
delimited.py     CSV and TSV: delimiter, quoting
cells.py         rows from lists of cells: header, unnamed columns, ragged rows
column_names.py  usual names of columns, columns without a name
json_files.py    JSON lines and JSON, value by value
json_shapes.py   rows of a JSON object: a wrapped list, the columns of pandas
plain_text.py    text lines, fastText, tables called .txt
arrow_files.py   Parquet, Arrow, Feather
spreadsheets.py  the first sheet of Excel and OpenDocument files
```
"""

from slugline.data.reading.formats.files import GUESSED, File, Reading, Row, path_hint
from slugline.data.reading.formats.json_files import replace_surrogates
from slugline.data.reading.formats.read import READERS, bare_name, can_read, known_suffixes, read_rows

__all__ = [
    "GUESSED",
    "READERS",
    "File",
    "Reading",
    "Row",
    "bare_name",
    "can_read",
    "known_suffixes",
    "path_hint",
    "read_rows",
    "replace_surrogates",
]
