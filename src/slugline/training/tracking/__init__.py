"""Experiment trackers, such as TensorBoard or Weights & Biases.

```text
environment.py   TRACKERS: where each tracker writes; tracking: sets and restores environment variables
callback.py      TrackerCallback: passes the events of a training to the trackers
```
"""
