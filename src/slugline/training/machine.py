"""The machine as one training uses it: hardware, profile, precision, threads; chosen, logged, recorded."""

from __future__ import annotations

import logging
import platform
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from slugline.hardware import Hardware, PrecisionChoice, Profile, choose_precision, choose_profile, detect
from slugline.recipe import TrainSection

logger = logging.getLogger("slugline")


@dataclass(frozen=True)
class Machine:
    """The hardware, and what was chosen for it."""

    hardware: Hardware
    profile: Profile
    precision: PrecisionChoice
    threads: int

    def facts(self) -> dict[str, Any]:
        """For the manifest."""
        packages = ("torch", "transformers", "accelerate", "tokenizers", "numpy")
        return {
            "hardware": {
                "device": self.hardware.device,
                "name": self.hardware.device_name,
                "cores": self.hardware.cores,
                "memory_bytes": self.hardware.memory_bytes,
            },
            "profile": self.profile.name,
            "precision": self.precision.precision,
            "threads": self.threads,
            "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
        }


def prepare_machine(section: TrainSection) -> Machine:
    """Choose precision and profile, say why, and set the number of threads.

    Args:
        section: of the recipe.

    Returns:
        The machine as it will be used.
    """
    import torch

    hardware = detect()
    profile = choose_profile(hardware, section.profile)
    precision = choose_precision(hardware, section.precision, autocast=profile.autocast)
    threads = section.threads or hardware.cores
    torch.set_num_threads(threads)
    logger.info("profile %s: %s", profile.name, profile.reason)
    logger.info("precision %s: %s", precision.precision, precision.reason)
    return Machine(hardware, profile, precision, threads)
