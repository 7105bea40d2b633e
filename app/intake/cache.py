"""A bounded memory of what was found before.

It has two generations: what is not asked for while one fills is forgotten.
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Generations(Generic[K, V]):
    """Remembers values, as many as are of the size `size_max` together, and as many again.

    None is not a value.
    """

    def __init__(self, size_max: int) -> None:
        self._size_max = size_max
        self._newer: dict[K, tuple[V, int]] = {}
        self._older: dict[K, tuple[V, int]] = {}
        self._size = 0  # of the newer ones

    def __len__(self) -> int:
        return len(self._newer) + len(self._older)

    def get(self, key: K) -> V | None:
        """What was put under the key, unless it is forgotten."""
        value = self._newer.get(key)
        if value is not None:
            return value[0]
        value = self._older.pop(key, None)
        if value is None:
            return None
        self.put(key, *value)
        return value[0]

    def put(self, key: K, value: V, size: int) -> None:
        """Remember a value."""
        if self._size >= self._size_max:
            self._older, self._newer, self._size = self._newer, {}, 0
        _, before = self._newer.get(key, (None, 0))
        self._newer[key] = (value, size)
        self._size += size - before
