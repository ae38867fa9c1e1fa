"""Training: from a recipe and a data set to a saved model.

```text
fit.py          fit, fit_backbone: entry points; checks before any data is read
finetune.py     fine-tuning of a transformer as a classifier
pretrain.py     pre-training of a transformer on texts without labels
linear.py       training of the linear kind
label_kinds.py  LABEL_KINDS: losses, weights and metrics of each kind of label set
inputs.py       rows in the form that the model reads: tokens, or features of a frozen base
tokenizer.py    the tokenizer of a training
runtime.py      device, profile, precision and threads
result.py       FitResult, PretrainResult
loop/           the training loop
methods/        losses, mixup, token dropout, unfreezing, language modelling
tracking/       experiment trackers
```
"""
