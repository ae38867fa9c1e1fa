"""Classes on their way from a source into the label set: renamed and merged by ``label_map``, joined over sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from slugline.core.errors import DataError, nearest
from slugline.core.labels import Split

#: Labels without an entry that a message names.
NAMED_LABELS = 10


def map_labels(
    labels: Mapping[Split, Sequence[str]], order: Sequence[str], label_map: Mapping[str, str], *, where: str
) -> tuple[dict[Split, list[str]], tuple[str, ...]]:
    """Rename and merge classes.

    Args:
        labels: class names by split and row.
        order: all class names of the source, with rows or without.
        label_map: class name to new name; empty = all stay as they are.
        where: the source, for messages.

    Returns:
        New names by split and row, and all new names, each where the map names it first.

    Raises:
        DataError: an entry names no class of the source, or a label has no entry.
    """
    if not label_map:
        return {split: list(some) for split, some in labels.items()}, tuple(order)
    _require_classes(label_map, order, where)
    counts = Counter(label for some in labels.values() for label in some)
    _require_entries(label_map, counts, where)
    new_names = {split: [label_map[label] for label in some] for split, some in labels.items()}
    return new_names, join_orders([label_map.values()])


def join_orders(orders: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """All class names of several orders, each once, where it comes first."""
    return tuple(dict.fromkeys(name for order in orders for name in order))


def _require_classes(label_map: Mapping[str, str], order: Sequence[str], where: str) -> None:
    unknown = [name for name in label_map if name not in order]
    if unknown:
        raise DataError(
            f"{where}: label_map has entries for {', '.join(map(repr, unknown[:NAMED_LABELS]))}, no classes there."
            f"{nearest(unknown[0], list(order))}",
            hint=f"Classes: {', '.join(order[:20])}{' ...' if len(order) > 20 else ''}.",
        )


def _require_entries(label_map: Mapping[str, str], counts: Counter[str], where: str) -> None:
    left = [(name, count) for name, count in counts.most_common() if name not in label_map]
    if left:
        named = ", ".join(f"{name!r} ({count:,} rows)" for name, count in left[:NAMED_LABELS])
        more = f", and {len(left) - NAMED_LABELS} more" if len(left) > NAMED_LABELS else ""
        name = left[0][0]
        raise DataError(
            f"{where}: labels without an entry in label_map: {named}{more}.",
            hint=f'Add entries: "{name}" = "{name}" keeps a class; data.drop_classes leaves it out afterwards.',
        )
