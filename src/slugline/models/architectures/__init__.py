"""Architectures: torch modules for use with transformers; they import no other module of `slugline.models`.

```text
pooled.py          classifier: any backbone, a pooling and a head
small_decoder.py   the small decoder that is trained from scratch
adapters.py        bottleneck adapters in the blocks of a backbone
float32_head.py    classification heads in float32
blocks.py          finds the base and the blocks of a model
```
"""
