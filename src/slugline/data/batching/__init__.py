"""Batching: from texts to tensors.

```text
tokens.py                 texts to token ids: tokenises, caches, truncates or divides into windows
tokenizer_properties.py   special tokens around a text, and what determines the tokens of a text
truncation.py             which tokens of a long text are read: its head, tail, both, or windows
unknown.py                unknown tokens: what a tokenizer cannot represent
planning.py               forward passes: which texts go through the model together, padded arrays
loaders.py                updates of the weights, divided into forward passes, as torch tensors
packing.py                sequences of equal length for pre-training: texts end to end
```
"""
