"""A page of a list: as many items and bytes as it may have, and where the next one begins."""

from typing import Generic, TypeVar

BYTES_MAX = 8 * 1024 * 1024  # of the items; a page that is not empty has one at least

T = TypeVar("T")


class Page(Generic[T]):
    """Items in order. `next` is the cursor of the next page, None when there is none."""

    def __init__(self, limit: int) -> None:
        self.items: list[T] = []
        self.next: str | None = None
        self._limit, self._size = limit, 0
        self._last: tuple[str, str] = ("", "")

    def is_full(self, size: int) -> bool:
        """Whether another item of this size has no room; if so, another page follows."""
        full = len(self.items) >= self._limit or (
            bool(self.items) and self._size + size > BYTES_MAX
        )
        if full:
            self.next = "~".join(self._last)
        return full

    def add(self, item: T, place: tuple[str, str], size: int) -> None:
        """Add the next item, with its place in the order and its bytes."""
        self.items.append(item)
        self._last = place
        self._size += size
