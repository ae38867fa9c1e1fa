"""`examine`: hardware, versions, missing packages and data sets of this machine, and the settings chosen for it."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, distribution, version

from slugline.core.hardware import choose_precision, choose_profile, detect
from slugline.core.storage import cache_dir
from slugline.data.reading.sources import known_sets

PACKAGES = ("torch", "transformers", "accelerate", "datasets", "tokenizers", "scikit-learn", "numpy", "pyarrow")


def examine() -> dict[str, dict[str, str]]:
    """Examine this machine.

    Returns:
        Names and their values in words, by title.
    """
    return {"hardware": _hardware(), "versions": _versions(), "extras": _extras(), "data": _data()}


def _hardware() -> dict[str, str]:
    import torch

    hardware = detect()
    profile = choose_profile(hardware)
    precision = choose_precision(hardware, autocast=profile.autocast)
    values = {
        "device": f"{hardware.device} ({hardware.device_name})",
        "cores": str(hardware.cores),
        "memory": f"{hardware.memory_bytes / 2**30:.1f} GiB",
    }
    if hardware.device == "cuda":
        values["GPU memory"] = f"{hardware.device_memory_bytes / 2**30:.1f} GiB, {hardware.devices} GPU(s)"
    return values | {
        "torch": torch.__version__,
        "CUDA": torch.version.cuda or "not in this build of torch",
        "profile": f"{profile.name}: {profile.reason}",
        "precision": f"{precision.precision}: {precision.reason}",
        "forward pass": f"{profile.micro_batch_size} examples or {profile.micro_batch_tokens:,} padded tokens at most",
        "workers": f"{profile.workers} processes prepare batches"
        if profile.workers
        else "none; the training process prepares batches",
    }


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "slugline": version("slugline")}
    return found | {name: version(name) for name in PACKAGES}


def _extras() -> dict[str, str]:
    """Installation state of all extras of this package."""
    missing: dict[str, list[str]] = {
        name: [] for name in distribution("slugline").metadata.get_all("Provides-Extra") or []
    }
    for requirement in distribution("slugline").requires or []:
        match = re.match(r"([A-Za-z0-9._-]+).*extra == ['\"]([^'\"]+)['\"]", requirement)
        if match and not _is_installed(match[1]):
            missing[match[2]].append(match[1])
    return {
        name: f'lacks {", ".join(packages)}; pip install "slugline[{name}]"' if packages else "installed"
        for name, packages in missing.items()
    }


def _is_installed(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True


def _data() -> dict[str, str]:
    sets = known_sets()
    local = [known.name for known in sets if known.available]
    remote = [known.name for known in sets if not known.available]
    return {
        "here": ", ".join(local) or "none",
        "with a hub": ", ".join(remote) or "none",
        "SLUGLINE_DATA": os.environ.get("SLUGLINE_DATA") or "not set; may name a folder of prepared data sets",
        "cache": str(cache_dir()),
    }
