"""Say how much PyTorch will download, where the package index has only its CUDA build. Never fails an installation."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import urllib.request
from importlib.util import find_spec
from pathlib import Path

#: Names of packages that only the CUDA build asks for begin so.
CUDA_PREFIXES = ("nvidia-", "cuda-", "triton")


def to_be_installed() -> list[dict[str, object]]:
    """What pip would install for the tested version of PyTorch, as its report has it; empty if it cannot tell."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--report", str(report)]
        done = subprocess.run(
            [*command, "--constraint", "constraints.txt", "torch"], capture_output=True, check=False, timeout=600
        )
        return json.loads(report.read_text())["install"] if done.returncode == 0 else []


def size_of(url: str) -> int:
    """Bytes behind an address; 0 where nobody says."""
    if not url.startswith("http"):
        return 0
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.headers.get("Content-Length") or 0)
    except OSError:
        return 0


def main() -> None:
    """Print one or two lines, or nothing where PyTorch is installed or small."""
    if find_spec("torch") is not None:
        return
    packages = to_be_installed()
    names = [str(package["metadata"]["name"]).lower() for package in packages]  # type: ignore[index]
    if not any(name.startswith(CUDA_PREFIXES) for name in names):
        return
    total = sum(size_of(str(package["download_info"]["url"])) for package in packages)  # type: ignore[index]
    amount = f"about {total / 1e9:.1f} GB" if total else "several GB"
    print(f"This package index has PyTorch as its CUDA build only: {amount} will be downloaded.")
    print("Without an NVIDIA GPU, install PyTorch's CPU build (0.2 GB) into the environment first, and run this again.")


if __name__ == "__main__":
    main()
