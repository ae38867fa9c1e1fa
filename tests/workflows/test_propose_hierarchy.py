"""A tree of two levels from the confusion of a run."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from conftest import write_csv
from slugline import train
from slugline.cli.app import run as run_command
from slugline.core.errors import DataError
from slugline.data.load import load_dataset
from slugline.recipe.recipe import read, validate
from slugline.run.run import Run
from slugline.workflows.propose_hierarchy import propose_hierarchy

#: Two subjects; the classes of one share most of their words.
SUBJECTS = {"ball": ("golf", "tennis", "rugby"), "bank": ("bonds", "loans", "rates")}


@pytest.fixture(scope="module")
def confused(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder, rng = tmp_path_factory.mktemp("confused"), random.Random(1)
    rows = []
    for subject, names in SUBJECTS.items():
        words = [f"{subject}{n}" for n in range(12)]
        for name in names:
            for number in range(40):
                own = [name] * (number % 2)
                rows.append({"text": " ".join([*rng.choices(words, k=9), *own, f"n{rng.random()}"]), "label": name})
    data = {"path": str(write_csv(folder / "a.csv", rows))}
    return train(validate({"name": "confused", "data": data, "model": {"kind": "linear"}}), run_dir=folder / "run")


def test_classes_of_one_subject_are_one_group(confused: Run) -> None:
    proposed = propose_hierarchy(confused)
    assert {frozenset(names) for names in proposed.groups.values()} == {frozenset(n) for n in SUBJECTS.values()}
    assert proposed.split == "validation"
    assert 0 < proposed.errors_within == proposed.errors
    assert sorted(proposed.label_map) == sorted(name for names in SUBJECTS.values() for name in names)


def test_the_written_recipe_has_the_tree_as_its_labels(confused: Run, tmp_path: Path) -> None:
    run_command(["data", "hierarchy", str(confused.path), "--out", str(tmp_path / "tree.toml")])
    labels = load_dataset(read(str(tmp_path / "tree.toml")).data).labels
    assert (labels.kind, labels.depth, len(labels)) == ("hierarchical", 2, 6)
    names, group_of = labels.at_level(1)
    assert len(names) == 2
    assert sorted(group_of.tolist()) == [0, 0, 0, 1, 1, 1]


def test_maps_of_the_recipe_are_applied_first(confused: Run) -> None:
    data = confused.recipe.data.model_copy(update={"label_map": {"x": "golf", "y": "bonds"}})
    mapped = propose_hierarchy(confused).applied_to(confused.recipe.model_copy(update={"data": data}))
    assert mapped.data.label_map["x"].endswith("/golf")
    assert mapped.data.label_map["y"].endswith("/bonds")


@pytest.mark.parametrize("groups", [1, 6, -2])
def test_a_number_of_groups_that_does_not_fit_is_refused(confused: Run, groups: int) -> None:
    with pytest.raises(DataError, match=f"{groups} groups of 6 classes"):
        propose_hierarchy(confused, groups=groups)
