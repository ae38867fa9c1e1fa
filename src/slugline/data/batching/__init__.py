"""Batching: from texts to tensors.

```text
tokens.py                 texts to token ids: tokenises, truncates or divides into windows
token_ids.py              one call of the tokenizer; names of special tokens are read as text
token_arrays.py           tokens of many texts as flat arrays, in memory or mapped from files
token_cache.py            tokens on disk, an entry for every text
tokenizer_properties.py   special tokens around a text, and what determines the tokens of a text
truncation.py             which tokens of a long text are read: its head, tail, both, or windows
unknown.py                unknown tokens: what a tokenizer cannot represent
planning.py               forward passes: which texts go through the model together, padded arrays
ordering.py               order of the rows in each epoch: shuffled, by weights, from easy to hard
loaders.py                updates of the weights, divided into forward passes, as torch tensors
packing.py                sequences of equal length for pre-training: texts end to end
```
"""
