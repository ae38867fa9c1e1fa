"""Batching: from texts to tensors.

```text
tokens.py     texts to token ids: tokenises, caches, truncates or divides into windows
unknown.py    unknown tokens: what a tokenizer cannot represent
planning.py   forward passes: which texts go through the model together, padded arrays
ordering.py   order of the rows in each epoch: shuffled, by weights, from easy to hard
loaders.py    updates of the weights, divided into forward passes, as torch tensors
packing.py    sequences of equal length for pre-training: texts end to end
```
"""
