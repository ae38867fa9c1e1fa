"""`Coded`: many values of which few are different, such as the labels of rows, as an array of numbers."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from slugline.data.tables.table import BATCH_ROWS

T = TypeVar("T", bound=Hashable)
U = TypeVar("U", bound=Hashable)


class Coded(Iterable[T], Generic[T]):
    """N values.

    Args:
        codes: (N,) numbers of the values.
        values: the different values by number; some may occur in no row.
    """

    def __init__(self, codes: NDArray[np.int32], values: Sequence[T]) -> None:
        self.codes = codes
        self.values: tuple[T, ...] = tuple(values)

    @classmethod
    def of(cls, values: Iterable[T]) -> Coded[T]:
        """Number values in the order of their first occurrence."""
        if isinstance(values, Coded):
            return values
        numbers: dict[T, int] = {}
        codes = array("i", (numbers.setdefault(value, len(numbers)) for value in values))
        return cls(np.frombuffer(codes, dtype=np.int32), list(numbers))

    @classmethod
    def join(cls, several: Sequence[Coded[T]]) -> Coded[T]:
        """Concatenate values."""
        numbers: dict[T, int] = {}
        codes = [
            np.array([numbers.setdefault(value, len(numbers)) for value in coded.values], dtype=np.int32)[coded.codes]
            for coded in several
        ]
        return cls(np.concatenate([np.empty(0, np.int32), *codes]), list(numbers))

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, index: int) -> T:
        return self.values[int(self.codes[index])]

    def __iter__(self) -> Iterator[T]:
        for start in range(0, len(self), BATCH_ROWS):
            yield from map(self.values.__getitem__, self.codes[start : start + BATCH_ROWS].tolist())

    def take(self, indices: NDArray[np.int64]) -> Coded[T]:
        """Return the values at these indices, in this order."""
        return Coded(self.codes[indices], self.values)

    def change(self, function: Callable[[T], U]) -> Coded[U]:
        """Replace each value; the function is called once for each different value."""
        changed = Coded.of(map(function, self.values))
        return Coded(changed.codes[self.codes], changed.values)

    def used(self) -> Coded[T]:
        """Return the same values without the different values that occur in no row."""
        numbers, codes = np.unique(self.codes, return_inverse=True)
        return Coded(codes.astype(np.int32), [self.values[number] for number in numbers])

    def where(self, condition: Callable[[T], bool]) -> NDArray[np.int64]:
        """Return the indices of the values that meet a condition."""
        return np.flatnonzero(np.array([condition(value) for value in self.values], dtype=np.bool_)[self.codes])

    def counts(self) -> Counter[T]:
        """Count the rows of each value that occurs, in the order of the first occurrences."""
        numbers, first, counts = np.unique(self.codes, return_index=True, return_counts=True)
        return Counter({self.values[numbers[position]]: int(counts[position]) for position in np.argsort(first)})
