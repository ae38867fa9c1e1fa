"""`KINDS`: the kinds of models, what they can do, and the functions that build, train and load them.

A row names its functions as ``module:function``, so that reading it imports nothing. Code reads a capability of
a kind and never compares its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal


@dataclass(frozen=True)
class Kind:
    """One kind of model.

    Args:
        title: name in words.
        fit: ``module:function`` that trains it, see `slugline.training.fit`.
        load: ``module:function`` that loads a saved model, see `slugline.inference.load`.
        saved_as: file by which its model folders are recognised.
        build: ``module:function`` that builds the model, see `slugline.models.build`; empty if fitting creates it.
        objective: objective of pre-training; empty = the kind cannot be pre-trained.
        default_base: default of ``model.base``.
        default_pooling: pooling if neither recipe nor base names one.
        is_pretrained: True if training starts from pre-trained weights of ``model.base``.
        is_causal: True if the base has to be a causal language model.
        has_native_head: True if the architecture may have a classification head of its own.
        has_updates: True if training consists of gradient updates, with checkpoints, history and trackers.
        has_random_training: True if its training depends on the seed.
        has_margins: True if its logits are margins, which calibration has to scale before they are probabilities.
        keys: keys of ``[model]`` that only this kind has.
        train_keys: keys of ``[train]`` that its training reads; empty = all.
    """

    title: str
    fit: str
    load: str = "slugline.inference.load_transformer:load_transformer"
    saved_as: str = "config.json"
    build: str = ""
    objective: Literal["masked", "causal", ""] = ""
    default_base: str = "embedded"
    default_pooling: Literal["native", "mean"] = "native"
    is_pretrained: bool = False
    is_causal: bool = False
    has_native_head: bool = False
    has_updates: bool = True
    has_random_training: bool = True
    has_margins: bool = False
    keys: tuple[str, ...] = ()
    train_keys: tuple[str, ...] = ()

    def reads(self, train_key: str) -> bool:
        """True if its training reads this key of ``[train]``."""
        return not self.train_keys or train_key in self.train_keys

    @property
    def is_from_scratch(self) -> bool:
        """True if training starts from random weights."""
        return self.has_updates and not self.is_pretrained


FINETUNE = "slugline.training.finetune:fit_transformer"

#: ``model.kind`` -> the kind.
KINDS: dict[str, Kind] = {
    "encoder": Kind(
        "fine-tuned encoder",
        fit=FINETUNE,
        build="slugline.models.build:build_pretrained",
        objective="masked",
        is_pretrained=True,
        has_native_head=True,
    ),
    "decoder": Kind(
        "fine-tuned decoder",
        fit=FINETUNE,
        build="slugline.models.build:build_pretrained",
        objective="causal",
        is_pretrained=True,
        is_causal=True,
        has_native_head=True,
    ),
    "scratch": Kind(
        "small decoder trained from scratch",
        fit=FINETUNE,
        build="slugline.models.build:build_scratch",
        objective="causal",
        default_base="",
        default_pooling="mean",
        keys=("size", "layers", "width", "ffn", "heads", "positions", "tokenizer", "vocabulary_size"),
    ),
    "linear": Kind(
        "TF-IDF and a linear SVM",
        fit="slugline.training.linear:fit_linear",
        load="slugline.inference.linear:load_linear",
        saved_as="linear.json",
        has_updates=False,
        has_random_training=False,
        has_margins=True,
        train_keys=(
            "class_weights",
            "class_weight_bounds",
            "select_by",
            "folds",
            "ensemble",
            "profile",
            "device",
            "workers",
            "threads",
            "report_to",
        ),
    ),
}


def resolve(reference: str | Callable[..., Any]) -> Callable[..., Any]:
    """Import the function that ``module:function`` names; a function is returned as it is."""
    if callable(reference):
        return reference
    module, _, name = reference.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function
