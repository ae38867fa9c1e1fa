"""From one recipe to one run; scoring and comparison of runs.

```text
training.py           train: recipe in, run out
pretraining.py        pretrain: texts in, backbone out
cross_validation.py   one run per fold, several at once, and their ensemble
steps.py              fit, calibrate, score, write the results
out_of_scope.py       how well a model abstains on the class data.out_of_scope
run_data.py           the data set of a run, checked for changes
learned_rows.py       rows that a run has learned from, left out of other evaluations
evaluate_model.py     evaluate_on, score_split: score a model on other data
compare_runs.py       compare_runs: compare run folders
```
"""

from slugline.pipeline.compare_runs import compare_runs, warn_of_sizes
from slugline.pipeline.evaluate_model import evaluate_on, score_split
from slugline.pipeline.pretraining import pretrain
from slugline.pipeline.training import train

__all__ = ["compare_runs", "evaluate_on", "pretrain", "score_split", "train", "warn_of_sizes"]
