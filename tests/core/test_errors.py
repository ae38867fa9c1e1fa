"""Texts of errors: the problem and the hint."""

from __future__ import annotations

import copy
import inspect

from slugline.core import errors


def test_the_text_of_an_error_is_its_message_and_its_hint() -> None:
    assert str(errors.DataError("the file is empty.", hint="Give another.")) == "the file is empty.\nGive another."
    assert str(errors.DataError("the file is empty.")) == "the file is empty."


def test_a_missing_extra_names_the_pip_line() -> None:
    assert 'pip install "slugline[embedded]"' in str(errors.MissingExtra("The demo", extra="embedded"))


def test_a_missing_extra_can_be_pickled() -> None:
    error = copy.copy(errors.MissingExtra("The demo", extra="embedded"))  # copies as pickle does
    assert isinstance(error, errors.MissingExtra)
    assert str(error) == str(errors.MissingExtra("The demo", extra="embedded"))


def test_only_a_similar_name_is_suggested() -> None:
    assert errors.nearest("epoch", ["epochs", "seed"]) == " Did you mean 'epochs'?"
    assert errors.nearest("zzz", ["epochs", "seed"]) == ""


def test_the_tree_at_the_top_of_the_module_is_complete() -> None:
    classes = [
        name for name, item in vars(errors).items() if inspect.isclass(item) and item.__module__ == errors.__name__
    ]
    assert classes
    assert all(name in (errors.__doc__ or "") for name in classes)
    assert all(issubclass(getattr(errors, name), errors.SluglineError) for name in classes)
