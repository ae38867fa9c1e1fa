"""Files are complete or do not exist; a full disk is reported as such, whichever library noticed."""

from __future__ import annotations

import errno
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
from safetensors import SafetensorError

from slugline.core.errors import RunError
from slugline.core.storage import (
    cache_dir,
    disk_errors,
    is_temporary,
    replacing,
    replacing_folder,
    temporary_path,
)


def test_a_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file.txt"
    with replacing(target) as temporary:
        temporary.write_text("complete")
        assert not target.exists()
    assert target.read_text() == "complete"
    assert [path.name for path in target.parent.iterdir()] == ["file.txt"]


def test_an_error_keeps_the_old_file_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(ValueError, match="no"), replacing(target) as temporary:
        temporary.write_text("half")
        raise ValueError("no")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


def test_a_folder_is_replaced_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "model"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(ValueError, match="no"), replacing_folder(target) as folder:
        (folder / "half").touch()
        raise ValueError("no")
    assert [path.name for path in target.iterdir()] == ["old"]
    with replacing_folder(target) as folder:
        (folder / "new").touch()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_an_error_in_a_folder_leaves_no_temporary_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), replacing_folder(tmp_path / "model") as folder:
        (folder / "half").touch()
        raise ValueError("no")
    assert not list(tmp_path.iterdir())


#: Rounds in which each of the writers replaces the same file and the same folder.
ROUNDS = 40


def replace_often(target: Path, writer: int) -> None:
    """Replace a file and a folder again and again; every version has two equal parts."""
    for number in range(ROUNDS):
        contents = f"{writer} {number} " * 50
        with replacing(target / "file.txt") as file:
            file.write_text(contents + "\n" + contents)
        with replacing_folder(target / "model") as folder:
            for name in ("a", "b"):
                (folder / name).write_text(contents)
            (folder / f"of-{writer}").touch()


def assert_is_whole(target: Path) -> None:
    """The file and the folder are those of one writer, and nothing else is left."""
    assert sorted(path.name for path in target.iterdir()) == ["file.txt", "model"]
    first, second = (target / "file.txt").read_text().split("\n")
    assert first == second
    writer = (target / "model" / "a").read_text().split()[0]
    assert sorted(path.name for path in (target / "model").iterdir()) == ["a", "b", f"of-{writer}"]
    assert (target / "model" / "a").read_text() == (target / "model" / "b").read_text()


def test_threads_replace_one_file_and_one_folder_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(replace_often, tmp_path, writer) for writer in range(8)]:
            done.result()
    assert_is_whole(tmp_path)


def test_processes_replace_one_file_and_one_folder_at_once(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        for done in [pool.submit(replace_often, tmp_path, writer) for writer in range(4)]:
            done.result()
    assert_is_whole(tmp_path)


def test_temporary_names_do_not_depend_on_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two containers that share a folder can have the same process ids."""
    monkeypatch.setattr(os, "getpid", lambda: 7)
    paths = {temporary_path(tmp_path / "manifest.json") for _ in range(100)}
    assert len(paths) == 100
    assert all(is_temporary(path) and path.suffix == ".json" for path in paths)


def test_a_name_may_be_as_long_as_the_disk_allows(tmp_path: Path) -> None:
    with replacing(tmp_path / ("n" * 250 + ".txt")) as file:
        file.touch()


def test_a_file_is_never_replaced_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("years of work")
    with pytest.raises(RunError, match="is not writable"), replacing_folder(tmp_path / "model"):
        pass
    assert [path.read_text() for path in tmp_path.iterdir()] == ["years of work"]


def of_safetensors(number: int) -> SafetensorError:
    return SafetensorError(f"Error while serializing: I/O error: {os.strerror(number)} (os error {number})")


@pytest.mark.parametrize("kind", [lambda number: OSError(number, os.strerror(number)), of_safetensors])
@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "your disk quota is exhausted"),
        (errno.EFBIG, "larger than the limit for files"),
    ],
)
def test_limits_are_recognised_in_errors_of_python_and_of_rust(
    tmp_path: Path, kind: Callable[[int], Exception], number: int, message: str
) -> None:
    with pytest.raises(RunError, match=rf"{message}(.|\n)*--resume"), disk_errors(tmp_path):
        raise kind(number)


@pytest.mark.parametrize(
    "message",
    [
        "[enforce fail at inline_container.cc:863] . PytorchStreamWriter failed writing file data/9",
        "[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598",
    ],
)
def test_a_full_disk_is_recognised_in_errors_of_torch(tmp_path: Path, message: str) -> None:
    with pytest.raises(RunError, match=r"disk is full(.|\n)*--resume"), disk_errors(tmp_path):
        raise RuntimeError(message)


#: Writes with one library, above a limit for the size of files.
WRITERS = {
    "safetensors": "from safetensors.torch import save_file; save_file({'a': torch.zeros(10**5)}, path)",
    "torch": "torch.save({'a': torch.zeros(10**5)}, path)",
    "python": "path.write_text('a' * 10**6)",
    "json": "import json; json.dump(list(range(10**5)), path.open('w'))",
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_real_limit_for_files_is_recognised(tmp_path: Path, writer: str) -> None:
    script = f"""
import pathlib, resource, torch
from slugline.core.errors import RunError
from slugline.core.storage import replacing
resource.setrlimit(resource.RLIMIT_FSIZE, (10**5, 10**5))
try:
    with replacing(pathlib.Path({str(tmp_path / "file")!r})) as path:
        {WRITERS[writer]}
except RunError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "limit" in done.stdout
    assert "--resume" in done.stdout
    assert not list(tmp_path.iterdir())


def test_errors_of_rust_about_permissions_are_reported(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is not writable \(Permission denied\)"), disk_errors(tmp_path):
        raise of_safetensors(errno.EACCES)


def test_a_folder_that_is_not_writable_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not writable"), disk_errors(tmp_path):
        raise OSError(errno.EACCES, "Permission denied")


@pytest.mark.parametrize("error", [OSError(errno.EAGAIN, "busy"), RuntimeError("a bug"), KeyboardInterrupt()])
def test_other_errors_are_not_changed(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), disk_errors(tmp_path):
        raise error


def test_the_cache_folder_can_be_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLUGLINE_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path
    monkeypatch.delenv("SLUGLINE_CACHE")
    assert cache_dir().name == "slugline"
