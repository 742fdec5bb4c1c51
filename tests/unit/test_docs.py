"""What the documentation points at is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
SOURCES = ("api_server", "indexer", "inference", "proto", "tests", "whodex")

_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (?P<title>.+)$", re.MULTILINE)
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_NAMED_PAGE = re.compile(r"\bdocs/[\w/.-]+\.md\b")
_MAKE = re.compile(r"(?:^|`)make ([a-z][a-z-]*)", re.MULTILINE)
_TARGET = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)


def _anchors(page: Path) -> set[str]:
    """The headings as GitHub makes anchors of them."""
    titles = _HEADING.findall(_FENCED.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def _broken_links(page: Path) -> Iterator[str]:
    for link in _LINK.finditer(_FENCED.sub("", page.read_text(encoding="utf-8"))):
        target, _, anchor = link["target"].partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        aim = (page.parent / target) if target else page
        if not aim.exists() or (anchor and anchor not in _anchors(aim)):
            yield link["target"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_resolves(page: Path):
    assert list(_broken_links(page)) == []


def test_every_page_that_the_code_names_is_there():
    files = [file for folder in SOURCES for kind in ("*.py", "*.proto") for file in (ROOT / folder).rglob(kind)]
    named = {(page, file) for file in files for page in _NAMED_PAGE.findall(file.read_text(encoding="utf-8"))}
    missing = [f"{page} in {file.relative_to(ROOT)}" for page, file in sorted(named) if not (ROOT / page).exists()]
    assert missing == []


def test_every_make_target_that_is_named_is_in_the_makefile():
    targets = set(_TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
    named = {(page, target) for page in PAGES for target in _MAKE.findall(page.read_text(encoding="utf-8"))}
    assert {target for page, target in named if page.name == "README.md"} >= {"demo", "test", "up", "down"}
    assert [f"make {target} in {page.name}" for page, target in sorted(named) if target not in targets] == []
