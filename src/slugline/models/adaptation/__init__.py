"""Adaptation: the ways to train a base with few trainable weights.

```text
adapt.py             freezes or adds weights, by model.adapt
lora.py              low-rank matrices through PEFT
frozen_features.py   features of a frozen base, computed once
```
"""
