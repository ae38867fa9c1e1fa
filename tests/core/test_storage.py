"""Files are complete or do not exist; a full disk is reported as such, whichever library noticed."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from safetensors import SafetensorError

from slugline.core.errors import RunError
from slugline.core.storage import cache_dir, disk_errors, replacing, replacing_folder


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


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        RuntimeError("[enforce fail at inline_container.cc:863] . PytorchStreamWriter failed writing file data/9"),
    ],
)
def test_a_full_disk_is_recognised(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(RunError, match=r"disk is full(.|\n)*--resume"), disk_errors(tmp_path):
        raise error


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
