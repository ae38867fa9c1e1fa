"""Relative paths of data: from the folder of the recipe, of the study, or from the current folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from conftest import articles, write_csv
from slugline import Recipe, Run, train
from slugline.core.errors import DataError, RunError
from slugline.pipeline import evaluate_on, score_split
from slugline.recipe.locations import located, located_path
from slugline.recipe.recipe import read, validate
from slugline.recipe.toml import to_toml
from slugline.workflows.study import run_study
from slugline.workflows.study.plan import read_study

LINEAR = '[model]\nkind = "linear"\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with data/my.csv, recipes/my.toml, which names it, and a folder elsewhere."""
    folder = tmp_path / "a [project]"
    for name in ("data", "recipes", "elsewhere"):
        (folder / name).mkdir(parents=True)
    write_csv(folder / "data" / "my.csv", articles(90))
    write_csv(folder / "data" / "test.csv", articles(30, seed=4))
    (folder / "recipes" / "my.toml").write_text(f'name = "my"\n[data]\npath = "../data/my.csv"\n{LINEAR}')
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("given", ["recipes/my.toml", "./recipes/../recipes/my.toml", "absolute", "my.toml"])
def test_paths_in_a_file_start_from_its_folder(project: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    text = 'name = "x"\n[data]\n{}\n[[pretrain.texts]]\npath = "texts/*.txt"\n[[pretrain.texts]]\nname = "ag_news"\n'
    single = 'path = "../data/my.csv"\ntest_path = "t.csv"\nvalidation_path = "/v.csv"'
    (project / "recipes" / "my.toml").write_text(text.format(single))
    if given == "my.toml":
        monkeypatch.chdir(project / "recipes")
    recipe = read(project / "recipes" / "my.toml" if given == "absolute" else given)
    data = recipe.data
    assert [data.path, data.test_path, data.validation_path] == [
        str(project / "data" / "my.csv"),
        str(project / "recipes" / "t.csv"),
        "/v.csv",
    ]
    assert recipe.pretrain is not None
    assert [Path(source.path).name for source in recipe.pretrain.texts] == ["*.txt", ""]
    assert recipe.pretrain.texts[0].path.startswith("/")
    (project / "recipes" / "my.toml").write_text(
        'name = "x"\n[[data.sources]]\npath = "a.csv"\n[[data.sources]]\nhub = "o/s"\n'
    )
    assert [
        source.path for source in read(given if given != "absolute" else project / "recipes" / "my.toml").data.sources
    ] == [
        str(project / "recipes" / "a.csv"),
        "",
    ]


def test_overrides_start_from_the_current_folder(project: Path) -> None:
    recipe = read("recipes/my.toml", ["data.path=data/my.csv", "data.test_path=elsewhere/t.csv"])
    assert recipe.data.path == str(project / "data" / "my.csv")
    assert recipe.data.test_path == str(project / "elsewhere" / "t.csv")
    assert read("recipes/my.toml", ["data.path=", "data.name=bbc_news"]).data.path == ""
    both = read("recipes/my.toml", ["data.path=", 'data.sources=[{path="data/my.csv"}, {name="ag_news"}]'])
    assert both.data.sources[0].path == str(project / "data" / "my.csv")


def test_globs_in_folders_with_special_characters_find_their_files(project: Path) -> None:
    (project / "recipes" / "my.toml").write_text(f'name = "my"\n[data]\npath = "../data/m*.csv"\n{LINEAR}')
    run = train("recipes/my.toml", run_dir="run")
    assert run.manifest["data"]["name"] == "m*.csv"
    assert sum(run.manifest["data"]["rows"].values()) == 90
    assert located_path("", Path("x")) == ""
    assert located({"data": 3, "pretrain": {"texts": 4}}, Path("x")) == {"data": 3, "pretrain": {"texts": 4}}


@pytest.mark.parametrize("folds", [0, 3])
def test_a_stored_recipe_finds_its_data_from_any_folder(
    project: Path, monkeypatch: pytest.MonkeyPatch, folds: int
) -> None:
    run = train(read("recipes/my.toml", [f"train.folds={folds}"]), run_dir="runs/my")
    in_python = {
        "name": "p",
        "data": {"path": "data/my.csv", "test_path": "data/test.csv"},
        "model": {"kind": "linear"},
    }
    other = train(validate(in_python), run_dir="runs/other")
    paths = [(project / "runs" / name, trained.metrics["test"]) for name, trained in (("my", run), ("other", other))]
    monkeypatch.chdir(project / "elsewhere")
    for path, expected in paths:
        assert evaluate_on(path).metrics["accuracy"] == expected["accuracy"]
        assert score_split(path, "test") == expected
        shutil.copy(path / "recipe.toml", "again.toml")
        assert read("again.toml").data == Run(path).recipe.data
        assert evaluate_on(path, split="train").metrics["support"] > 20
        for fold in Run(path).folds:
            assert (
                evaluate_on(fold.path, split="validation").metrics["support"] == fold.metrics["validation"]["support"]
            )


def test_a_run_is_resumed_from_any_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    relative = validate({"name": "p", "data": {"path": "data/my.csv"}, "model": {"kind": "linear"}})
    recipes = {"my": Recipe.read("recipes/my.toml"), "p": relative}
    with monkeypatch.context() as patched:
        patched.setattr("slugline.pipeline.training.fit_and_evaluate", stop)
        for name, recipe in recipes.items():
            with pytest.raises(KeyboardInterrupt):
                train(recipe, run_dir=project / "runs" / name)
    assert train(relative, run_dir=project / "runs" / "p", resume=True).state == "complete"
    monkeypatch.chdir(project / "elsewhere")
    assert train("../recipes/my.toml", run_dir=project / "runs" / "my", resume=True).state == "complete"


def test_runs_of_earlier_versions_are_resumed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = train(Recipe.read("recipes/my.toml"), run_dir="runs/my")
    saved = run.layout.recipe
    saved.write_text(saved.read_text().replace(str(project / "data" / "my.csv"), "data/my.csv"))
    manifest = json.loads(run.layout.manifest.read_text())
    run.layout.manifest.write_text(json.dumps(manifest | {"state": "interrupted"}))
    assert evaluate_on("runs/my").metrics["accuracy"] == run.metrics["test"]["accuracy"]
    assert train("recipes/my.toml", run_dir="runs/my", resume=True).state == "complete"


def test_paths_in_a_study_start_from_its_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "studies").mkdir()
    study = project / "studies" / "s.toml"
    steps = [{"name": "one"}, {"name": "two", "grid": {"data.test_path": ["../data/test.csv"]}}]
    study.write_text(f'name = "s"\nrecipe = "../recipes/my.toml"\nstep = {to_toml(steps)}\n')
    one, two = read_study(study).members
    assert (one.recipe.data.path, one.recipe.data.test_path) == (str(project / "data" / "my.csv"), "")
    assert two.recipe.data.test_path == str(project / "data" / "test.csv")
    run_study("studies/s.toml")
    trained = [Run(path.parent).manifest["finished"] for path in sorted(project.glob("runs/s/*/*/manifest.json"))]
    monkeypatch.chdir(project / "studies")
    study.write_text(study.read_text().replace('name = "s"', f'name = "s"\nruns = "{project}/runs"', 1))
    result = run_study("s.toml")
    assert [Run(member.member.path).manifest["finished"] for member in result.members] == trained


def test_a_path_that_fits_the_current_folder_only_gets_a_hint(project: Path) -> None:
    (project / "recipes" / "my.toml").write_text(f'name = "my"\n[data]\npath = "data/my.csv"\n{LINEAR}')
    with pytest.raises(DataError, match=r"recipes/data/my\.csv: no such file") as caught:
        train("recipes/my.toml")
    assert "data/my.csv in the current folder" in caught.value.hint
    assert "folder of the recipe" in caught.value.hint
    with pytest.raises(RunError):
        _ = Run("runs/my").recipe
