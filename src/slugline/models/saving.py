"""Trained models on disk: their folders, what checkpoints add to them, and how large they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from slugline.core.layouts import CheckpointLayout
from slugline.models.pretrained import quietly

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write a model folder in the Hugging Face layout: safetensors, configuration, tokenizer; no pickle.

    Args:
        model: trained.
        tokenizer: its tokenizer.
        folder: exists already.
    """
    with quietly():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    if model.config.model_type.startswith("slugline"):
        (folder / "README.md").write_text(
            "This classifier pools in a way that plain transformers does not know, which therefore refuses it.\n"
            "Upgrading transformers does not help. Load it with Slugline:\n\n"
            '    import slugline\n    slugline.load("this folder").predict(["a text"])\n\n'
            "or import `slugline.models.architectures.pooled` once before using the Auto classes.\n",
            encoding="utf-8",
        )


def load_evaluated_weights(model: PreTrainedModel, checkpoint: CheckpointLayout) -> None:
    """Give a model the weights that were evaluated at a checkpoint: the averaged ones where there are some.

    Args:
        model: of the checkpoint's architecture; changed in place.
        checkpoint: whole.
    """
    from safetensors.torch import load_file

    weights = load_file(checkpoint.weights)
    if checkpoint.averaged.is_file():
        weights |= load_file(checkpoint.averaged)
    # Tied weights are written once and stand in the model under several names.
    own = model.state_dict()
    tied = {own[name].data_ptr(): value for name, value in weights.items() if name in own}
    absent = {name: tied[value.data_ptr()] for name, value in own.items() if value.data_ptr() in tied}
    model.load_state_dict(absent | weights)


def size_of(model: PreTrainedModel) -> dict[str, int]:
    """Parameter counts for ``metrics.json``: all, trainable, and those of the embeddings and of the head.

    What is neither lies in the blocks.
    """
    counts = {
        name: (parameter.numel(), parameter.requires_grad)
        for name, parameter in model.named_parameters()
        if "original_module" not in name  # which PEFT keeps of a head that it trains a copy of
    }
    base = f"{model.base_model_prefix}."
    has_base = any(base in name for name in counts)
    return {
        "parameters": sum(count for count, _ in counts.values()),
        "trainable_parameters": sum(count for count, is_trained in counts.values() if is_trained),
        "embedding_parameters": sum(count for name, (count, _) in counts.items() if _is_embedding(name)),
        "head_parameters": sum(count for name, (count, _) in counts.items() if has_base and base not in name),
    }


def _is_embedding(name: str) -> bool:
    return any(part in name for part in ("embed", "wte", "wpe"))
