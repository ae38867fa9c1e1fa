"""Checks of a recipe before any data is read."""

from __future__ import annotations

import pytest

from slugline.core.errors import RecipeError
from slugline.recipe.recipe import validate
from slugline.training.fit import check, check_pretraining


def test_one_of_several_processes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = validate({"name": "a", "data": {"name": "ag_news"}, "model": {"kind": "linear"}})
    check(recipe)
    monkeypatch.setenv("WORLD_SIZE", "1")
    check(recipe)
    monkeypatch.setenv("WORLD_SIZE", "2")
    for checked in (check, check_pretraining):
        with pytest.raises(RecipeError, match="one of 2 processes"):
            checked(recipe)
