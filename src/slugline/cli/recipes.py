"""`slugline recipe new`, `show`, `schema`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slugline.cli.output import print_json

app = typer.Typer(no_args_is_help=True, help="Starting points, resolved recipes, the schema.", rich_markup_mode=None)


@app.command("new")
def new(
    source: Annotated[str, typer.Argument(help="Your file or folder, or a known set.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key.sub=value, any number.")] = None,
) -> None:
    """A commented recipe for a file or set, on stdout."""
    from slugline.recipe.document import commented
    from slugline.workflows.first_recipe import first_recipe

    typer.echo(commented(first_recipe(source, overrides or [])), nl=False)


@app.command("show")
def show(
    recipe: Annotated[Path, typer.Argument(help="The recipe: a TOML file.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key.sub=value, any number.")] = None,
) -> None:
    """The resolved recipe: every key with its value."""
    from slugline.recipe.recipe import read, write

    typer.echo(write(read(recipe, overrides or [])), nl=False)


@app.command("schema")
def schema() -> None:
    """The JSON schema of recipes, for editors."""
    from slugline.recipe.recipe import Recipe

    print_json(Recipe.model_json_schema())
