"""Every code block of the documentation, run as it stands there: the blocks of a page in order, in one shell."""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from tests.documentation import PAGES, Block, blocks_of, page_id
from whodex.client import Client
from whodex.demo.samples import pull_samples, sample
from whodex.stack.smoke_media import clip_path

if TYPE_CHECKING:
    from tests.integration.conftest import Stack

RUN = ("sh", "python", "text")
RUNNABLE = {page: [b for b in blocks_of(page) if b.language in RUN and "no-run" not in b.attributes] for page in PAGES}
BLOCK_SECONDS = 120

# The files that the pages call by these names. Ada is played by Barack Obama.
MEDIA = {
    "ada-1.jpg": "obama.jpg",
    "ada-2.jpg": "obama3.jpg",
    "one.jpg": "obama.jpg",
    "other.jpg": "obama2.jpg",
    "alan-1.jpg": "biden.jpg",
    "group-photo.jpg": "t1.jpg",
}

# Runs a block, and leaves the shell's directory and variables for the next one of its page.
_SHELL = """
set -euo pipefail
if [[ -f "$WHODEX_TEST_SHELL" ]]; then source "$WHODEX_TEST_SHELL"; fi
trap '{ declare -p | grep -v "^declare -[a-z]*r"; printf "cd %q\\n" "$PWD"; } > "$WHODEX_TEST_SHELL"' EXIT
"""


class Page:
    """The state that the blocks of one page share."""

    def __init__(self) -> None:
        self._names: dict[str, Any] = {"__name__": "page"}
        self._output = ""

    def run(self, block: Block) -> None:
        """Runs the block; output that the page shows is compared with what the block before it has printed."""
        if block.language == "text":
            _compare(block, self._output)
        elif block.language == "sh":
            self._output = self._run_shell(block)
        else:
            self._output = self._run_python(block)

    def _run_shell(self, block: Block) -> str:
        done = subprocess.run(
            ["/bin/bash", "-c", _SHELL + block.text],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=BLOCK_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{block.place} ended with {done.returncode}:\n{block.text}\n{done.stdout}"
        return done.stdout

    def _run_python(self, block: Block) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as output:
            exec(compile(block.text, block.place, "exec"), self._names)  # noqa: S102 - it is what the page says
        return output.getvalue()


def _compare(block: Block, output: str) -> None:
    """Compares as doctest does: `...` stands for anything, and runs of blanks are one."""
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    checker, example = doctest.OutputChecker(), doctest.Example("", block.text)
    same = checker.check_output(block.text, output, options)
    assert same, f"{block.place}:\n{checker.output_difference(example, output, options)}"


@pytest.fixture
def folder(stack: Stack, tmp_path: Path) -> Path:
    """Where a page is run: beside the stack's state, with the media that pages name."""
    pull_samples()
    for name, picture in MEDIA.items():
        shutil.copyfile(sample(picture), tmp_path / name)
    shutil.copyfile(clip_path(), tmp_path / "lecture.mp4")
    Image.linear_gradient("L").save(tmp_path / "sunset.jpg")
    (tmp_path / ".whodex").symlink_to(stack.state.root)
    return tmp_path


@pytest.fixture
def page_state(stack: Stack, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """A page that nothing of has been run yet, in an activated environment and with a library of its own."""
    monkeypatch.chdir(folder)
    monkeypatch.delenv("WHODEX_STATE_DIR", raising=False)
    monkeypatch.setenv("PATH", f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("WHODEX_TEST_SHELL", str(folder / ".shell"))
    with Client(state_dir=stack.state.root) as admin:
        library = admin.libraries.create("documentation").name
        monkeypatch.setenv("WHODEX_ADDRESS", stack.address)
        monkeypatch.setenv("WHODEX_LIBRARY", library)
        monkeypatch.setenv("WHODEX_API_KEY", admin.libraries.create_key(library, "tests").secret)
        yield Page()
        admin.libraries.delete(library, force=True)


@pytest.mark.parametrize("page", [page for page, blocks in RUNNABLE.items() if blocks], ids=page_id)
def test_every_block_of_the_page_works(page: Path, page_state: Page, subtests: pytest.Subtests) -> None:
    for block in RUNNABLE[page]:
        needed = block.attributes.get("needs")
        if needed and not shutil.which(needed):
            with subtests.test(block.place):
                pytest.skip(f"{needed} is not installed")
            continue
        page_state.run(block)
