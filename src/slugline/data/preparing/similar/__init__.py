"""Near duplicates: texts that are the same or nearly the same, also among millions.

```text
near_duplicates.py  near_duplicates: clusters of texts, cached
pairs.py            pairs of texts that may be similar, and their exact similarity
sketches.py         shingles of a text, and their MinHash sketches
sorting.py          the different texts in their order
```
"""
