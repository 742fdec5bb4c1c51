from __future__ import annotations

import pytest
from google.protobuf import any_pb2

from api_server.work.contract import checked_message
from whodex.errors import InvalidArgumentError
from whodex.v1 import tasks_pb2

BLOB = tasks_pb2.StagedBlob(key="face.jpg", media_type="image/jpeg", size_bytes=1)


def pack(message):
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def test_a_valid_message_comes_out():
    assert checked_message(pack(BLOB), tasks_pb2.StagedBlob, "blob") == BLOB


@pytest.mark.parametrize(
    ("packed", "problem"),
    [
        (any_pb2.Any(), "an empty Any is not"),
        (pack(tasks_pb2.DeleteBlobsResult()), "DeleteBlobsResult is not"),
        (any_pb2.Any(type_url="type.googleapis.com/whodex.v1.StagedBlob", value=b"\xff"), "not a serialised"),
        (pack(tasks_pb2.StagedBlob(key="../face.jpg", media_type="image/jpeg", size_bytes=1)), "key"),
    ],
)
def test_what_is_wrong_is_said(packed, problem):
    with pytest.raises(InvalidArgumentError, match=problem):
        checked_message(packed, tasks_pb2.StagedBlob, "blob")
