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

>>> from slugline import Recipe, train, load
>>> run = train(Recipe.model_validate({"name": "bbc", "data": {"name": "bbc_news"}}))  # doctest: +SKIP
>>> load(run.path).predict(["Oil prices dropped as the stock market crashed."])  # doctest: +SKIP
['business']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from slugline.evaluation.compare import compare
    from slugline.evaluation.evaluate import evaluate
    from slugline.inference.load import load
    from slugline.pipeline import train
    from slugline.recipe.recipe import Recipe

#: Public name -> module. Modules are imported on first use, so that `import slugline` is fast.
_PUBLIC = {
    "Recipe": "slugline.recipe.recipe",
    "compare": "slugline.evaluation.compare",
    "evaluate": "slugline.evaluation.evaluate",
    "load": "slugline.inference.load",
    "train": "slugline.pipeline",
}

__all__ = ["Recipe", "compare", "evaluate", "load", "train"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'slugline' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
