"""Files at a URL, with the file system in memory of fsspec."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from slugline.cli.app import run
from slugline.core.errors import DataError, MissingExtra
from slugline.core.storage import cache_dir
from slugline.data.reading import sources
from slugline.data.reading.places import remote
from slugline.recipe.data_section import DataSection
from slugline.recipe.locations import located_path

CSV = "text,label\na,x\nb,y\n"


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    monkeypatch.setenv("SLUGLINE_CACHE", str(tmp_path / "cache"))
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()


def write(files: Any, name: str, content: str = CSV) -> str:
    with files.open(f"/{name}", "w") as file:
        file.write(content)
    return f"memory://{name}"


def downloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    requested: list[str] = []
    download = remote._download

    def counted(source: Any, target: Path, url: str) -> str:
        requested.append(url)
        return download(source, target, url)

    monkeypatch.setattr(remote, "_download", counted)
    return requested


def test_a_file_is_copied_once_for_each_version(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    requested = downloads(monkeypatch)
    url = write(memory, "data/news.csv")
    first = sources.read(DataSection(path=url))
    again = sources.read(DataSection(path=url))
    assert [row["text"] for row in again.rows["train"]] == ["a", "b"]
    assert len(requested) == 1
    assert first.source == again.source
    assert first.source.revision.startswith("sha256:")
    assert (first.source.name, first.source.url) == ("news", url)
    assert first.locate("train", 1) == f"{url}, row 2"
    write(memory, "data/news.csv", CSV + "c,x\n")
    changed = sources.read(DataSection(path=url))
    assert len(changed.rows["train"]) == 3
    assert changed.source.revision != first.source.revision


def test_the_version_that_the_server_states_is_the_revision(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    url = write(memory, "news.csv")
    info = type(memory).info
    monkeypatch.setattr(type(memory), "info", lambda self, path, **_: {**info(self, path), "ETag": 'W/"abc1"'})
    assert sources.read(DataSection(path=url)).source.revision == "abc1"


def test_the_copy_is_used_without_a_network(
    memory: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    url = write(memory, "news.csv")
    sources.read(DataSection(path=url))
    memory.rm("/news.csv")
    assert len(sources.read(DataSection(path=url)).rows["train"]) == 2
    assert "the copy in the cache is used" in caplog.text


def test_a_glob_and_a_test_file(memory: Any) -> None:
    for name in ("train/1.csv", "train/2.csv", "test.csv"):
        write(memory, name)
    raw = sources.read(DataSection(path="memory://train/*.csv", test_path="memory://test.csv"))
    assert {split: len(rows) for split, rows in raw.rows.items()} == {"train": 4, "test": 2}
    assert raw.locate("train", 2).startswith("memory://")
    with pytest.raises(DataError, match="no file matches 'memory://none/"):
        sources.read(DataSection(path="memory://none/*.csv"))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("memory://none.csv", r"memory://none\.csv: cannot be read"),
        ("memory://folder.csv", "is a folder"),
        ("memory://page.html", "names no file that can be read"),
        ("unknown://a/b.csv", "unknown://a/b.csv: cannot be read"),
    ],
)
def test_addresses_that_cannot_be_read(memory: Any, url: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    write(memory, "folder.csv/1.csv")
    with pytest.raises(DataError, match=words) as caught:
        sources.read(DataSection(path=url))
    assert caught.value.hint
    assert run(["data", "inspect", url]) == 1
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("is_stated", [True, False])
def test_large_files_are_refused(memory: Any, monkeypatch: pytest.MonkeyPatch, is_stated: bool) -> None:
    url = write(memory, "news.csv")
    monkeypatch.setattr(remote, "MAX_BYTES", 10)
    if not is_stated:
        monkeypatch.setattr(type(memory), "info", lambda *_, **__: {"type": "file", "size": None})
    with pytest.raises(DataError, match="files up to 0 GiB are copied"):
        sources.read(DataSection(path=url))
    assert not list((cache_dir() / "remote").rglob("*.csv"))


def test_a_package_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise ImportError("Install s3fs")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(MissingExtra, match=r"s3:// addresses needs packages .*(\n.*)slugline\[remote\]"):
        sources.read(DataSection(path="s3://bucket/news.csv"))


def test_secrets_of_an_address_are_not_kept() -> None:
    assert remote.without_secrets("https://me:pw@host.org/a.csv?X-Signature=1") == "https://host.org/a.csv"


def test_addresses_in_a_recipe_are_not_paths() -> None:
    assert located_path("s3://bucket/a.csv", Path("/recipes")) == "s3://bucket/a.csv"
    assert located_path("a.csv", Path("/recipes")) == "/recipes/a.csv"
