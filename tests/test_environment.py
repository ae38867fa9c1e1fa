"""One environment holds every extra in the versions of constraints.txt."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from conftest import ROOT

#: Parts of pip's messages if it cannot reach a package index.
OFFLINE = (
    "NewConnectionError",
    "ConnectTimeout",
    "Name or service not known",
    "name resolution",
    "Network is unreachable",
)


def requirements() -> list[str]:
    """The dependencies of the package and of all its extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *(name for extra in project["optional-dependencies"].values() for name in extra)]


def test_all_extras_resolve_together() -> None:
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--disable-pip-version-check"]
    command += ["--retries", "0", "--constraint", str(ROOT / "constraints.txt"), *sorted(set(requirements()))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and any(part in done.stderr for part in OFFLINE):
        pytest.skip("pip cannot reach a package index")
    assert done.returncode == 0, done.stderr


def test_every_installed_dependency_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {canonicalize_name(line.partition("==")[0]) for line in lines if "==" in line}
    needed: set[str] = set()
    pending = list(requirements())
    while pending:
        requirement = Requirement(pending.pop())
        name = canonicalize_name(requirement.name)
        is_needed = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if is_needed and name not in needed and is_installed(name):
            needed.add(name)
            pending += requires(name) or []
    assert len(needed) > 50
    assert needed <= pinned


def is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True
