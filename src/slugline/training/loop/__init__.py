"""The training loop: transformers' ``Trainer``, and what fine-tuning and pre-training have in common.

```text
session.py            TrainingSession, run_training: one training from start to the best weights
trainer.py            ClassifierTrainer: exact updates, recovery from exhausted memory
method.py             Method: loss, learning rates and regularisation
arguments.py          recipe keys as TrainingArguments; checks of [train.arguments]
schedules.py          learning rate of each update
loss_scaling.py       divergence, and updates that the gradient scaler of float16 skips
parameter_groups.py   learning rate and weight decay of each parameter
callbacks.py          when to evaluate, save and stop; the history
checkpoints.py        sealed checkpoints; Progress: state that Trainer does not store
resuming.py           the checkpoint to resume from, and its progress
weight_averaging.py   averages of the weights over updates
train_metrics.py      running metrics on the training rows
```
"""
