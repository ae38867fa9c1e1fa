"""."""

from slugline.recipe.recipe import Recipe, read, validate, write

__all__ = ["Recipe", "read", "validate", "write"]
