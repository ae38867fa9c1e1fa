"""The choice of precision and profile, on described hardware."""

from __future__ import annotations

import pytest
import torch

from slugline.core.errors import RecipeError
from slugline.core.hardware import Hardware, choose_precision, choose_profile, detect
from slugline.recipe.train_section import TrainSection
from slugline.training.runtime import hardware_for, prepare_runtime

LAPTOP = Hardware("cpu", "an older laptop", cores=4, cpu_flags=frozenset({"avx2"}))
SERVER = Hardware("cpu", "a server", cores=2, cpu_flags=frozenset({"avx512f", "avx512_bf16"}))
SAPPHIRE = Hardware("cpu", "another server", cores=8, cpu_flags=frozenset({"amx_bf16"}))
ARM = Hardware("cpu", "an Arm server", cores=8, cpu_flags=frozenset({"bf16"}))
T4 = Hardware("cuda", "T4", cores=4, cuda_capability=(7, 5), device_memory_bytes=16 * 2**30)
K80 = Hardware("cuda", "K80", cores=4, cuda_capability=(3, 7), device_memory_bytes=12 * 2**30)
RTX = Hardware("cuda", "RTX 3090", cores=16, cuda_capability=(8, 6), device_memory_bytes=24 * 2**30)
A100 = Hardware("cuda", "A100", cores=12, cuda_capability=(8, 0), device_memory_bytes=40 * 2**30)
MAC = Hardware("mps", "an Apple laptop", cores=8)


@pytest.mark.parametrize(
    ("hardware", "precision", "reason"),
    [
        (LAPTOP, "fp32", "no AVX512-BF16"),
        (SERVER, "bf16", "avx512_bf16"),
        (SAPPHIRE, "bf16", "amx_bf16"),
        (ARM, "bf16", "bf16"),
        (T4, "fp16", "7.5"),
        (K80, "fp32", "3.7"),
        (RTX, "bf16", "8.6"),
        (A100, "bf16", "8.0"),
        (MAC, "fp32", "Apple"),
    ],
    ids=lambda value: getattr(value, "device_name", ""),
)
def test_the_precision_fits_the_hardware_and_has_a_reason(hardware: Hardware, precision: str, reason: str) -> None:
    chosen = choose_precision(hardware)
    assert chosen.precision == precision
    assert reason in chosen.reason


def test_requested_values_override_the_hardware() -> None:
    chosen = choose_precision(SERVER, "fp32")
    assert (chosen.precision, chosen.reason) == ("fp32", "set by train.precision")
    assert choose_profile(SERVER, "cuda").name == "cuda"


@pytest.mark.parametrize(
    ("hardware", "name"),
    [(LAPTOP, "cpu"), (T4, "cuda"), (RTX, "cuda"), (A100, "cloud"), (MAC, "mps")],
    ids=lambda value: getattr(value, "device_name", ""),
)
def test_the_profile_fits_the_device(hardware: Hardware, name: str) -> None:
    assert choose_profile(hardware).name == name


def test_a_recipe_can_request_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slugline.core.hardware._detect", lambda: RTX)
    assert hardware_for(TrainSection()) == RTX == hardware_for(TrainSection(device="cuda"))
    for section in (TrainSection(device="cpu"), TrainSection(profile="cpu")):
        found = hardware_for(section)
        assert (found.device, found.devices, found.device_memory_bytes) == ("cpu", 0, 0)
        assert found.cores == RTX.cores
    assert hardware_for(TrainSection(device="cuda", profile="cpu")) == RTX
    with pytest.raises(RecipeError, match=r"mps is not available; this machine has cuda(.|\n)*train\.device"):
        hardware_for(TrainSection(device="mps"))


def test_workers_of_the_recipe_override_those_of_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slugline.core.hardware._detect", lambda: SERVER)
    threads = torch.get_num_threads()
    assert prepare_runtime(TrainSection(workers=5, threads=threads)).profile.workers == 5
    assert prepare_runtime(TrainSection(threads=threads)).profile.workers == 0


def test_workers_are_fewer_than_cores() -> None:
    assert choose_profile(T4).workers == 3
    assert choose_profile(Hardware("cuda", cores=1, cuda_capability=(7, 5))).workers == 0


def test_a_profile_can_forbid_reduced_precision() -> None:
    assert choose_precision(A100, autocast=False).precision == "fp32"


def test_this_machine_has_cores_and_memory() -> None:
    hardware = detect()
    assert hardware.cores >= 1
    assert hardware.memory_bytes > 2**28
