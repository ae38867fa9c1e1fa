"""What this machine is, and which precision and profile follow from it. Computed on request, never at import.

`detect` looks; `choose_precision` and `choose_profile` are pure functions of what it saw, so that they can be tested
with described hardware.
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

#: Processor flags, as Linux names them, of native bfloat16 matrix products.
BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


@dataclass(frozen=True)
class Hardware:
    """A described machine.

    Args:
        device: where tensors live.
        device_name: the processor or GPU as it calls itself.
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
    """A precision and the reason for it, to be logged."""

    precision: Precision
    reason: str


@dataclass(frozen=True)
class Profile:
    """What follows from the hardware; never ``batch_size``: a recipe repeats.

    Args:
        name: as in ``train.profile``.
        micro_batch_size: most examples in a forward pass.
        micro_batch_tokens: most padded tokens in a forward pass.
        pass_overhead: tokens that a forward and backward pass costs besides its own.
        workers: processes that prepare batches; 0 = none besides the trainer.
        autocast: whether reduced precision may be used on this kind of machine.
        reason: why this one, to be logged.
    """

    name: str
    micro_batch_size: int
    micro_batch_tokens: int
    pass_overhead: int
    workers: int
    autocast: bool
    reason: str = ""


PROFILES = {
    # On a CPU small passes stay in its caches and cost little of themselves: 25 ms, or 150 tokens (22.7M parameters,
    # two cores), half of it for the gradient of the embeddings. A GPU wants many tokens at
    # once; its overheads are estimates of what launching a few hundred kernels takes.
    "cpu": Profile("cpu", 64, micro_batch_tokens=4_096, pass_overhead=150, workers=0, autocast=True),
    "cuda": Profile("cuda", 32, micro_batch_tokens=16_384, pass_overhead=4_096, workers=4, autocast=True),
    "cloud": Profile("cloud", 192, micro_batch_tokens=98_304, pass_overhead=16_384, workers=8, autocast=True),
    "mps": Profile("mps", 32, micro_batch_tokens=8_192, pass_overhead=2_048, workers=0, autocast=False),
}

#: A GPU with at least this much memory is taken for a cloud GPU.
CLOUD_MEMORY_BYTES = 30 * 2**30


def detect(device: str = "auto") -> Hardware:
    """Look at this machine.

    Args:
        device: what of it is to be used; ``auto`` = the fastest that is there.

    Returns:
        The machine as far as it is used.

    Raises:
        RecipeError: it has no such device.
    """
    return use(_detect(), device)


def use(hardware: Hardware, device: str) -> Hardware:
    """A machine of which one device is used.

    Args:
        hardware: as it is.
        device: ``auto``, or where tensors are to live.

    Returns:
        The same, or without its GPU.

    Raises:
        RecipeError: it has no such device.
    """
    if device in ("auto", hardware.device):
        return hardware
    if device != "cpu":
        raise RecipeError(
            f"the device {device} is not here, only {hardware.device}: {hardware.device_name}.",
            hint='Leave train.device at "auto"; slugline doctor says what is here.',
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
    return Hardware("cpu", _cpu_name(), cores=cores, memory_bytes=memory, cpu_flags=flags)


def choose_precision(hardware: Hardware, requested: str = "auto", *, autocast: bool = True) -> PrecisionChoice:
    """The fastest precision that this hardware has natively, or the one asked for.

    Args:
        hardware: as `detect` gives it.
        requested: ``auto``, or a precision of the recipe.
        autocast: False where the profile rules reduced precision out.

    Returns:
        The choice with its reason.
    """
    if requested != "auto":
        return PrecisionChoice(requested, "asked for by train.precision")  # type: ignore[arg-type]
    if not autocast:
        return PrecisionChoice("fp32", f"the {hardware.device} profile does not reduce precision")
    if hardware.device == "cuda":
        capability = hardware.cuda_capability or (0, 0)
        written = ".".join(map(str, capability))
        if capability >= (8, 0):
            return PrecisionChoice("bf16", f"compute capability {written} has native bfloat16")
        if capability >= (7, 0):
            return PrecisionChoice("fp16", f"compute capability {written} has fast float16 but no bfloat16")
        return PrecisionChoice("fp32", f"compute capability {written} has no fast reduced precision")
    if hardware.device == "mps":
        return PrecisionChoice("fp32", "Apple's GPU gains little from reduced precision at these sizes")
    found = sorted(hardware.cpu_flags & BF16_FLAGS)
    if found:
        return PrecisionChoice("bf16", f"the processor multiplies bfloat16 natively ({', '.join(found)})")
    return PrecisionChoice("fp32", "the processor has no native bfloat16 (no AVX512-BF16, no AMX)")


def choose_profile(hardware: Hardware, requested: str = "auto") -> Profile:
    """The profile of this hardware, or the one asked for, with its reason.

    Args:
        hardware: as `detect` gives it.
        requested: ``auto``, or a name in `PROFILES`.

    Returns:
        The profile.
    """
    if requested != "auto":
        name, reason = requested, "asked for by train.profile"
    elif hardware.device == "cuda" and hardware.device_memory_bytes >= CLOUD_MEMORY_BYTES:
        name, reason = "cloud", f"a GPU with {hardware.device_memory_bytes / 2**30:.0f} GiB"
    else:
        name, reason = hardware.device, f"the device is {hardware.device_name or hardware.device}"
    workers = min(PROFILES[name].workers, max(0, hardware.cores - 1))
    return replace(PROFILES[name], workers=workers, reason=reason)


def peak_memory_bytes() -> int:
    """Most memory held so far: of the GPU where it is used, else resident memory of this process."""
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


def _cpu_lines(*names: str) -> str:
    """First value in /proc/cpuinfo under one of ``names``; empty where there is no such file."""
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return ""
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() in names:
            return value.strip()
    return ""


def _cpu_flags() -> frozenset[str]:
    return frozenset(_cpu_lines("flags", "Features").split())


def _cpu_name() -> str:
    return _cpu_lines("model name") or platform.processor() or platform.machine()
