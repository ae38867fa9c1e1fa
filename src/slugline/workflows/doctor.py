"""`examine`: hardware, versions, missing packages and data sets of this machine, and the settings chosen for it.

It reports packages that cannot be imported instead of failing with them: all imports are inside `_attempted`.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution, version

from slugline.core.hardware import choose_precision, choose_profile, detect, processor
from slugline.core.storage import cache_dir

#: Packages whose module has another name, and modules that load the compiled parts of a package.
MODULES = {
    "scikit-learn": "sklearn",
    "transformers": "transformers.modeling_utils",
    "pyarrow": "pyarrow.parquet",
    "protobuf": "google.protobuf",
}

#: Characters of an error that the report shows.
SHOWN_CHARACTERS = 200

#: Title of the packages that do not work, which is in the report only if there are some.
PROBLEMS = "problems"


def examine() -> dict[str, dict[str, str]]:
    """Examine this machine.

    Returns:
        Names and their values in words, by title. `PROBLEMS` has the required packages that are not installed or cannot
        be imported.
    """
    versions, problems = _versions()
    report = {"hardware": _hardware(), "versions": versions, "extras": _extras(), "data": _data()}
    return report | ({PROBLEMS: problems} if problems else {})


def _attempted(action: Callable[[], object]) -> str:
    """The error of an action in one line; empty if it succeeds."""
    try:
        action()
    except (Exception, SystemExit) as error:  # a damaged package can raise anything when it is imported
        lines = [line for line in str(error).strip().splitlines() if line.strip()] or [""]
        return f"{type(error).__name__}: {lines[0].strip()}"[:SHOWN_CHARACTERS].rstrip(": ")
    return ""


def _hardware() -> dict[str, str]:
    values = {"device": "", "cores": str(os.cpu_count())}
    _attempted(lambda: values.update(_processor()))
    error = _attempted(lambda: values.update(_settings()))
    return values | ({"device": f"unknown, because torch cannot be used ({error})"} if error else {})


def _processor() -> dict[str, str]:
    found = processor()
    return {"cores": str(found.cores), "memory": f"{found.memory_bytes / 2**30:.1f} GiB"}


def _settings() -> dict[str, str]:
    """The device that torch finds, and the settings chosen for it."""
    import torch

    hardware = detect()
    profile = choose_profile(hardware)
    precision = choose_precision(hardware, autocast=profile.autocast)
    values = {"device": f"{hardware.device} ({hardware.device_name})"}
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


def _versions() -> tuple[dict[str, str], dict[str, str]]:
    """Versions of the required packages; and those packages that do not work, with the reason and the fix."""
    versions = {"python": platform.python_version(), "slugline": version("slugline")}
    problems: dict[str, str] = {}
    for package in _required_packages():
        if not _is_installed(package):
            versions[package] = "not installed"
            problems[package] = f"not installed. Install it: pip install {package}"
            continue
        versions[package] = version(package)
        module = MODULES.get(package, package.replace("-", "_"))
        error = _attempted(lambda module=module: import_module(module))  # type: ignore[misc]
        if error:
            versions[package] += ", but it cannot be imported"
            problems[package] = (
                f"cannot be imported ({error}). Install it again: pip install --force-reinstall {package}"
            )
    return versions, problems


def _required_packages() -> list[str]:
    """Packages that this package requires without any extra."""
    requirements = [each for each in distribution("slugline").requires or [] if "extra ==" not in each]
    return sorted(match[0] for each in requirements if (match := re.match(r"[A-Za-z0-9._-]+", each)))


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
    values: dict[str, str] = {}
    error = _attempted(lambda: values.update(_sets()))
    return (values or {"here": f"unknown ({error})"}) | {
        "SLUGLINE_DATA": os.environ.get("SLUGLINE_DATA") or "not set; may name a folder of prepared data sets",
        "cache": str(cache_dir()),
    }


def _sets() -> dict[str, str]:
    from slugline.data.reading.places.named import named_sets

    sets = named_sets()
    local = [known.name for known in sets if known.available]
    remote = [known.name for known in sets if not known.available]
    return {"here": ", ".join(local) or "none", "with a hub": ", ".join(remote) or "none"}
