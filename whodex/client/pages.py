"""Lists that come in pages, read as if they were one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar


class _Page(Protocol):
    @property
    def next_page_token(self) -> str: ...


PageT = TypeVar("PageT", bound=_Page)
ItemT = TypeVar("ItemT")


class Pages(Generic[PageT, ItemT]):
    """Iterates over the items of all pages; each page is asked for when its first item is.

    Args:
        fetch: asks for the page behind a token; the empty token stands for the first.
        items: the items of a page.
    """

    def __init__(self, fetch: Callable[[str], PageT], items: Callable[[PageT], Iterable[ItemT]]) -> None:
        self._fetch = fetch
        self._items = items

    def __iter__(self) -> Iterator[ItemT]:
        for page in self.pages():
            yield from self._items(page)

    def pages(self) -> Iterator[PageT]:
        """The responses themselves, for what they say beside the items."""
        token = ""
        while True:
            page = self._fetch(token)
            yield page
            token = page.next_page_token
            if not token:
                return
