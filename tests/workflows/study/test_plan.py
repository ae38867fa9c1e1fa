"""Reading of studies: all recipes are resolved and checked before training starts."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from conftest import ROOT
from slugline.core.errors import RecipeError
from slugline.recipe.recipe import validate, write
from slugline.workflows.study.plan import assignments, read_study
from slugline.workflows.study.schema import StepSection, StudyFile

HEAD = 'name = "r"\nrecipe = "recipe.toml"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a valid recipe."""
    (tmp_path / "recipe.toml").write_text('name = "bbc"\n[data]\nname = "bbc_news"\n')
    return tmp_path


def written(folder: Path, text: str) -> Path:
    path = folder / "study.toml"
    path.write_text(text)
    return path


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(RecipeError) as caught:
        read_study(written(folder, text))
    return str(caught.value)


def test_several_grids_follow_each_other(folder: Path) -> None:
    grids = 'grid = [{ train.epochs = [1, 2], "data.max_length" = [64] }, { train.epochs = [9] }]\n'
    members = read_study(written(folder, HEAD + '[[step]]\nname = "s"\n' + grids)).members
    values = [(member.recipe.train.epochs, member.recipe.data.max_length) for member in members]
    assert values == [(1, 64), (2, 64), (9, 256)]
    names = [member.setting.name for member in members]
    assert names == ["epochs=1,max_length=64", "epochs=2,max_length=64", "epochs=9"]


def test_a_grid_and_seeds_make_members_in_order(folder: Path) -> None:
    text = (
        HEAD
        + 'seeds = [13, 14]\nset = { "train.epochs" = 2, "train.warmup" = 0.2 }\n'
        + '[[step]]\nname = "baseline"\n'
        + '[[step]]\nname = "rates"\nset = { "train.warmup" = 0 }\n'
        + 'grid = { "train.learning_rate" = [1e-5, 2e-5], "train.batch_size" = [16, 32] }\n'
    )
    study = read_study(written(folder, text))
    assert [member.path.as_posix() for member in study.members] == [
        "runs/r/baseline/seed=13",
        "runs/r/baseline/seed=14",
        *(
            f"runs/r/rates/learning_rate={rate},batch_size={size},seed={seed}"
            for rate in ("1e-05", "2e-05")
            for size in (16, 32)
            for seed in (13, 14)
        ),
    ]
    baseline, last = study.members[0].recipe, study.members[-1].recipe
    assert (baseline.train.epochs, baseline.train.warmup, baseline.seed) == (2, 0.2, 13)
    assert (last.train.epochs, last.train.warmup, last.seed) == (2, 0, 14)
    assert (last.train.learning_rate, last.train.batch_size) == (2e-5, 32)
    assert last.name == "rates-learning_rate-2e-05-batch_size-32-seed-14"
    assert study.members[-1].setting.changes == "warmup=0, learning_rate=2e-05, batch_size=32"


def test_overriding_one_key_of_a_table_keeps_the_others(folder: Path) -> None:
    (folder / "recipe.toml").write_text(
        'name = "news"\n[data]\nname = "bbc_news"\n[model]\nadapt = "lora"\nlora = { r = 16, alpha = 64 }\n'
    )
    for way in ("set.model.lora.r = 8", '"set" = { "model.lora.r" = 8 }', "grid.model.lora.r = [8]"):
        member = read_study(written(folder, HEAD + f'[[step]]\nname = "s"\n{way}\n')).members[0]
        assert (member.recipe.model.lora.r, member.recipe.model.lora.alpha) == (8, 64)


def test_the_recipe_of_a_member_can_be_written_and_read(folder: Path) -> None:
    grid = (
        'grid = { "model.base" = ["embedded", "some/base model"], "train.learning_rate" = [1e20], "data.text" = [[]] }'
    )
    for member in read_study(written(folder, HEAD + f'[[step]]\nname = "s"\n{grid}\n')).members:
        assert validate(tomllib.loads(write(member.recipe))) == member.recipe


def test_defaults_that_depend_on_the_model_follow_the_overrides(folder: Path) -> None:
    text = HEAD + '[[step]]\nname = "bases"\ngrid = { "model.base" = ["embedded", "bert-base-uncased"] }\n'
    rates = [member.recipe.train.learning_rate for member in read_study(written(folder, text)).members]
    assert rates == [1e-4, 2e-5]


def test_dotted_keys_need_no_quotes(folder: Path) -> None:
    text = HEAD + '[[step]]\nname = "s"\nset.train.class_weights = { a = 2.0 }\ngrid = { train.epochs = [1, 2] }\n'
    members = read_study(written(folder, text)).members
    assert [member.recipe.train.epochs for member in members] == [1, 2]
    assert members[0].recipe.train.class_weights == {"a": 2.0}


def test_without_seeds_members_have_the_seed_of_the_recipe(folder: Path) -> None:
    (folder / "recipe.toml").write_text('name = "bbc"\nseed = 5\n[data]\nname = "bbc_news"\n')
    (member,) = read_study(written(folder, HEAD + '[[step]]\nname = "s"\n')).members
    assert (member.recipe.seed, member.path.name) == (5, "seed=5")


def test_test_is_scored_only_if_recipe_or_study_request_that(folder: Path) -> None:
    text = HEAD + '[[step]]\nname = "plain"\n[[step]]\nname = "requested"\n'
    text += 'set = { "evaluation.splits" = ["validation", "test"] }\n'
    plain, requested = read_study(written(folder, text)).members
    assert plain.recipe.evaluation.splits == ["validation"]
    assert requested.recipe.evaluation.splits == ["validation", "test"]
    (folder / "recipe.toml").write_text(
        'name = "bbc"\n[data]\nname = "bbc_news"\n[evaluation]\nsplits = ["validation", "test"]\n'
    )
    assert read_study(written(folder, text)).members[0].recipe.evaluation.splits == ["validation", "test"]


def test_the_path_of_the_recipe_is_relative_to_the_study(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert read_study(written(folder, HEAD + '[[step]]\nname = "s"\n')).members


def test_names_are_safe_short_and_distinct(folder: Path) -> None:
    values = ["a/b", "a b", "A/B", "../up", "x" * 200, "x" * 201, "ж", ""]
    grid = 'grid = { "model.base" = [' + ", ".join(f'"{value}"' for value in values) + "] }"
    members = read_study(written(folder, HEAD + f'[[step]]\nname = "s"\n{grid}\n')).members
    names = [member.path.name for member in members]
    assert len({name.lower() for name in names}) == len(values)
    assert all(
        len(name) < 130 and not set(name) - set("abcdefghijklmnopqrstuvwxyz0123456789ABX=,._-") for name in names
    )
    assert assignments({"model.dropout": 0.1, "train.dropout": -1, "data.text": ["a", "b"], "train.report_to": []}) == [
        "model.dropout=0.1",
        "train.dropout=-1",
        "text=a-b",
        "report_to=empty",
    ]


def test_errors_of_all_members_are_raised_together_with_step_and_setting(folder: Path) -> None:
    text = HEAD + '[[step]]\nname = "rates"\nset = { "train.epoch" = 1 }\n'
    text += 'grid = { "train.learning_rate" = [1e-5, -1] }\n[[step]]\nname = "loss"\nset = { "train.loss" = "focl" }\n'
    message = refusal(folder, text)
    assert (
        "rates/learning_rate=1e-05 and 1 more: override 'train.epoch=1': train.epoch is not a key of a recipe. "
        "Did you mean 'epochs'?"
    ) in message
    assert "rates/learning_rate=-1: override 'train.learning_rate=-1': train.learning_rate is -1" in message
    assert "loss: override 'train.loss=\"focl\"': train.loss is 'focl'" in message


STEP = '[[step]]\nname = "s"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + STEP + 'whne = "a < 1"\n', "step 's': whne is not a key of a step. Did you mean 'when'?"),
        (HEAD + STEP + 'when = "a < 1"\n', "'a < 1' is no condition"),
        (HEAD + STEP + 'when = "a.validation.accuracy < low"\n', "< needs a number, not 'low'"),
        (HEAD + STEP + 'when = "s.validation.accuracy < 1"\n', "when is about 's', which is no earlier step"),
        (HEAD + STEP + 'when = "s.test.accuracy < 1"\n', "is about test, which chooses nothing"),
        (HEAD + STEP + "girds = {}\n", "step 's': girds is not a key of a step. Did you mean 'grid'?"),
        (HEAD + "seed = [1]\n" + STEP, "seed is not a key of a study. Did you mean 'seeds'?"),
        (HEAD + "seeds = []\n" + STEP, "seeds is []; list should have at least 1 item"),
        (HEAD + "seeds = [1, 2, 1]\n" + STEP, "seeds has 1 twice"),
        (HEAD + STEP + STEP, "step has s twice"),
        (HEAD + STEP + '[[step]]\nname = "S"\n', "step has s twice"),
        (HEAD, "step is missing"),
        (HEAD + STEP.replace("[[step]]", "[step]"), "step has {'name': 's'}; each step is a table: [[step]]"),
        (HEAD + 'step = ["s"]\n', "step has 's'; each step is a table: [[step]]"),
        (HEAD + "step = []\n", "step is []"),
        (HEAD + STEP + 'grid = { "train.epochs" = [] }\n', "step 's': grid.train.epochs is []"),
        (HEAD + STEP + "grid = {}\n", "step 's': grid is empty"),
        (HEAD + STEP + 'grid = { "train.epochs" = [1, 2, 1] }\n', "step 's': grid of 'train.epochs' repeats 1"),
        (HEAD + STEP + 'grid = { "train.epochs" = 1 }\n', "step 's': grid.train.epochs is 1"),
        (HEAD + STEP + "set = { train.epochs = 1 }\ngrid = { train.epochs = [1, 2] }\n", "is both in set and in grid"),
        (HEAD + STEP + "grid = []\n", "step 's': grid is empty"),
        (HEAD + STEP + "grid = [{ train.epochs = [1] }, {}]\n", "step 's': grid is empty"),
        (
            HEAD + STEP + "grid = [{ train.epochs = [1] }, { train.epochs = [2, 1] }]\n",
            "step 's': two grids have the",
        ),
        (HEAD + STEP + "grid = [{ train.epochs = [1] }, { train.epochs = [] }]\n", "step 's': grid.train.epochs is []"),
        (HEAD + STEP + "grid = { seed = [1, 2] }\n", "'seed' cannot be overridden: set the key seeds"),
        (HEAD + 'set = { name = "x" }\n' + STEP, "'name' cannot be overridden"),
        (HEAD + '[[step]]\nname = "../up"\n', "name is '../up'"),
        (HEAD + "[[step]]\nset = {}\n", "step 1: name is missing"),
        (HEAD + STEP + 'set = { "train.select_by" = "f1_marco" }\n', "f1_macro"),
        (HEAD + 'set = { "train.epoch" = 1 }\n' + STEP, "override 'train.epoch=1'"),
        (HEAD.replace("recipe.toml", "missing.toml") + STEP, "recipe is 'missing.toml', but there is no"),
        ("name = r\n", "study.toml: not valid TOML"),
    ],
    ids=lambda value: value.strip()[-40:],
)
def test_invalid_studies_are_refused(folder: Path, text: str, message: str) -> None:
    refused = refusal(folder, text)
    assert message in refused
    assert "study.toml" in refused


def test_a_missing_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such study"):
        read_study(tmp_path / "none.toml")


@pytest.mark.parametrize("path", sorted((ROOT / "recipes" / "studies").glob("*.toml")), ids=lambda path: path.name)
def test_shipped_studies_are_valid(path: Path) -> None:
    assert read_study(path).file.name == path.stem


def test_every_key_is_documented() -> None:
    page = (ROOT / "docs" / "contracts.md").read_text(encoding="utf-8").split("## Studies")[1].split("\n## ")[0]
    for section in (StudyFile, StepSection):
        for key in section.model_fields:
            assert f"`{key}`" in page, key
