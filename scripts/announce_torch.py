"""Print the download size of PyTorch if the package index has only its CUDA build. Errors of pip are ignored."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import urllib.request
from importlib.util import find_spec
from pathlib import Path

#: Prefixes of packages that only the CUDA build requires.
CUDA_PREFIXES = ("nvidia-", "cuda-", "triton")


def to_be_installed() -> list[dict[str, object]]:
    """Packages that pip would install for the tested version of PyTorch, from its report; empty if pip fails."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--report", str(report)]
        done = subprocess.run(
            [*command, "--constraint", "constraints.txt", "torch"], capture_output=True, check=False, timeout=600
        )
        return json.loads(report.read_text())["install"] if done.returncode == 0 else []


def size_of(url: str) -> int:
    """Size of the file at a URL in bytes; 0 if unknown."""
    if not url.startswith("http"):
        return 0
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return int(response.headers.get("Content-Length") or 0)
    except OSError:
        return 0


def main() -> None:
    """Print two lines, or nothing if PyTorch is installed or pip would install its CPU build."""
    if find_spec("torch") is not None:
        return
    packages = to_be_installed()
    names = [str(package["metadata"]["name"]).lower() for package in packages]  # type: ignore[index]
    if not any(name.startswith(CUDA_PREFIXES) for name in names):
        return
    total = sum(size_of(str(package["download_info"]["url"])) for package in packages)  # type: ignore[index]
    amount = f"about {total / 1e9:.1f} GB" if total else "several GB"
    print(f"This package index has only the CUDA build of PyTorch: {amount} will be downloaded.")
    print("Without an NVIDIA GPU, first install the CPU build of PyTorch (0.2 GB) here, then run this command again.")


if __name__ == "__main__":
    main()
