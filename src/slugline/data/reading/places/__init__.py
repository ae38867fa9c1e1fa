"""One reader for each kind of place that rows come from.

```text
paths.py          a file, a glob, a folder, or a URL
remote.py         files at a URL, copied into the cache folder
files.py          read_files: the rows of files, by split
folders.py        the layouts of a folder: files or folders of splits, class folders; metadata.json
split_names.py    the split of a file or folder, from its name
class_folders.py  a file for each text, in a folder for each class
named.py          a set by its name: embedded, under SLUGLINE_DATA, or a known set of the Hub
known_sets.py     KNOWN_SETS: columns, labels, licence, rows and faults of each known set
queries.py        the result of a SQL query of DuckDB
hub.py            data sets of the Hugging Face Hub, and folders of save_to_disk
```
"""
