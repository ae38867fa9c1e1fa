"""Trained models on disk: writing model folders, loading the weights of checkpoints, counting parameters."""

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
        model: trained model.
        tokenizer: its tokenizer.
        folder: existing folder.
    """
    with quietly():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    if model.config.model_type.startswith("slugline"):
        (folder / "README.md").write_text(
            "Plain transformers cannot load this classifier, because Slugline implements its pooling.\n"
            "Upgrading transformers does not help. Load it with Slugline:\n\n"
            '    import slugline\n    slugline.load("this folder").predict(["a text"])\n\n'
            "or import `slugline.models.architectures.pooled` once, before the Auto classes.\n",
            encoding="utf-8",
        )


def load_evaluated_weights(model: PreTrainedModel, checkpoint: CheckpointLayout) -> None:
    """Load the weights that were evaluated at a checkpoint: the averaged weights if there are any.

    Args:
        model: model of the checkpoint's architecture; changed in place.
        checkpoint: complete checkpoint.
    """
    from safetensors.torch import load_file

    weights = load_file(checkpoint.weights)
    if checkpoint.averaged.is_file():
        weights |= load_file(checkpoint.averaged)
    # Tied weights are stored once, but the model has them under several names.
    state = model.state_dict()
    by_address = {state[name].data_ptr(): value for name, value in weights.items() if name in state}
    tied = {name: by_address[value.data_ptr()] for name, value in state.items() if value.data_ptr() in by_address}
    model.load_state_dict(tied | weights)


def size_of(model: PreTrainedModel) -> dict[str, int]:
    """Return parameter counts for ``metrics.json``: all, trainable, of the embeddings, of the head.

    All other parameters belong to the blocks.
    """
    counts = {
        name: (parameter.numel(), parameter.requires_grad)
        for name, parameter in model.named_parameters()
        if "original_module" not in name  # PEFT trains a copy of the head and keeps the original
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
