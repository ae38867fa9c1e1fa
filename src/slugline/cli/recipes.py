"""`slugline recipe new`, `show`, `schema`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slugline.cli.printing.output import print_json

if TYPE_CHECKING:
    from slugline.recipe.recipe import Recipe

app = typer.Typer(no_args_is_help=True, help="Create and show recipes.", rich_markup_mode=None)

RecipeFile = Annotated[Path, typer.Argument(help="TOML file of the recipe.")]
Overrides = Annotated[list[str] | None, typer.Argument(help="Keys to override: train.epochs=1 data.max_length=128")]


def read_recipe(path: Path, overrides: Sequence[str], *, command: str) -> Recipe:
    """Read the recipe of a command; if data is given in its place, name the commands to type."""
    from slugline.recipe.recipe import read
    from slugline.workflows.first_recipe import refuse_data

    refuse_data(str(path), command=command, overrides=overrides)
    return read(path, overrides)


@app.command("new")
def new(
    source: Annotated[str, typer.Argument(help="A file, a glob, a folder, or a known data set.")],
    overrides: Overrides = None,
) -> None:
    """Print a commented recipe for a data set."""
    from slugline.recipe.document import commented
    from slugline.workflows.first_recipe import first_recipe

    typer.echo(commented(first_recipe(source, overrides or [])), nl=False)


@app.command("show")
def show(recipe: RecipeFile, overrides: Overrides = None) -> None:
    """Print the resolved recipe: every key with its value."""
    from slugline.recipe.recipe import write

    typer.echo(write(read_recipe(recipe, overrides or [], command="recipe show")), nl=False)


@app.command("schema")
def schema() -> None:
    """Print the JSON schema of recipes, for editors."""
    from slugline.recipe.recipe import Recipe

    print_json(Recipe.model_json_schema())
