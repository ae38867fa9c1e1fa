"""Annotation exports to rows with labels: Label Studio, Doccano, Prodigy, Argilla.

```text
convert.py       EXPORTS: the formats by name; guess a format, convert rows, report disagreement
tasks.py         Task: a text with the answers of its annotators; the majority of answers
label_studio.py  Label Studio's JSON
doccano.py       Doccano's JSON lines, also one file for each annotator
prodigy.py       Prodigy's JSON lines: accept and reject, choices
argilla.py       Argilla's records: responses, then suggestions
```
"""
