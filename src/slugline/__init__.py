"""Slugline trains and evaluates text classifiers: a recipe goes in, a run comes out.

```text
cli/           commands: parse, call, print
workflows/     demo, doctor, first recipe, studies
pipeline/      one recipe to one run; scoring and comparing runs
training/      a recipe and a data set to a saved model
evaluation/    predictions to scores, intervals, comparisons, plots, a diagnosis
inference/     saved models to classifiers; texts to predictions
models/        architectures, their heads and adapters, forward passes
data/          sources to rows, rows to splits, texts to tensors
run/           the run folder and its life cycle
recipe/        the recipe: keys, defaults, checks
core/          types and files that every package uses
__main__.py    python -m slugline
```

>>> from slugline import Recipe, train, load, compare
>>> run = train(Recipe.model_validate({"name": "bbc", "data": {"name": "bbc_news"}}))  # doctest: +SKIP
>>> load(run).predict(["Oil prices dropped as the stock market crashed."])  # doctest: +SKIP
array(['business'], dtype='<U13')
>>> compare(run, train(Recipe.read("baseline.toml")))  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from slugline.inference.load import load
    from slugline.pipeline import train
    from slugline.pipeline.compare_runs import compare_runs as compare
    from slugline.pipeline.evaluate_model import evaluate_on as evaluate
    from slugline.recipe.recipe import Recipe
    from slugline.run.run import Run
    from slugline.workflows.text_classifier import TextClassifier

#: Public name -> module, and name in it. Modules are imported on first use, so that `import slugline` is fast.
_PUBLIC = {
    "Recipe": "slugline.recipe.recipe:Recipe",
    "Run": "slugline.run.run:Run",
    "TextClassifier": "slugline.workflows.text_classifier:TextClassifier",
    "compare": "slugline.pipeline:compare_runs",
    "evaluate": "slugline.pipeline:evaluate_on",
    "load": "slugline.inference.load:load",
    "train": "slugline.pipeline:train",
}

__all__ = ["Recipe", "Run", "TextClassifier", "compare", "evaluate", "load", "train"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        from slugline.core.errors import nearest

        raise AttributeError(f"module 'slugline' has no attribute {name!r}.{nearest(name, list(_PUBLIC))}")
    module, _, attribute = _PUBLIC[name].partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
