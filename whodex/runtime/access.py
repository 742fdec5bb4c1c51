"""Which credentials open a method: what its contract says, and nothing else."""

from __future__ import annotations

from functools import cache

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from whodex.v1 import access_options_pb2
from whodex.v1.access_options_pb2 import MethodAccess
from whodex.v1.library_pb2 import ApiKey

_POOL = descriptor_pool.Default()  # type: ignore[no-untyped-call]


class UndeclaredAccessError(Exception):
    """A method's contract does not say who may call it, or says what cannot be; the message names it."""


@cache
def method_access(method: str) -> MethodAccess:
    """Returns what the contract of a method says.

    Args:
        method: as gRPC names it, `/whodex.v1.PeopleService/GetPerson`.

    Raises:
        UndeclaredAccessError: there is no such method, or its contract does not say.
    """
    name = method.removeprefix("/").replace("/", ".")
    try:
        # The pool holds every contract that was imported.
        return declared_access(_POOL.FindMethodByName(name))
    except KeyError as error:
        raise UndeclaredAccessError(f"no contract has a method {name}") from error


def declared_access(method: MethodDescriptor) -> MethodAccess:
    """Returns the option of a method.

    Raises:
        UndeclaredAccessError: it has none, or opens an internal method to keys as well.
    """
    options = method.GetOptions()
    access = options.Extensions[access_options_pb2.access]
    outside = access.role != ApiKey.ROLE_UNSPECIFIED or access.admin_key
    if outside == access.internal:
        raise UndeclaredAccessError(
            f"{method.full_name} does not say who may call it: give it "
            "`option (access)` in its contract, with a role, admin_key, or internal alone"
        )
    return access


def check_declared(service_name: str) -> None:
    """Makes sure that every method of a service says who may call it.

    Raises:
        UndeclaredAccessError: one does not.
    """
    try:
        service: ServiceDescriptor = _POOL.FindServiceByName(service_name)
    except KeyError:
        # A name in the health service that stands for no methods, such as that of the scheduler.
        return
    for method in service.methods:
        declared_access(method)
