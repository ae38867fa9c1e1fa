"""Model folders of others: the format of the weights, damaged files, folders that are no model.

Only the files are examined; neither torch nor transformers is needed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from slugline.core.errors import ModelError
from slugline.core.layouts import AdapterLayout, ModelLayout

#: Names of weights in PyTorch's format.
PYTORCH_WEIGHTS = ("pytorch_model.bin", "pytorch_model.bin.index.json")

#: Names of weights in safetensors.
SAFETENSORS = ("model.safetensors", "model.safetensors.index.json")

#: First bytes of a file that git has not downloaded.
LFS_POINTER = b"version https://git-lfs"


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of a model folder.

    Args:
        path: existing file.

    Returns:
        The object.

    Raises:
        ModelError: the file is damaged.
    """
    reason = _json_damage(path)
    if reason:
        raise damaged(path, reason)
    values = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise damaged(path, f"it holds a {type(values).__name__}, not an object")
    return values


def damaged(path: Path, reason: str) -> ModelError:
    """Return the error for a damaged or missing file."""
    if not path.is_file():
        return ModelError(f"there is no file {path}.", hint="Copy it from the original model again.")
    with path.open("rb") as file:
        start = file.read(len(LFS_POINTER))
    if start == LFS_POINTER:
        return ModelError(f"{path} is a pointer of Git LFS, not the file itself.", hint="Fetch it with: git lfs pull")
    return ModelError(f"{path} is damaged: {reason}.", hint="Copy it from the original model again.")


def require_intact(folder: Path) -> None:
    """Refuse a folder with a damaged file: JSON that cannot be read, or safetensors that are cut short.

    Args:
        folder: model folder.

    Raises:
        ModelError: a file is damaged; the message names it.
    """
    for path in sorted(folder.iterdir()):
        damage = DAMAGE.get(path.suffix)
        reason = damage(path) if damage and path.is_file() else ""
        if reason:
            raise damaged(path, reason)


def _json_damage(path: Path) -> str:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        return str(error)
    return ""


def _safetensors_damage(path: Path) -> str:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            return ""
    except (SafetensorError, OSError) as error:
        return str(error)


#: Suffix -> function that returns the damage of a file, or an empty string.
DAMAGE = {".json": _json_damage, ".safetensors": _safetensors_damage}


def require_no_adapter(folder: Path) -> None:
    """Refuse a folder with an adapter of PEFT alone, which is no model without its base.

    Args:
        folder: any folder.

    Raises:
        ModelError: the folder holds an adapter; the message names its base, the hint how to merge them.
    """
    layout = AdapterLayout(folder)
    if ModelLayout(folder).config.is_file() or not layout.config.is_file():
        return
    values = read_json(layout.config)
    kind, base = values.get("peft_type", "unknown"), values.get("base_model_name_or_path") or "an unnamed base"
    raise ModelError(
        f"{folder} is not a model but an adapter of PEFT ({kind}) for {base}.",
        hint="Give the run or the `model` folder if Slugline trained it. Otherwise merge adapter and base once, in "
        "Python, with the number of classes K:\n"
        "    from peft import AutoPeftModelForSequenceClassification as Auto\n"
        f"    Auto.from_pretrained({str(folder)!r}, num_labels=K).merge_and_unload().save_pretrained('merged')\n"
        "and copy the tokenizer of the base into the new folder.",
    )


def pytorch_weights(folder: Path) -> str:
    """Return the name of a folder's weights in PyTorch's format; empty if it has safetensors, or no weights."""
    if any((folder / name).is_file() for name in SAFETENSORS):
        return ""
    return next((name for name in PYTORCH_WEIGHTS if (folder / name).is_file()), "")
