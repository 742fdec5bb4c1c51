"""Whodex finds people in photo and video libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whodex.client import Client

__all__ = ["Client"]


def __getattr__(name: str) -> object:
    # Every service imports this package; only those who ask for the client load it.
    if name == "Client":
        from whodex.client import Client  # noqa: PLC0415

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
