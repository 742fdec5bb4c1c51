"""Where everything lies that can be made again: prepared models, Triton's environment, sample media."""

from __future__ import annotations

import os
from pathlib import Path


def cache_directory() -> Path:
    """`WHODEX_CACHE_DIR`, else `whodex` in the user's cache ($XDG_CACHE_HOME, else ~/.cache); it need not exist."""
    if override := os.environ.get("WHODEX_CACHE_DIR"):
        return Path(override)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "whodex"
