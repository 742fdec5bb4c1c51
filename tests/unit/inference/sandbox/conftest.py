from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from inference.sandbox.decoder import Decoder, Limits


@pytest.fixture(scope="package")
def decoder() -> Iterator[Decoder]:
    """A real sandbox; photos have 5 s, so that tests need not wait long for those that take longer."""
    with closing(Decoder(Limits(photo_seconds=5, stall_seconds=5))) as decoder:
        yield decoder
