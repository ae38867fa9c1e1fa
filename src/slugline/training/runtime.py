"""The machine as one training uses it: hardware, profile, precision, threads; chosen, logged, recorded."""

from __future__ import annotations

import logging
import platform
import shutil
import subprocess
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

from slugline.core.hardware import Hardware, PrecisionChoice, Profile, choose_precision, choose_profile, detect
from slugline.recipe.sections import TrainSection

logger = logging.getLogger("slugline")

#: Whose versions decide what comes out.
PACKAGES = ("torch", "transformers", "accelerate", "tokenizers", "scikit-learn", "numpy")


@dataclass(frozen=True)
class Runtime:
    """The hardware, and what was chosen for it."""

    hardware: Hardware
    profile: Profile
    precision: PrecisionChoice
    threads: int

    def facts(self) -> dict[str, Any]:
        """For the manifest."""
        return {"profile": self.profile.name, "precision": self.precision.precision, "threads": self.threads}


def hardware_for(section: TrainSection) -> Hardware:
    """This machine, as far as a recipe uses it.

    Args:
        section: of the recipe; its ``device`` counts more than that of its ``profile``.

    Returns:
        The hardware.

    Raises:
        RecipeError: there is no such device.
    """
    return detect("cpu" if section.device == "auto" and section.profile == "cpu" else section.device)


def environment(section: TrainSection) -> dict[str, Any]:
    """What a run was made with, for its manifest: hardware, versions, and the commit of the working folder."""
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
    """Commit of the repository in which the command runs; empty where there is none."""
    git = shutil.which("git")
    if git is None:
        return ""
    done = subprocess.run([git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.strip() if done.returncode == 0 else ""


def prepare_runtime(section: TrainSection) -> Runtime:
    """Choose precision and profile, say why, and set the number of threads.

    Args:
        section: of the recipe.

    Returns:
        The machine as it will be used.

    Raises:
        RecipeError: ``train.device`` is not here.
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
