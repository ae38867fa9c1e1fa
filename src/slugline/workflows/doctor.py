"""What this machine has, what Slugline would choose on it and why, and what is missing."""

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
    """Look at everything.

    Returns:
        Titles to facts; a fact is a name and what was found, in words.
    """
    return {"hardware": _hardware(), "versions": _versions(), "extras": _extras(), "data": _data()}


def _hardware() -> dict[str, str]:
    import torch

    hardware = detect()
    profile = choose_profile(hardware)
    precision = choose_precision(hardware, autocast=profile.autocast)
    facts = {
        "device": f"{hardware.device} ({hardware.device_name})",
        "cores": str(hardware.cores),
        "memory": f"{hardware.memory_bytes / 2**30:.1f} GiB",
    }
    if hardware.device == "cuda":
        facts["GPU memory"] = f"{hardware.device_memory_bytes / 2**30:.1f} GiB, {hardware.devices} GPU(s)"
    return facts | {
        "torch": torch.__version__,
        "CUDA": torch.version.cuda or "not in this build of torch",
        "profile": f"{profile.name}: {profile.reason}",
        "precision": f"{precision.precision}: {precision.reason}",
        "forward pass": f"{profile.micro_batch_size} examples or {profile.micro_batch_tokens:,} padded tokens at most",
        "workers": f"{profile.workers} processes prepare batches" if profile.workers else "none besides the trainer",
    }


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "slugline": version("slugline")}
    return found | {name: version(name) for name in PACKAGES}


def _extras() -> dict[str, str]:
    """Every extra that the package declares, and which of its packages are missing."""
    wanted: dict[str, list[str]] = {
        name: [] for name in distribution("slugline").metadata.get_all("Provides-Extra") or []
    }
    for requirement in distribution("slugline").requires or []:
        match = re.match(r"([A-Za-z0-9._-]+).*extra == ['\"]([^'\"]+)['\"]", requirement)
        if match and not _is_installed(match[1]):
            wanted[match[2]].append(match[1])
    return {
        name: f'lacks {", ".join(missing)}; pip install "slugline[{name}]"' if missing else "installed"
        for name, missing in wanted.items()
    }


def _is_installed(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True


def _data() -> dict[str, str]:
    known = known_sets()
    here = [found.name for found in known if found.available]
    elsewhere = [found.name for found in known if not found.available]
    return {
        "here": ", ".join(here) or "none",
        "with a hub": ", ".join(elsewhere) or "none",
        "SLUGLINE_DATA": os.environ.get("SLUGLINE_DATA") or "not set: a folder of prepared data sets",
        "cache": str(cache_dir()),
    }
