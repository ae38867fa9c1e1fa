"""Models: building, adapting, loading, running and saving torch classifiers and language models.

```text
config.py           configurations of models to be trained
build.py            builds classifiers from a recipe
language_model.py   builds and saves models with a head over the vocabulary, for pre-training
adaptation/         selects the weights that are trained
architectures/      torch modules: classifier, small decoder, adapters
pretrained.py       loads bases and trained models, from a folder or the Hub
tokenizers.py       loads or trains tokenizers
forward.py          forward passes: tokens to logits
precision.py        tries the precision that the hardware is fast at
memory.py           smaller forward passes when memory runs out
saving.py           writes model folders, loads weights of checkpoints
```
"""
