"""What a caller may name: resources of the own library. All others look as if they did not exist."""

from __future__ import annotations

from uuid import UUID

from api_server.access.caller import Caller
from api_server.names import not_found, parse
from whodex.runtime.interceptors import caller


def authorized_ids(resource_name: str, collections: tuple[str, ...]) -> tuple[UUID, ...]:
    """Returns the ids along a name, the library's first, if the caller may see the library.

    Args:
        resource_name: from the request.
        collections: the kind of name, `names.PERSON` for example.

    Raises:
        InvalidArgumentError: INVALID_FIELD when it is not a name of this kind.
        NotFoundError: RESOURCE_NOT_FOUND when it is of another library.
    """
    ids = parse(resource_name, collections)
    who: Caller = caller()
    if who.library_id is not None and who.library_id != ids[0]:
        raise not_found(resource_name)
    return ids
