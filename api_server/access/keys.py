"""The secrets of API keys."""

from __future__ import annotations

import hashlib
import secrets

# Secret scanners and people recognise a key by it.
PREFIX = "wdx_"
# What is kept of a secret to recognise it by: the prefix and 6 characters (36 of its 256 bits).
SHOWN_LENGTH = len(PREFIX) + 6
_SECRET_BYTES = 32


def new_secret() -> str:
    """Makes a secret of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def secret_digest(secret: str) -> bytes:
    """The SHA-256 by which a secret is stored and looked up: 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).digest()
