"""Hierarchical labels: a path has one part for each level, from the top down."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from slugline.core.errors import DataError
from slugline.core.labels import NO_PART, PATH_SEPARATOR

#: Stands for the separator within the name of one level: ``Sci/Tech`` becomes ``Sci|Tech``.
SEPARATOR_IN_PART = "|"


def are_paths(names: Sequence[str]) -> bool:
    """Tell whether names are paths: all have equally many parts, two or more, and share parts of the top level.

    Args:
        names: all class names.

    Returns:
        True if the names are the leaves of a tree.
    """
    paths = [name.split(PATH_SEPARATOR) for name in names]
    depths = {len(path) for path in paths}
    are_whole = all(part.strip() for path in paths for part in path)
    return len(depths) == 1 and min(depths) > 1 and are_whole and len({path[0].strip() for path in paths}) < len(paths)


def path_of(parts: Sequence[str | None], *, where: Callable[[], str]) -> str | None:
    """Join the parts of a path.

    Args:
        parts: names of the levels, top first; None at the end if the path stops above the lowest level.
        where: returns file, row and column, for messages.

    Returns:
        The path; None if no level has a name.

    Raises:
        DataError: a part is empty, or a level has a name although a level above it has none.
    """
    named = list(parts)
    while named and named[-1] is None:
        named.pop()
    names = [(part or "").strip().replace(PATH_SEPARATOR, SEPARATOR_IN_PART) for part in named]
    if not all(names):
        raise DataError(
            f"{where()}: the path {PATH_SEPARATOR.join(part or '' for part in parts)!r} has an empty part.",
            hint="Write each label as domain/area; name every level above the last one.",
        )
    return PATH_SEPARATOR.join(names) if names else None


def pad_paths(names: Sequence[str]) -> dict[str, str]:
    """Give all paths the same number of parts: a path that stops above the lowest level gets the part ``-``.

    Args:
        names: all paths.

    Returns:
        The padded path of each path.
    """
    paths = {name: [part.strip() for part in name.split(PATH_SEPARATOR)] for name in names}
    depth = max(map(len, paths.values()), default=1)
    return {name: PATH_SEPARATOR.join([*path, *[NO_PART] * (depth - len(path))]) for name, path in paths.items()}
