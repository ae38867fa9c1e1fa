"""From a place to rows: a file, a folder, a known set or a set of the Hub becomes `RawData`.

```text
sources.py      read: a section of the recipe in, RawData out; known sets
paths.py        files, globs, class folders, folders with a file per split
hub.py          data sets of the Hugging Face Hub
formats/        read_rows: one file of any format, row by row
encoding/       detects the encoding of a text file
raw_data.py     RawData: rows as read, by split, and their source
class_names.py  class names of columns of integers
columns.py      text and label columns, given or guessed
label_cells.py  one label from a cell; reports combinations and names that look alike
texts.py        the text of a row, from one or several columns
labels.py       labels to class names; label maps
```
"""
