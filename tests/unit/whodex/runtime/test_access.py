from __future__ import annotations

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from whodex.runtime.access import UndeclaredAccessError, check_declared, declared_access, method_access
from whodex.v1 import access_options_pb2, people_service_pb2  # noqa: F401 - the pool knows what was imported
from whodex.v1.access_options_pb2 import MethodAccess
from whodex.v1.library_pb2 import ApiKey


def _method(access: MethodAccess | None):
    file = descriptor_pb2.FileDescriptorProto(name="test.proto", package="test", message_type=[{"name": "Nothing"}])
    method = file.service.add(name="Service").method.add(
        name="Do", input_type=".test.Nothing", output_type=".test.Nothing"
    )
    if access is not None:
        method.options.Extensions[access_options_pb2.access].CopyFrom(access)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool.FindMethodByName("test.Service.Do")


def test_what_opens_a_method_is_what_its_contract_says() -> None:
    assert method_access("/whodex.v1.PeopleService/DeletePerson") == MethodAccess(role=ApiKey.ROLE_ADMIN)


@pytest.mark.parametrize(
    "access",
    [
        None,
        MethodAccess(),
        MethodAccess(internal=True, role=ApiKey.ROLE_READ),
        MethodAccess(internal=True, admin_key=True),
    ],
)
def test_a_method_that_does_not_say_is_refused(access: MethodAccess | None) -> None:
    with pytest.raises(UndeclaredAccessError, match=r"test\.Service\.Do does not say who may call it"):
        declared_access(_method(access))


def test_an_unknown_method_opens_to_nobody() -> None:
    with pytest.raises(UndeclaredAccessError, match="no contract"):
        method_access("/whodex.v1.PeopleService/Reveal")


def test_a_name_without_methods_needs_none() -> None:
    check_declared("scheduler")
