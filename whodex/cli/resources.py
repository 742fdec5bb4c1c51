"""From what a user calls something to its resource name."""

from __future__ import annotations

import re

from whodex.cli.errors import CommandError
from whodex.cli.formats import moment, resource_id
from whodex.client import Client
from whodex.v1.person_pb2 import Person

UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def find_person(client: Client, who: str) -> Person:
    """The person of a resource name, an id, or a display name that only one person has.

    Raises:
        CommandError: nobody is called so, or several are; then it lists them.
        NotFoundError: there is no such resource.
    """
    name = _resource_name(client, who, "people")
    return client.people.get(name) if name else _find_by_display_name(client, who)


def video_name(client: Client, video: str) -> str:
    """The resource name of a resource name or an id.

    Raises:
        CommandError: it is neither.
    """
    return _require_name(client, video, "videos")


def photo_name(person: str, photo: str) -> str:
    """The resource name of a photo of a person, from its resource name or its id.

    Raises:
        CommandError: it is neither.
    """
    if photo.startswith(f"{person}/photos/"):
        return photo
    if re.fullmatch(UUID, photo):
        return f"{person}/photos/{photo}"
    raise CommandError(f'"{photo}" is neither an id nor a resource name `{person}/photos/...`.')


def key_name(client: Client, key: str) -> str:
    """The same for a key."""
    return _require_name(client, key, "apiKeys")


def erasure_name(client: Client, erasure: str) -> str:
    """The same for an erasure."""
    return _require_name(client, erasure, "erasures")


def library_name(library: str) -> str:
    """The resource name of a library's resource name or id."""
    return library if library.startswith("libraries/") else f"libraries/{library}"


def _require_name(client: Client, text: str, collection: str) -> str:
    name = _resource_name(client, text, collection)
    if name is None:
        raise CommandError(f'"{text}" is neither an id nor a resource name `libraries/.../{collection}/...`.')
    return name


def _resource_name(client: Client, text: str, collection: str) -> str | None:
    if re.fullmatch(rf"libraries/[^/]+/{collection}/[^/]+", text):
        return text
    if re.fullmatch(UUID, text):
        return f"{client.library}/{collection}/{text}"
    return None


def _find_by_display_name(client: Client, display_name: str) -> Person:
    people = list(client.people.list(display_name=display_name))
    if not people:
        raise CommandError(f'Nobody is called "{display_name}". See `whodex person list`.', reason="RESOURCE_NOT_FOUND")
    if len(people) > 1:
        candidates = "\n".join(f"  {resource_id(one.name)}  {_candidate(one)}" for one in people)
        raise CommandError(
            f'{len(people)} people are called "{display_name}"; give the id of the one you mean:\n{candidates}',
            reason="AMBIGUOUS_NAME",
        )
    return people[0]


def _candidate(person: Person) -> str:
    return f"{person.ready_photo_count} photos, created {moment(person.create_time)}  {person.description}".rstrip()
