"""The hardware of this machine, and the precision and profile that fit it.

`detect` inspects the machine when it is called, never at import. `choose_precision` and `choose_profile` are pure
functions of its result, so that tests can pass any hardware.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from slugline.core.errors import RecipeError

Device = Literal["cpu", "cuda", "mps"]
Precision = Literal["fp32", "bf16", "fp16"]

#: Processor flags of native bfloat16 matrix products, as Linux names them.
BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


@dataclass(frozen=True)
class Hardware:
    """The hardware of a machine.

    Args:
        device: device that runs the computation.
        device_name: name of the processor or GPU, from its driver.
        cores: CPU cores that this process may use.
        memory_bytes: main memory that this process may use.
        cpu_flags: processor features, as Linux names them.
        cuda_capability: (major, minor) of the GPU, or None.
        device_memory_bytes: memory of the GPU; 0 without one.
        devices: number of GPUs.
    """

    device: Device
    device_name: str = ""
    cores: int = 1
    memory_bytes: int = 0
    cpu_flags: frozenset[str] = frozenset()
    cuda_capability: tuple[int, int] | None = None
    device_memory_bytes: int = 0
    devices: int = 0


@dataclass(frozen=True)
class PrecisionChoice:
    """A precision, and the reason for it, which is logged; ``is_requested`` if it is not chosen for the hardware."""

    precision: Precision
    reason: str
    is_requested: bool = False


@dataclass(frozen=True)
class Profile:
    """Settings that depend on the hardware and do not change the results of a recipe, as ``batch_size`` would.

    Args:
        name: value of ``train.profile``.
        micro_batch_size: maximum number of examples in a forward pass.
        micro_batch_tokens: maximum number of padded tokens in a forward pass.
        pass_overhead: constant cost of a forward and backward pass, in tokens.
        workers: processes that prepare batches; 0 = the training process prepares them.
        autocast: True if reduced precision may be used.
        reason: reason for the choice of this profile; logged.
    """

    name: str
    micro_batch_size: int
    micro_batch_tokens: int
    pass_overhead: int
    workers: int
    autocast: bool
    reason: str = ""


PROFILES = {
    # CPU: small forward passes fit into the caches. The measured overhead is 25 ms, or 150 tokens (22.7M parameters,
    # two cores); half of it is the gradient of the embeddings. GPUs need many tokens per pass; their overheads are
    # estimates of the time to launch a few hundred kernels.
    "cpu": Profile("cpu", 64, micro_batch_tokens=4_096, pass_overhead=150, workers=0, autocast=True),
    "cuda": Profile("cuda", 32, micro_batch_tokens=16_384, pass_overhead=4_096, workers=4, autocast=True),
    "cloud": Profile("cloud", 192, micro_batch_tokens=98_304, pass_overhead=16_384, workers=8, autocast=True),
    "mps": Profile("mps", 32, micro_batch_tokens=8_192, pass_overhead=2_048, workers=0, autocast=False),
}

#: Minimum memory of a GPU that gets the profile ``cloud``.
CLOUD_MEMORY_BYTES = 30 * 2**30


def detect(device: str = "auto") -> Hardware:
    """Return the hardware of this machine.

    Args:
        device: device to compute on; ``auto`` = the fastest one that is available.

    Returns:
        The hardware, without its GPU if ``device`` is ``cpu``.

    Raises:
        RecipeError: the device is not available.
    """
    return _restrict(_detect(), device)


def _restrict(hardware: Hardware, device: str) -> Hardware:
    """The hardware without its GPU if ``device`` is ``cpu``."""
    if device in ("auto", hardware.device):
        return hardware
    if device != "cpu":
        raise RecipeError(
            f"the device {device} is not available; this machine has {hardware.device}: {hardware.device_name}.",
            hint='Set train.device to "auto". `slugline doctor` shows the available device.',
        )
    return Hardware("cpu", _cpu_name(), hardware.cores, hardware.memory_bytes, hardware.cpu_flags)


def _detect() -> Hardware:
    import torch

    cores, memory, flags = _cores(), _memory(), _cpu_flags()
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        return Hardware(
            device="cuda",
            device_name=properties.name,
            cores=cores,
            memory_bytes=memory,
            cpu_flags=flags,
            cuda_capability=torch.cuda.get_device_capability(0),
            device_memory_bytes=properties.total_memory,
            devices=torch.cuda.device_count(),
        )
    if torch.backends.mps.is_available():
        return Hardware("mps", platform.processor(), cores=cores, memory_bytes=memory, devices=1)
    return processor()


def processor() -> Hardware:
    """Return the processor and the memory of this machine, without its GPU; does not import torch."""
    return Hardware("cpu", _cpu_name(), cores=_cores(), memory_bytes=_memory(), cpu_flags=_cpu_flags())


def choose_precision(hardware: Hardware, requested: str = "auto", *, autocast: bool = True) -> PrecisionChoice:
    """Return the requested precision, or the fastest one that the hardware supports natively.

    Args:
        hardware: hardware of the machine, from `detect`.
        requested: ``auto``, or a precision.
        autocast: False if the profile forbids reduced precision.

    Returns:
        The choice with its reason.
    """
    if requested != "auto":
        return PrecisionChoice(requested, "set by train.precision", is_requested=True)  # type: ignore[arg-type]
    if not autocast:
        return PrecisionChoice("fp32", f"the profile {hardware.device} does not use reduced precision")
    if hardware.device == "cuda":
        capability = hardware.cuda_capability or (0, 0)
        capability_name = ".".join(map(str, capability))
        if capability >= (8, 0):
            return PrecisionChoice("bf16", f"compute capability {capability_name} has native bfloat16")
        if capability >= (7, 0):
            return PrecisionChoice("fp16", f"compute capability {capability_name} has fast float16 but no bfloat16")
        return PrecisionChoice("fp32", f"compute capability {capability_name} has no fast reduced precision")
    if hardware.device == "mps":
        return PrecisionChoice("fp32", "Apple's GPU gains little from reduced precision at these sizes")
    bf16_flags = sorted(hardware.cpu_flags & BF16_FLAGS)
    if bf16_flags:
        return PrecisionChoice("bf16", f"the processor multiplies bfloat16 natively ({', '.join(bf16_flags)})")
    return PrecisionChoice("fp32", "the processor has no native bfloat16 (no AVX512-BF16, no AMX)")


def choose_profile(hardware: Hardware, requested: str = "auto") -> Profile:
    """Return the requested profile, or the one that fits the hardware.

    Args:
        hardware: hardware of the machine, from `detect`.
        requested: ``auto``, or a name in `PROFILES`.

    Returns:
        The profile with its reason.
    """
    if requested != "auto":
        name, reason = requested, "set by train.profile"
    elif hardware.device == "cuda" and hardware.device_memory_bytes >= CLOUD_MEMORY_BYTES:
        name, reason = "cloud", f"a GPU with {hardware.device_memory_bytes / 2**30:.0f} GiB"
    else:
        name, reason = hardware.device, f"the device is {hardware.device_name or hardware.device}"
    workers = min(PROFILES[name].workers, max(0, hardware.cores - 1))
    return replace(PROFILES[name], workers=workers, reason=reason)


def peak_memory_bytes() -> int:
    """Return the peak memory of this process: memory of the GPU if it was used, else resident memory."""
    import torch

    on_gpu = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    if on_gpu:
        return int(on_gpu)
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) * (1 if sys.platform == "darwin" else 1024)


def _cores() -> int:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, _cgroup_cores() or allowed))


def _cgroup_cores() -> int:
    """CPU limit of a container, in whole cores; 0 without one."""
    limit = Path("/sys/fs/cgroup/cpu.max")
    if not limit.is_file():
        return 0
    quota, _, period = limit.read_text().strip().partition(" ")
    return 0 if quota == "max" or not period else -(-int(quota) // int(period))


def _memory() -> int:
    import psutil

    total = int(psutil.virtual_memory().total)
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (text := limit.read_text().strip()).isdigit():
        return min(total, int(text))
    return total


def _cpu_value(*names: str) -> str:
    """First value in /proc/cpuinfo under one of ``names``; empty if the file does not exist."""
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return ""
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() in names:
            return value.strip()
    return ""


def _cpu_flags() -> frozenset[str]:
    return frozenset(_cpu_value("flags", "Features").split())


def _cpu_name() -> str:
    return _cpu_value("model name") or platform.processor() or platform.machine()
