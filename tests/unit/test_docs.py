"""What the documentation points at is there, and what it shows is written in a language that a test can check."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from grpc_tools import protoc
from markdown_it import MarkdownIt

from tests.documentation import PAGES, ROOT, Block, blocks_of, page_id

SOURCES = ("api_server", "indexer", "inference", "proto", "tests", "whodex")
BLOCKS = [block for page in PAGES for block in blocks_of(page)]

_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_NAMED_PAGE = re.compile(r"\bdocs/[\w/.-]+\.md\b")
_MAKE = re.compile(r"(?:^|`)make ([a-z][a-z-]*)", re.MULTILINE)
_TARGET = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)


def _anchors(page: Path) -> set[str]:
    """The headings as GitHub makes anchors of them."""
    tokens = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    titles = [text.content for mark, text in pairwise(tokens) if mark.type == "heading_open"]
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def _broken_links(page: Path) -> Iterator[str]:
    for link in _LINK.finditer(_FENCED.sub("", page.read_text(encoding="utf-8"))):
        target, _, anchor = link["target"].partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        aim = (page.parent / target) if target else page
        if not aim.exists() or (anchor and anchor not in _anchors(aim)):
            yield link["target"]


@pytest.mark.parametrize("page", PAGES, ids=page_id)
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


def _check_sh(block: Block) -> None:
    checked = subprocess.run(["/bin/bash", "-n"], input=block.text, capture_output=True, encoding="utf-8", check=False)
    assert checked.returncode == 0, checked.stderr


def _check_proto(block: Block, folder: Path) -> None:
    """Compiles the block as a file of the contracts' package that may name all that they have."""
    contracts = sorted((ROOT / "proto" / "whodex" / "v1").glob("*.proto"))
    names = ["buf/validate/validate.proto", *(f"whodex/v1/{file.name}" for file in contracts)]
    imports = "\n".join(f'import "{name}";' for name in names)
    (folder / "block.proto").write_text(f'syntax = "proto3";\npackage whodex.v1;\n{imports}\n{block.text}')
    image = folder / "contracts.binpb"
    subprocess.run([sys.executable, ROOT / "proto" / "generate.py", "--image", image], check=True)
    arguments = [
        "protoc",
        f"--proto_path={folder}",
        f"--descriptor_set_in={image}",
        f"--descriptor_set_out={folder}/out",
    ]
    assert protoc.main([*arguments, "block.proto"]) == 0


CHECKS: dict[str, Callable[[Block], object]] = {
    "sh": _check_sh,
    "python": lambda block: ast.parse(block.text),
    "json": lambda block: json.loads(block.text),
    "toml": lambda block: tomllib.loads(block.text),
    "yaml": lambda block: list(yaml.safe_load_all(block.text)),
    # Output: compared with the command's above it when the blocks run, see tests/integration/test_docs.py.
    "text": lambda block: block.text,
}


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.place}-{block.language}")
def test_every_block_says_its_language_and_is_written_in_it(block: Block, tmp_path: Path):
    if block.language == "proto":
        _check_proto(block, tmp_path)
    else:
        assert block.language in CHECKS, f"{block.place}: a block needs one of {sorted(CHECKS)} or proto"
        CHECKS[block.language](block)


def test_a_block_that_does_not_run_says_why():
    unknown = [block.place for block in BLOCKS if not block.attributes.keys() <= {"no-run", "needs"}]
    reasons = {block.place: block.attributes["no-run"] for block in BLOCKS if "no-run" in block.attributes}
    assert unknown == []
    assert {place: reason for place, reason in reasons.items() if len(reason.split()) < 3} == {}


def test_output_that_is_shown_follows_the_block_that_prints_it():
    unprinted = [
        block.place
        for page in PAGES
        for before, block in pairwise([None, *blocks_of(page)])
        if block.language == "text" and "no-run" not in block.attributes
        if before is None or before.language not in {"sh", "python"} or "no-run" in before.attributes
    ]
    assert unprinted == []
