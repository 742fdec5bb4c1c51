"""The documentation's pages and the code blocks in them, for the tests that check and run them.

A block's info string is its language, and may go on with attributes: `no-run="REASON"` for what cannot run in a test,
`needs="PROGRAM"` for what runs only where that program is installed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))

_ATTRIBUTE = re.compile(r'([a-z-]+)="([^"]+)"')


@dataclass(frozen=True)
class Block:
    """A code block.

    Attributes:
        place: page and line, for messages.
        language: the first word of its info string; empty when it has none or is only indented.
        attributes: the others.
        text: its lines.
    """

    place: str
    language: str
    attributes: dict[str, str]
    text: str


def page_id(page: Path) -> str:
    """How a page is called in test ids."""
    return str(page.relative_to(ROOT))


def blocks_of(page: Path) -> list[Block]:
    """The code blocks of a page in order, those in lists and quotes too."""
    return list(_blocks(page))


def _blocks(page: Path) -> Iterator[Block]:
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type in {"fence", "code_block"} and token.map:
            language, _, rest = token.info.strip().partition(" ")
            place = f"{page_id(page)}:{token.map[0] + 1}"
            yield Block(place, language, dict(_ATTRIBUTE.findall(rest)), token.content)
