"""The recipe: one TOML file with everything about one training.

```text
recipe.py          Recipe: read, validate, write
section.py         base class of all sections
data_section.py    [data]: texts and labels
model_section.py   [model]: kind, base, head
train_section.py   [train], [pretrain], [evaluation]
kinds.py           KINDS: the kinds of models and their capabilities
defaults.py        defaults that depend on other keys
locations.py       relative paths of data
toml.py            TOML files: read, override, find lines
messages.py        error messages of invalid recipes and studies
changes.py         differences between two recipes; renamed keys
document.py        commented recipes, descriptions of keys
```
"""

from slugline.recipe.recipe import Recipe, read, validate, write

__all__ = ["Recipe", "read", "validate", "write"]
