"""What tests/integration/test_tenants.py needs of each method, seen without a stack."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.tenants.matrix import methods
from tests.tenants.requests import Kind, Shape, shapes_of
from whodex.runtime.access import declared_access

PUBLIC = [shape for method in methods() if not declared_access(method).internal for shape in shapes_of(method)]


class _AnyName(dict[Kind, str]):
    """A name of each kind."""

    def __contains__(self, kind: object) -> bool:
        return True

    def __missing__(self, kind: Kind) -> str:
        return "/".join(f"{collection}/{uuid4()}" for collection in kind)


@pytest.mark.parametrize("shape", PUBLIC, ids=str)
def test_a_valid_request_can_be_made_up(shape: Shape) -> None:
    """If not, the error says what to teach tests/tenants."""
    requests = shape.make_requests(_AnyName())
    sent = b"".join(request.SerializeToString() for request in requests)
    assert sent.count(b"libraries/") == len(shape.named_kinds())
