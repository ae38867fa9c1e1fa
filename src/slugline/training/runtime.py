"""Hardware settings of a training: device, profile, precision and threads; and the environment of a run."""

from __future__ import annotations

import logging
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

from slugline.core.errors import RecipeError
from slugline.core.hardware import Hardware, PrecisionChoice, Profile, choose_precision, choose_profile, detect
from slugline.recipe.train_section import TrainSection

logger = logging.getLogger(__name__)

#: Packages whose versions affect the results.
PACKAGES = ("torch", "transformers", "accelerate", "tokenizers", "scikit-learn", "numpy")


@dataclass(frozen=True)
class Runtime:
    """The hardware, and the settings chosen for it."""

    hardware: Hardware
    profile: Profile
    precision: PrecisionChoice
    threads: int

    def to_manifest(self) -> dict[str, Any]:
        """Return plain values for ``manifest.json``."""
        return {"profile": self.profile.name, "precision": self.precision.precision, "threads": self.threads}


def hardware_for(section: TrainSection) -> Hardware:
    """Return the hardware of this machine, with the device of a recipe.

    Args:
        section: [train] section of the recipe; its ``device`` takes precedence over its ``profile``.

    Returns:
        The hardware.

    Raises:
        RecipeError: the device is not available.
    """
    return detect("cpu" if section.device == "auto" and section.profile == "cpu" else section.device)


def require_single_process() -> None:
    """Refuse to start as one of several processes, which would write into one run folder.

    Raises:
        RecipeError: ``WORLD_SIZE``, which torchrun and batch systems set, is above 1.
    """
    world = os.environ.get("WORLD_SIZE", "1")
    if world not in ("", "1"):
        raise RecipeError(
            f"this is one of {world} processes (WORLD_SIZE), but a training runs in one process.",
            hint="Start slugline itself, without torchrun or accelerate launch; it uses one GPU.",
        )


def environment(section: TrainSection) -> dict[str, Any]:
    """Return hardware, versions and the git commit of the working folder, for ``manifest.json``."""
    hardware = hardware_for(section)
    return {
        "hardware": {
            "device": hardware.device,
            "name": hardware.device_name,
            "cores": hardware.cores,
            "memory_bytes": hardware.memory_bytes,
        },
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "git_commit": _git_commit(),
    }


def _git_commit() -> str:
    """Commit of the repository in which the command runs; empty if there is none."""
    git = shutil.which("git")
    if git is None:
        return ""
    result = subprocess.run([git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S603
    return result.stdout.strip() if result.returncode == 0 else ""


def prepare_runtime(section: TrainSection) -> Runtime:
    """Choose precision and profile, log the reasons, and set the number of threads.

    Args:
        section: [train] section of the recipe.

    Returns:
        The hardware with its settings.

    Raises:
        RecipeError: ``train.device`` is not available.
    """
    import torch

    hardware = hardware_for(section)
    profile = choose_profile(hardware, section.profile)
    if section.workers is not None:
        profile = replace(profile, workers=section.workers)
    precision = choose_precision(hardware, section.precision, autocast=profile.autocast)
    threads = section.threads or hardware.cores
    torch.set_num_threads(threads)
    logger.info("profile %s: %s", profile.name, profile.reason)
    logger.info("precision %s: %s", precision.precision, precision.reason)
    return Runtime(hardware, profile, precision, threads)
