"""`data.query`: the result of a SQL query of DuckDB."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import articles, write_csv
from slugline.cli.app import run
from slugline.core.errors import DataError, MissingExtra
from slugline.data.load import load_dataset
from slugline.data.reading import sources
from slugline.data.reading.places import queries
from slugline.data.reading.raw_data import RawData
from slugline.recipe.data_section import DataSection
from slugline.recipe.recipe import read, validate

duckdb = pytest.importorskip("duckdb")


def ask(query: str, folder: Path) -> RawData:
    return sources.read(DataSection(query=query, query_folder=str(folder)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "it's").mkdir()
    rows = articles(60)
    write_csv(tmp_path / "it's" / "rows.csv", rows)
    pq.write_table(pa.Table.from_pylist([*rows, *rows[:1]]), tmp_path / "it's" / "rows.parquet")
    return tmp_path / "it's"


def test_rows_of_a_query(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "BATCH_ROWS", 7)
    raw = ask("select distinct text, label from 'rows.parquet' where label <> 'tech'", folder)
    assert len(raw.rows["train"]) == 40
    assert set(raw.rows["train"][0]) == {"text", "label"}
    assert raw.source.url.startswith("select distinct")
    assert "select distinct text" in raw.locate("train", 3)
    section = DataSection(query="select * from 'rows.csv'", query_folder=str(folder))
    assert load_dataset(section).labels.names == ("business", "sport", "tech")


def test_a_database_is_attached(folder: Path) -> None:
    with duckdb.connect(str(folder / "news.db")) as connection:
        connection.execute("create table news as select 'a' as text, 'x' as label, 1.5::decimal(4, 1) as score")
    path = str(folder / "news.db").replace("'", "''")
    raw = ask(f"attach '{path}' as db (read_only); use db; select text, label from news", folder)
    assert raw.rows["train"] == [{"text": "a", "label": "x"}]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("select nothing from 'rows.csv'", 'Referenced column "nothing" not found'),
        ("select * from 'none.parquet'", 'No files found that match the pattern "none.parquet"'),
        ("selec 1", "syntax error"),
        ("select * from 'rows.csv' where false", "returns no rows"),
        ("create table t as select 1; select * from t", "cannot have the statement create"),
        ("copy (select 1) to 'x.csv'", "does not end with a select"),
        (";", "does not end with a select"),
    ],
)
def test_queries_that_fail(folder: Path, query: str, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        ask(query, folder)
    assert caught.value.hint
    assert "\n" not in caught.value.message
    assert sorted(path.name for path in folder.iterdir()) == ["rows.csv", "rows.parquet"]


def test_duckdb_may_be_missing(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(queries, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"slugline\[query\]"):
        ask("select 1", folder)


def test_paths_in_a_query_start_from_the_folder_of_the_recipe(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = folder / "news.toml"
    recipe.write_text('name = \'n\'\n[data]\nquery = """select * from \'rows.csv\'"""\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert len(sources.read(read(recipe).data).rows["train"]) == 60
    with pytest.raises(DataError, match="No files found"):
        sources.read(read(recipe, ["data.query=select * from 'rows.parquet'"]).data)
    recipe.write_text("name = 'n'\n[data]\nquery = \"select nothing from 'rows.csv'\"\n", encoding="utf-8")
    assert run(["train", str(recipe)]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_a_query_is_one_of_several_sources(folder: Path) -> None:
    values = {"query": "select * from 'rows.csv'", "query_folder": str(folder)}
    data = {"sources": [values, {"path": str(folder / "rows.parquet")}]}
    assert len(validate({"name": "n", "data": data}).data.all_sources()) == 2
    assert len({source.address for source in validate({"name": "n", "data": data}).data.all_sources()}) == 2
