from __future__ import annotations

import pytest
from google.protobuf.descriptor import Descriptor

from whodex.runtime.channel_options import MAX_MESSAGE_BYTES
from whodex.runtime.message_sizes import SMALL_MESSAGE_BYTES, largest_request_bytes
from whodex.v1 import index_service_pb2, people_service_pb2, search_service_pb2, upload_service_pb2, work_service_pb2

MIB = 1 << 20


@pytest.mark.parametrize(
    ("message", "payload_bytes"),
    [
        (people_service_pb2.CreatePersonRequest.DESCRIPTOR, 0),
        (people_service_pb2.UploadReferencePhotoRequest.DESCRIPTOR, MIB),
        (upload_service_pb2.FinishUploadRequest.DESCRIPTOR, 32),
        (search_service_pb2.IdentifyFacesRequest.DESCRIPTOR, 32 * MIB),
        (search_service_pb2.VerifyFacesRequest.DESCRIPTOR, 64 * MIB),
    ],
    ids=lambda value: value.name if isinstance(value, Descriptor) else str(value),
)
def test_a_message_may_hold_what_its_contract_says(message: Descriptor, payload_bytes: int) -> None:
    assert largest_request_bytes(message) == SMALL_MESSAGE_BYTES + payload_bytes


@pytest.mark.parametrize(
    "message", [work_service_pb2.CompleteWorkRequest.DESCRIPTOR, index_service_pb2.SearchRequest.DESCRIPTOR]
)
def test_a_message_without_a_limit_of_its_own_has_the_largest_one(message: Descriptor) -> None:
    assert largest_request_bytes(message) == MAX_MESSAGE_BYTES
