"""The documentation as a site: Sphinx's configuration, see `make docs`.

The pages are Markdown that reads well without it. What a page cannot say by hand is added while it is read: the
reference pages gain what is generated from the code, and the front page gains the navigation.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

import command_line  # noqa: E402 - they lie beside this file
import contract  # noqa: E402
import licences  # noqa: E402

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "Whodex"
author = "the Whodex authors"
version = release = installed_version("whodex")
extensions = ["myst_parser", "sphinx_copybutton"]
exclude_patterns = ["site"]
root_doc = "index"
# As GitHub makes anchors, down to the headings of single fields' messages.
myst_heading_anchors = 4
nitpicky = True

html_theme = "furo"
html_title = f"Whodex {version}"
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_static_path = ["static"]
html_css_files = ["whodex.css"]
# Prompts are not part of what is copied.
copybutton_exclude = ".gp, .go"

NAVIGATION: dict[str, tuple[str, ...]] = {
    "Start": (
        "quickstart",
        "concepts",
        "accuracy",
        "comparison",
    ),
    "Use": (
        "cli",
        "client",
        "enrolment",
        "pictures",
        "uploads",
        "troubleshooting",
    ),
    "Run": (
        "operations",
        "deploy",
        "containers",
        "upgrade",
        "backup",
        "security",
        "privacy",
        "models",
        "licences",
    ),
    "Reference": (
        "reference/services",
        "reference/resources",
        "reference/internal",
        "reference/command-line",
    ),
    "Develop": (
        "tasks",
        "imports",
        "benchmarks",
        "decisions/index",
        "changelog",
    ),
}


def _navigation() -> str:
    trees = [
        f"```{{toctree}}\n:caption: {caption}\n:hidden:\n\n" + "\n".join(pages) + "\n```"
        for caption, pages in NAVIGATION.items()
    ]
    return "\n\n".join(trees)


def _decisions() -> str:
    return "```{toctree}\n:maxdepth: 1\n:glob:\n\n0*\n```"


def _changelog() -> str:
    _, _, changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").partition("\n")
    return changes


ADDED: dict[str, Callable[[], str]] = {
    "index": _navigation,
    "decisions/index": _decisions,
    "changelog": _changelog,
    "licences": licences.packages,
    "reference/services": contract.services,
    "reference/resources": contract.resources,
    "reference/internal": contract.internal,
    "reference/command-line": command_line.commands,
}


def _add(app: Sphinx, page: str, source: list[str]) -> None:  # noqa: ARG001 - Sphinx passes it
    if page in ADDED:
        source[0] += f"\n{ADDED[page]()}\n"


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _add)
