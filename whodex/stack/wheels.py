"""Finds the programs that wheels carry, without importing the wheels' own Python code."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from whodex.stack.errors import StackError


def wheel_folder(package: str) -> Path:
    """The folder of an installed package.

    Raises:
        StackError: it is not installed.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise StackError(f"The package {package} is not installed: `pip install 'whodex[local]'` brings it.")
    return Path(spec.origin).parent
