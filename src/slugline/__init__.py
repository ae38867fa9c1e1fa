"""Slugline: a recipe goes in, a run comes out, and everything else reads runs.

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

#: Public name -> module that holds it. Imported on first use, so that `import slugline` stays light.
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
