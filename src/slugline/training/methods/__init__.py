"""Training methods: functions and callbacks that change the loss, the inputs, or the trained weights.

```text
losses.py              cross entropy and focal loss of single examples
class_weights.py       weights of the classes in the loss; adjustment of logits by class frequency
mixup.py               mixup and CutMix of hidden states
token_dropout.py       masks random tokens in each forward pass
augmentation.py        AUGMENTATIONS; augmented: changed copies of the texts of small classes
augmenting_models.py   augmentations by embeddings, masked language models, paraphrases
unfreezing.py          gradual unfreezing of the blocks of the base
language_modeling.py   masked and causal language modelling, for pre-training
```
"""
