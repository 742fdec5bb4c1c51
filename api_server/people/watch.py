"""A person and their photos, now and after each change."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from uuid import UUID

from api_server.database.engine import Database
from api_server.database.notifications import Channel, NotificationHub
from api_server.people import people, photos
from api_server.people.conversion import to_person, to_photo
from whodex.v1.people_service_pb2 import WatchPersonResponse


async def watch(
    database: Database, hub: NotificationHub, library_id: UUID, person_id: UUID
) -> AsyncGenerator[WatchPersonResponse, None]:
    """Yields each state that differs from the one before, for as long as it is read.

    Raises:
        NotFoundError: there is no such person, or no longer.
    """
    shown: WatchPersonResponse | None = None
    with hub.subscribe(Channel.RESOURCES, str(person_id)) as subscription:
        while True:
            state = await _read(database, library_id, person_id)
            if state != shown:
                yield state
                shown = state
            await subscription.changed()


async def _read(database: Database, library_id: UUID, person_id: UUID) -> WatchPersonResponse:
    async with database.snapshot() as session:
        person = await people.get(session, library_id, person_id)
        rows = await photos.list_page(session, person_id, after=None, limit=None)
    return WatchPersonResponse(person=to_person(person), photos=map(to_photo, rows))
