"""The documentation's site: what is generated into it is whole, and it asks nobody else for anything."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import typer
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from typer.main import get_command

from whodex.cli.app import app

ROOT = Path(__file__).parents[2]


class _Page(HTMLParser):
    """The anchors of a page, and what a browser loads to show it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids = set[str]()
        self.loaded = set[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.ids.add(attributes.get("id") or "")
        if tag in {"img", "script", "iframe", "source"}:
            self.loaded.add(attributes.get("src") or "")
        if tag == "link" and attributes.get("rel") != "canonical":
            self.loaded.add(attributes.get("href") or "")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    image = ROOT / "build" / "whodex.binpb"
    subprocess.run([sys.executable, ROOT / "proto" / "generate.py", "--image", image], check=True, timeout=60)
    command = [sys.executable, "-m", "sphinx", "--quiet", "--conf-dir", ROOT / "docs" / "site"]
    subprocess.run([*command, "--doctree-dir", folder / "doctrees", ROOT / "docs", folder / "html"], check=True)
    return folder / "html"


def _page(built: Path, name: str) -> _Page:
    return _Page((built / f"{name}.html").read_text(encoding="utf-8"))


def test_no_page_loads_anything_from_elsewhere(built: Path):
    pages = list(built.rglob("*.html"))
    assert len(pages) > 10
    outside = {
        (page.name, url)
        for page in pages
        for url in _Page(page.read_text(encoding="utf-8")).loaded
        if "//" in url and not url.startswith("data:")
    }
    styles = {style.name for style in built.rglob("*.css") if "url(http" in style.read_text(encoding="utf-8")}
    assert outside == set()
    assert styles == set()


def test_the_reference_has_every_service_message_and_enum(built: Path):
    image = FileDescriptorSet.FromString((ROOT / "build" / "whodex.binpb").read_bytes())
    files = [file for file in image.file if file.package == "whodex.v1"]
    names = [one.name for file in files for kind in (file.service, file.message_type, file.enum_type) for one in kind]
    assert len(names) > 100
    ids = set().union(*(_page(built, f"reference/{page}").ids for page in ("services", "resources", "internal")))
    assert [name for name in names if f"whodex-v1-{name.lower()}" not in ids] == []


def test_the_reference_has_every_command(built: Path):
    root = get_command(app)
    context = typer.Context(root)
    ids = _page(built, "reference/command-line").ids
    names = [
        "-".join(("whodex", name, *below)).lower()
        for name in root.list_commands(context)
        for below in [(), *((one,) for one in getattr(root.get_command(context, name), "commands", ()))]
    ]
    assert len(names) > 20
    assert [name for name in names if name not in ids] == []
