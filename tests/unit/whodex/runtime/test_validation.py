from uuid import uuid4

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from whodex.errors import InvalidArgumentError
from whodex.runtime.validation import validate
from whodex.v1 import audit_service_pb2, library_service_pb2, people_service_pb2

LIBRARY = f"libraries/{uuid4()}"


def test_what_keeps_its_limits_passes():
    validate(people_service_pb2.CreatePersonRequest(parent=LIBRARY, display_name="Ada\n\u202e"))


def test_a_nul_character_is_refused_before_postgres_does():
    request = people_service_pb2.CreatePersonRequest(parent=LIBRARY, display_name="Ada\0")
    with pytest.raises(InvalidArgumentError, match="display_name: holds a NUL character"):
        validate(request)


def test_it_is_found_in_messages_of_messages():
    metadata = people_service_pb2.ReferencePhotoMetadata(parent=f"{LIBRARY}/people/{uuid4()}", file_name="a\0.jpg")
    with pytest.raises(InvalidArgumentError) as refused:
        validate(people_service_pb2.UploadReferencePhotoRequest(metadata=metadata))
    assert [violation.field for violation in refused.value.violations] == ["metadata.file_name"]


def test_bytes_may_hold_anything():
    validate(people_service_pb2.UploadReferencePhotoRequest(chunk=b"\0"))


@pytest.mark.parametrize(
    "moment", [Timestamp(seconds=10**15), Timestamp(seconds=-(10**15)), Timestamp(nanos=-1), Timestamp(nanos=10**9)]
)
def test_a_moment_that_is_none_is_refused(moment: Timestamp):
    with pytest.raises(InvalidArgumentError) as refused:
        validate(audit_service_pb2.ListAuditEntriesRequest(parent=LIBRARY, start_time=moment))
    assert [violation.field for violation in refused.value.violations] == ["start_time"]


@pytest.mark.parametrize("overlap", [Duration(seconds=10**15), Duration(seconds=5, nanos=-1), Duration(nanos=10**9)])
def test_a_duration_that_is_none_is_refused(overlap: Duration):
    request = library_service_pb2.RotateApiKeyRequest(name=f"{LIBRARY}/apiKeys/{uuid4()}", overlap=overlap)
    with pytest.raises(InvalidArgumentError) as refused:
        validate(request)
    assert {violation.field for violation in refused.value.violations} == {"overlap"}


def test_the_first_and_the_last_moment_pass():
    first, last = Timestamp(seconds=-62_135_596_800), Timestamp(seconds=253_402_300_799, nanos=999_999_999)
    validate(audit_service_pb2.ListAuditEntriesRequest(parent=LIBRARY, start_time=first, end_time=last))
