"""Recipes: reading with all errors at once, overrides, defaults, writing."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import ROOT
from slugline.core.errors import RecipeError
from slugline.recipe.changes import changed_keys
from slugline.recipe.document import commented
from slugline.recipe.recipe import Recipe, read, validate, write

THREE_LINES = 'name = "agnews"\n[data]\nname = "ag_news"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_three_lines_are_a_recipe(tmp_path: Path) -> None:
    recipe = read(written(tmp_path, THREE_LINES))
    assert (recipe.data.name, recipe.model.kind, recipe.data.max_length) == ("ag_news", "encoder", 256)


def test_all_errors_are_raised_together_with_their_lines(tmp_path: Path) -> None:
    text = THREE_LINES + '[train]\nlearning_rat = 1e-4\nloss = "focl"\nepochs = -1\n'
    with pytest.raises(RecipeError) as caught:
        read(written(tmp_path, text))
    message = caught.value.message
    assert "line 5: train.learning_rat is not a key of a recipe. Did you mean 'learning_rate'?" in message
    assert "line 6: train.loss is 'focl'; it can be 'cross_entropy' or 'focal'. Did you mean 'focal'?" in message
    assert "line 7: train.epochs is -1; input should be greater than 0" in message


def test_an_error_about_an_unknown_section_suggests_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"line 4: trian is not a key of a recipe\. Did you mean 'train'"):
        read(written(tmp_path, THREE_LINES + "[trian]\nepochs = 1\n"))


def test_data_needs_exactly_one_source(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="exactly one of name, path, hub and query; found name and path"):
        read(written(tmp_path, THREE_LINES + 'path = "news.csv"\n'))


SEVERAL = """
name = "joint"
[[data.sources]]
name = "ag_news"
[[data.sources]]
path = "bbc.csv"
label_map = { sport = "Sports", "sci tech" = "Sci/Tech" }
[data]
"""


def test_a_recipe_with_several_sources_is_read_and_written(tmp_path: Path) -> None:
    recipe = read(written(tmp_path, SEVERAL))
    assert [source.name or source.path for source in recipe.data.all_sources()] == [
        "ag_news",
        str(tmp_path / "bbc.csv"),
    ]
    assert list(recipe.data.all_sources()[1].label_map) == ["sport", "sci tech"]
    for text in (write(recipe), commented(recipe)):
        assert read(written(tmp_path, text)) == recipe
    assert [source.name for source in read(written(tmp_path, THREE_LINES)).data.all_sources()] == ["ag_news"]


@pytest.mark.parametrize(
    ("line", "keys"),
    [
        ('name = "ag_news"', "name"),
        ('text = "title"\nlabel_offset = -1', "text and label_offset"),
        ('label_map = { a = "b" }', "label_map"),
        ('split = "part"', "split"),
    ],
)
def test_keys_of_a_source_are_refused_besides_sources(tmp_path: Path, line: str, keys: str) -> None:
    with pytest.raises(RecipeError, match=rf"data: {keys} cannot be used with sources; put name, path, hub, query"):
        read(written(tmp_path, SEVERAL.replace("[data]", f"[data]\n{line}")))


def test_every_source_needs_exactly_one_place(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"data\.sources: give exactly one of name, path, hub and query; found none"):
        read(written(tmp_path, SEVERAL.replace('path = "bbc.csv"', "")))


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("train.epochs=1", 1),
        ("train.learning_rate=2e-5", 2e-5),
        ("data.text=headline", ["headline"]),
        ('data.text=["title", "body"]', ["title", "body"]),
        ("train.eval_every=100", 100),
        ("train.eval_every=2 epochs", "2 epochs"),
        ("model.base=models/my-bert", "models/my-bert"),
    ],
)
def test_overrides_are_toml_with_optional_quotes(tmp_path: Path, override: str, value: object) -> None:
    recipe = read(written(tmp_path, THREE_LINES), [override])
    section, key = override.partition("=")[0].split(".")
    assert getattr(getattr(recipe, section), key) == value


def test_an_error_in_an_override_names_it(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"override 'train.epoch=3': train.epoch is not a key"):
        read(written(tmp_path, THREE_LINES), ["train.epoch=3"])


@pytest.mark.parametrize("override", ["epochs", "=3", "train..epochs=1", "name.sub=1"])
def test_a_malformed_override_is_refused(tmp_path: Path, override: str) -> None:
    with pytest.raises(RecipeError, match="override"):
        read(written(tmp_path, THREE_LINES), [override])


def test_a_missing_recipe_and_invalid_toml_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such recipe"):
        read(tmp_path / "none.toml")
    with pytest.raises(RecipeError, match=r"recipe\.toml: not valid TOML"):
        read(written(tmp_path, "name = agnews\n"))


def test_encodings_of_recipes(tmp_path: Path) -> None:
    (tmp_path / "bom.toml").write_bytes(b"\xef\xbb\xbf" + THREE_LINES.encode())
    assert read(tmp_path / "bom.toml").name == "agnews"
    (tmp_path / "latin.toml").write_bytes(("# caf\u00e9\n" + THREE_LINES).encode("latin-1"))
    with pytest.raises(RecipeError, match="not encoded in UTF-8"):
        read(tmp_path / "latin.toml")


@given(
    st.floats(1e-7, 1), st.integers(1, 512), st.sampled_from(["epoch", "3 epochs", 7]), st.lists(st.text(max_size=5))
)
def test_writing_and_reading_gives_an_equal_recipe(rate: float, size: int, every: object, columns: list[str]) -> None:
    recipe = validate(
        {
            "name": "x",
            "data": {"path": 'a "quoted" name.csv', "text": columns},
            "model": {"dropout": 0.3},
            "train": {"learning_rate": rate, "batch_size": size, "eval_every": every, "class_weights": {"a": 2.0}},
        }
    )
    assert validate(tomllib.loads(write(recipe))) == recipe
    assert validate(tomllib.loads(commented(recipe))) == recipe


@pytest.mark.parametrize(
    ("model", "rate"),
    [
        ({"adapt": "lora"}, 5e-4),
        ({"adapt": "frozen"}, 3e-3),
        ({"kind": "scratch", "base": ""}, 5e-4),
        ({"base": "b"}, 2e-5),
    ],
    ids=str,
)
def test_defaults_in_a_commented_recipe_do_not_apply_to_other_models(model: dict[str, Any], rate: float) -> None:
    text = commented(validate({"name": "a", "data": {"path": "a.csv"}}))
    assert "# learning_rate = 0.0001 " in text
    values = tomllib.loads(text)
    assert values.get("model", {}) == values.get("train", {}) == {}
    assert validate(values | {"model": model}).train.learning_rate == rate


@pytest.mark.parametrize(
    "values",
    [
        {"train": {"learning_rate": 2e-5}},
        {"model": {"kind": "scratch", "size": "tiny"}, "train": {"schedule": "linear"}},
        {"model": {"kind": "decoder", "base": "gpt2", "adapt": "frozen"}},
        {"pretrain": {}, "train": {"select_by": "loss"}},
    ],
    ids=str,
)
def test_a_commented_recipe_is_read_unchanged(values: dict[str, Any]) -> None:
    recipe = validate({"name": "a", "data": {"path": "a.csv"}} | values)
    assert validate(tomllib.loads(commented(recipe))) == recipe


def test_the_embedded_encoder_has_its_own_defaults() -> None:
    data = {"name": "bbc_news"}
    assert validate({"name": "x", "data": data}).train.learning_rate == 1e-4
    assert validate({"name": "x", "data": data, "model": {"base": "bert-base-uncased"}}).train.learning_rate == 2e-5
    assert validate({"name": "x", "data": data, "train": {"learning_rate": 3e-5}}).train.learning_rate == 3e-5


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.learning_rate=inf", "train.learning_rate is inf; input should be a finite number"),
        ("train.class_weights={sport=nan}", "train.class_weights"),
        ("train.class_weight_bounds=[1]", "train.class_weight_bounds has too few values"),
        ("train.class_weight_bounds=[-1, 2]", "train.class_weight_bounds is -1"),
    ],
)
def test_invalid_numbers_are_refused(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(RecipeError) as raised:
        read(written(tmp_path, '[data]\nname = "bbc_news"'), [override])
    assert message in str(raised.value)


def test_a_recipe_cannot_be_changed_in_place() -> None:
    recipe = validate({"name": "x", "data": {"name": "bbc_news"}})
    with pytest.raises(ValueError, match="frozen"):
        recipe.seed = 1


def test_changed_keys_have_both_values() -> None:
    before = validate({"name": "x", "data": {"name": "bbc_news"}})
    after = validate({"name": "x", "data": {"name": "bbc_news"}, "train": {"epochs": 5}})
    assert changed_keys(before, after) == ["train.epochs: 3.0 -> 5.0"]


@pytest.mark.parametrize("name", ["../evil", "a/b", "", ".hidden"])
def test_a_name_cannot_be_a_path(name: str) -> None:
    with pytest.raises(RecipeError, match="name is"):
        validate({"name": name, "data": {"name": "bbc_news"}})


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.toml")), ids=lambda path: path.name)
def test_shipped_recipes_are_valid(path: Path) -> None:
    assert read(path).name == path.stem


def test_every_key_has_a_description() -> None:
    schema = Recipe.model_json_schema()
    for section in schema["$defs"].values():
        for key, field in section.get("properties", {}).items():
            assert field.get("description"), key
