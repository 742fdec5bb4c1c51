from __future__ import annotations

from pathlib import Path

import pytest

from api_server.uploads.admission import admit
from whodex.errors import InvalidArgumentError, ResourceExhaustedError
from whodex.runtime.store import ObjectStore
from whodex.v1 import error_reason_pb2


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore.from_url(tmp_path.as_uri())


@pytest.mark.parametrize("announced_bytes", [0, 1, 100])
def test_what_fits_is_let_in(store: ObjectStore, announced_bytes: int) -> None:
    admit(store, announced_bytes, 100)


def test_what_is_over_the_limit_is_not(store: ObjectStore) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        admit(store, 101, 100)
    assert caught.value.reason == error_reason_pb2.ERROR_REASON_UPLOAD_TOO_LARGE


def test_what_is_larger_than_the_disk_is_not(store: ObjectStore) -> None:
    with pytest.raises(ResourceExhaustedError) as caught:
        admit(store, 1 << 60, 1 << 62)
    assert caught.value.reason == error_reason_pb2.ERROR_REASON_STORAGE_FULL
