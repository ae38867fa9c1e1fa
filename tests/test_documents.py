"""What the documents say is true: reference pages, the drawn house, the README's commands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT
from slugline.recipe.recipe import Recipe

sys.path.insert(0, str(ROOT / "scripts"))
import reference


def test_the_reference_pages_are_what_schema_and_help_say() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "reference.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_command_has_a_page() -> None:
    from slugline.cli.app import app

    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    groups = {group.name: group.typer_instance for group in app.registered_groups}
    names = [command.name for command in app.registered_commands]
    names += [f"{name} {command.name}" for name, group in groups.items() for command in group.registered_commands]
    assert len(names) >= 12
    for name in names:
        assert f"## slugline {name}\n" in page, name


PACKAGES = sorted(path.parent for path in (ROOT / "src" / "slugline").rglob("__init__.py"))


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.relative_to(ROOT / "src").as_posix())
def test_every_package_draws_its_inside(package: Path) -> None:
    drawn = reference.drawing(package)
    files = {path.name for path in package.glob("*.py")} - {"__init__.py"}
    folders = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    assert set(drawn) == files | folders
    assert all(drawn.values())
    assert len(drawn) <= 12


def test_places_named_for_changes_exist() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    source = ROOT / "src" / "slugline"
    named = [*re.findall(r"`([A-Z_]{4,})` of `([a-z_/]+\.py)`", page)]
    named += [(name.split(".")[0], path) for path, name in re.findall(r"`([a-z_/]+\.py): ([A-Za-z_.]+)`", page)]
    assert len(named) >= 25
    for name, path in named:
        assert re.search(rf"^(def |class |){name}\b", (source / path).read_text(), re.MULTILINE), (path, name)


def test_the_glossary_names_what_exists() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = page.split("| --- | --- | --- |")[1].split("## Style")[0]
    named = re.findall(r"`([a-z_/]+\.py)(?:: ([A-Za-z]+))?`", table)
    assert len(named) >= 20
    for path, name in named:
        text = (ROOT / "src" / "slugline" / path).read_text(encoding="utf-8")
        assert re.search(rf"^(def |class |){name}\b", text, re.MULTILINE), path


def test_the_readme_opens_with_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    first_block = readme.split("```")[1]
    assert [line.split("#")[0].strip() for line in first_block.splitlines()[1:] if line] == ["make demo", "make test"]


def test_recipes_in_the_documents_are_valid() -> None:
    import tomllib

    for page in (ROOT / "README.md", ROOT / "docs" / "recipe.md"):
        for block in re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            Recipe.model_validate(tomllib.loads(block))


def test_no_document_speaks_of_what_its_readers_do_not_have() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        text = page.read_text(encoding="utf-8")
        assert "../shared" not in text, page
        assert not re.search(r"/(home|root|work|Users)/", text), page


def test_every_figure_has_been_filled_in() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"\b(TODO|TBD|TIME|HELP|BENCH|[A-Z]+TABLE|AGACC|PICTURE|TABLE)\b", text), page


def test_relative_links_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / Path(link)).exists(), (page.name, link)
