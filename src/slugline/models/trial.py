"""Trial passes over short texts: they find out what the configuration of a model does not state.

- `longest_input`: the positions that the model has.
- `require_padding`: whether padding changes logits, and on which side it does not.
- `require_block_states`: whether the blocks return the states of all tokens.
- `states_width`: the width of the states that a backbone returns.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from slugline.core.errors import ModelError
from slugline.core.memory import is_out_of_memory
from slugline.data.batching.tokenizer_properties import special_tokens
from slugline.models.architectures.blocks import blocks_of, embedding_rows, states_in
from slugline.models.forward import evaluation_mode

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

Side = Literal["right", "left"]

#: Ordinary tokens of a short and a longer text.
LENGTHS = (3, 9)

#: Largest difference between logits that count as equal, relative to the largest of them.
TOLERANCE = 1e-3

#: Keys with the number of positions in the configurations of models without a table of positions.
POSITION_KEYS = ("max_position_embeddings", "n_positions", "max_seq_len")

#: ``model_max_length`` from which a tokenizer states no limit; transformers writes 1e30.
UNSTATED = 10**18


def longest_input(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int | None:
    """Return the maximum number of tokens that a model can read at once.

    The positions of a model are the rows of its table of positions, less the rows before the row of the first token.

    Args:
        model: model of any architecture.
        tokenizer: its tokenizer.

    Returns:
        Number of tokens, special tokens included; None if neither model nor tokenizer has a limit.

    Raises:
        ModelError: the model cannot run.
    """
    stated = [getattr(_text_config(model.config), key, None) or 0 for key in POSITION_KEYS]
    limits = [
        tokenizer.model_max_length,
        *(limit for limit in stated if limit > 0),
        *_table_positions(model, tokenizer),
    ]
    longest = int(min(limits))
    return None if longest >= UNSTATED else longest


def _text_config(config: PretrainedConfig) -> Any:
    """The configuration of the part that reads texts."""
    backbone_config = getattr(config, "backbone_config", None)
    return backbone_config() if callable(backbone_config) else config.get_text_config()


class _Lookups(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records every lookup in a table inside the block: the rows of the table, and the indices."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[tuple[int, Tensor]] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is torch.ops.aten.embedding.default:
            table, indices = args[:2]
            self.found.append((table.shape[0], indices))
        return function(*args, **(kwargs or {}))


def _table_positions(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Positions in each table in which the tokens of a text look up one row after the other."""
    token = _ordinary_tokens(model, tokenizer, 1)
    text = _text(tokenizer, token * LENGTHS[1])
    with _Lookups() as lookups:
        _logits(model, _batch([text], tokenizer))
    positions = []
    for rows, indices in lookups.found:
        # Tables of distances are looked up for pairs of tokens, tables of words for equal tokens.
        first = indices.reshape(-1, indices.shape[-1])[0, : len(text)] if indices.dim() else indices
        is_one_text = indices.numel() == indices.shape[-1] >= len(text) if indices.dim() else False
        if is_one_text and bool((first.diff() == 1).all()):
            positions.append(rows - int(first[0]))
    return positions


def require_padding(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Ensure that the logits of a text do not depend on the padding, and so on the other texts of a forward pass.

    Batches are padded on the right. If a model needs the padding on the left, it is moved there before each pass.

    Args:
        model: sequence classifier in float32; may get a hook.
        tokenizer: its tokenizer, with a padding token.

    Raises:
        ModelError: padding on either side changes the logits, the logits are not finite, or the model cannot run.
    """
    ordinary = _ordinary_tokens(model, tokenizer, LENGTHS[1])
    texts = [_text(tokenizer, ordinary[:length]) for length in LENGTHS]
    alone = _logits(model, _batch(texts[:1], tokenizer))
    if not alone.isfinite().all():
        raise ModelError(f"{_name(model)} gives logits that are not finite.", hint="Check its weights.")
    for side in ("right", "left"):
        difference = (_logits(model, _batch(texts, tokenizer, side))[:1] - alone).abs().max()
        if difference <= TOLERANCE * alone.abs().max():
            break
    else:
        raise ModelError(
            f"the logits of {_name(model)} depend on the padding: a text would get other probabilities beside a longer "
            "one.",
            hint="Choose another base; BERT, RoBERTa, DeBERTa, ELECTRA and ModernBERT ignore padding.",
        )
    if side == "left":
        logger.info("%s: texts are padded on the left", _name(model))
        model.register_forward_pre_hook(_pad_on_the_left, with_kwargs=True)


def _pad_on_the_left(_: nn.Module, args: Any, inputs: Mapping[str, Any]) -> Any:
    """Move the padding of ``input_ids`` and ``attention_mask`` (B, T) to the left."""
    mask = inputs["attention_mask"]
    columns = torch.arange(mask.shape[1], device=mask.device)
    padding = columns[-1] - (mask * columns).amax(dim=1, keepdim=True)
    order = (columns - padding) % mask.shape[1]
    moved = {name: inputs[name].gather(1, order) for name in ("input_ids", "attention_mask")}
    return args, {**inputs, **moved}


def require_block_states(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, key: str) -> None:
    """Refuse a model whose blocks do not return the states of the tokens of each text, (B, T, H).

    Args:
        model: sequence classifier with a list of blocks.
        tokenizer: its tokenizer.
        key: recipe key that needs the states; for the message.

    Raises:
        ModelError: the blocks return something else, are not called, or there is no list of blocks.
    """
    ordinary = _ordinary_tokens(model, tokenizer, LENGTHS[1])
    batch = _batch([_text(tokenizer, ordinary[:length]) for length in LENGTHS], tokenizer)
    blocks, shapes = blocks_of(model, key=key), []
    hooks = [
        block.register_forward_hook(lambda _block, _inputs, output: shapes.append(tuple(states_in(output).shape[:2])))
        for block in blocks
    ]
    try:
        _run(model, batch)
    finally:
        for hook in hooks:
            hook.remove()
    expected = tuple(batch["input_ids"].shape)
    if shapes != [expected] * len(blocks):
        raise ModelError(
            f"{key} needs the states of each token after each block, which {_name(model)} does not give.",
            hint=f"Leave {key} out, or choose another base.",
        )


def states_width(backbone: PreTrainedModel) -> int:
    """Return the width of the states that a backbone returns; OPT may have a narrower one than inside.

    Args:
        backbone: model without a head.

    Returns:
        Width of the states.

    Raises:
        ModelError: the backbone cannot run, or returns no states.
    """
    ids = torch.zeros(1, LENGTHS[0], dtype=torch.int64)
    output = _run(backbone, {"input_ids": ids, "attention_mask": torch.ones_like(ids)})
    if getattr(output, "last_hidden_state", None) is None:
        raise ModelError(
            f"{_name(backbone)} returns no states of tokens.", hint='Choose model.pooling = "native", or another base.'
        )
    return int(output.last_hidden_state.shape[-1])


def _ordinary_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, count: int) -> list[int]:
    """Ids of different tokens, none of them special; from the middle of the vocabulary, where words are."""
    entries = min(embedding_rows(model) or len(tokenizer), len(tokenizer))
    special = set(tokenizer.all_special_ids)
    ordinary = [(entries // 2 + step) % entries for step in range(entries)]
    ordinary = [token for token in ordinary if token not in special] or [0]
    return [ordinary[index % len(ordinary)] for index in range(count)]


def _text(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[int]) -> list[int]:
    prefix, suffix = special_tokens(tokenizer)
    return [*prefix, *tokens, *suffix]


def _batch(
    texts: Sequence[Sequence[int]], tokenizer: PreTrainedTokenizerBase, side: str = "right"
) -> dict[str, Tensor]:
    longest = max(map(len, texts))
    ids, mask = [], []
    for text in texts:
        padding = longest - len(text)
        row, real = [tokenizer.pad_token_id] * padding, [0] * padding
        ids.append([*row, *text] if side == "left" else [*text, *row])
        mask.append([*real, *[1] * len(text)] if side == "left" else [*[1] * len(text), *real])
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}


def _logits(model: PreTrainedModel, batch: Mapping[str, Tensor]) -> Tensor:
    """The model's logits, in float32."""
    logits: Tensor = _run(model, batch).logits
    return logits.float()


def _run(model: PreTrainedModel, batch: Mapping[str, Tensor]) -> Any:
    inputs = {name: values.to(model.device) for name, values in batch.items()}
    try:
        with evaluation_mode(model, "fp32"):
            return model(**inputs)
    except Exception as error:  # the architectures raise errors of any type here
        if is_out_of_memory(error):
            raise
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelError(
            f"{_name(model)} cannot read texts as plain tokens: {reason}",
            hint='Choose another base. If model.pooling is set, try model.pooling = "native".',
        ) from error


def _name(model: PreTrainedModel) -> str:
    return str(_text_config(model.config).model_type)
