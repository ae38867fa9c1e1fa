"""Studies: one recipe trained with many settings and seeds; the best setting is chosen on validation.

```text
schema.py            StudyFile: the keys of a study file
conditions.py        Condition: when a step is trained
plan.py              read_study: the file; Step.propose: which settings a step trains; members
runner.py            run_study: trains new members, chooses a setting, scores it on test
results.py           StudyResult: members, settings over their seeds, ranking; study.json
learning_curves.py   scores by number of training rows
```
"""

from slugline.workflows.study.runner import run_study

__all__ = ["run_study"]
