from uuid import uuid4

import pytest

from whodex.errors import InvalidArgumentError
from whodex.runtime.validation import validate
from whodex.v1 import people_service_pb2

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
