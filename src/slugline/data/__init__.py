"""Texts and labels on their way to the model: read, checked, split, tokenised, batched.

```text
reading/      from a place to rows
preparing/    from rows to checked splits
checks/       what is wrong with a data set, and fixes
batching/     from texts to tokens and batches
tables/       rows and texts in Arrow tables that may be larger than the memory
dataset.py    TextDataset: texts and labels in splits, with their origin
load.py       load_dataset: from a data section to a data set
identity.py   DataIdentity: recognises data by what was stored about it
folds.py      folds_of: the data sets of a cross-validation
corpus.py     Corpus: texts without labels, to pre-train on
prepared.py   prepared sets: a data set written to files
findings.py   Finding: something noticed about the data
```
"""
