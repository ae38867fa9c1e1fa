"""Write `docs/recipe.md` from the recipe's schema, and `docs/commands.md` from the command line's own help.

python scripts/reference.py          writes both
python scripts/reference.py --check  fails when one is not what it would write
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from slugline.recipe.defaults import MODEL_DEFAULTS, PRETRAIN_DEFAULTS
from slugline.recipe.document import describe_key
from slugline.recipe.recipe import Recipe, sections
from slugline.recipe.section import Section, tables_in
from slugline.recipe.toml import to_toml

DOCS = Path(__file__).parents[1] / "docs"

RECIPE_HEAD = """# The recipe

One TOML file says everything about one training. Three lines are enough; every key below has a default. Write a
commented recipe for your own file with `slugline recipe new my.csv`, see the resolved one with `slugline recipe show`,
override any key on the command line: `slugline train my.toml train.epochs=1`. Unknown keys are refused with the nearest
known name. `slugline recipe schema` gives the JSON schema for editors.

```toml
name = "agnews"
[data]
name = "ag_news"
```

This page is made from the schema by `scripts/reference.py`; a test keeps it true.
"""

PRETRAINED = """
Of several that hold, the first to name a key decides. A `model.base` that `slugline pretrain` left
(`runs/NAME/model`) has the defaults of the base it began with. A recipe with `[[pretrain.texts]]` needs no [data]
section."""

COMMANDS_HEAD = """# Commands

Progress goes to stderr, results to stdout; `--json` makes results readable for machines. Exit codes: 0 done, 1 the
input is at fault, 2 wrong usage, 3 a check did not hold, 130 stopped by Ctrl-C. `slugline --quiet COMMAND` shows only
warnings and errors. MODEL is a run, its `model` folder, one of its checkpoints, any folder that transformers'
`AutoModelForSequenceClassification` loads, or the Hub name of such a model.

This page is made from the commands' own help by `scripts/reference.py`; a test keeps it true.
"""

COMMANDS = (
    "demo",
    "data list",
    "data inspect",
    "data prepare",
    "recipe new",
    "recipe show",
    "recipe schema",
    "train",
    "pretrain",
    "study",
    "evaluate",
    "predict",
    "compare",
    "doctor",
)


def recipe_page() -> str:
    """The page about the recipe."""
    parts = [
        RECIPE_HEAD,
        "## Top level\n",
        _table(Recipe, [key for key in Recipe.model_fields if key not in sections()]),
    ]
    for name, section in sections().items():
        intent = (section.__doc__ or "").strip()
        parts += [f"\n## [{name}]\n", f"{intent}\n", _table(section, list(section.model_fields))]
        for key, inner in tables_in(section).items():
            intent = (inner.__doc__ or "").strip()
            parts += [f"\n### [{name}.{key}]\n", f"{intent}\n", _table(inner, list(inner.model_fields))]
    parts += ["\n## Defaults that depend on the model\n"]
    for conditions, values in MODEL_DEFAULTS:
        keys = {"origin": "base"}
        when = " and ".join(f"`model.{keys.get(key, key)} = {to_toml(value)}`" for key, value in conditions.items())
        parts.append(f"- With {when}: {_values(values)}.")
    parts.append(f"- With a [pretrain] section: {_values(PRETRAIN_DEFAULTS)}.")
    parts.append(PRETRAINED)
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
    """The page about the commands."""
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


def main() -> int:
    """Write, or check."""
    pages = {DOCS / "recipe.md": recipe_page(), DOCS / "commands.md": commands_page()}
    if "--check" not in sys.argv:
        for path, text in pages.items():
            path.write_text(text, encoding="utf-8")
        return 0
    old = [path.name for path, text in pages.items() if path.read_text(encoding="utf-8") != text]
    if old:
        sys.stderr.write(f"{', '.join(old)} is not true any more: run python scripts/reference.py\n")
    return bool(old)


if __name__ == "__main__":
    sys.exit(main())
