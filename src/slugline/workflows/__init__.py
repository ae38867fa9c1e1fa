"""Workflows: functions behind single commands that combine data, training and evaluation.

```text
check_data.py          check_data: all checks of a data set; fix_data: its copy without some of the problems
check_run.py           check_run: a run against levels of acceptance criteria, such as those of news.toml
demo.py                run_demo: trains three classifiers, compares them, predicts with the best
doctor.py              examine: hardware, versions and missing packages
first_recipe.py        first_recipe: a recipe for a data set; inspect_data: its description; refuse_data
propose_hierarchy.py   groups similar classes of a run into a tree
text_classifier.py     TextClassifier: a recipe as an estimator of scikit-learn
study/                 many runs from one recipe
```
"""
