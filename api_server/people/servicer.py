"""PeopleService: converts, calls, converts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any
from uuid import UUID

from grpc.aio import ServicerContext

from api_server import audit, feed, names
from api_server.access.authorization import authorized_ids
from api_server.database.engine import Database
from api_server.database.notifications import NotificationHub
from api_server.libraries import libraries
from api_server.paging import cut, page_size, read_place, uuid_place
from api_server.people import people, photos
from api_server.people.conversion import to_person, to_photo
from api_server.people.upload import PhotoUploader
from api_server.people.watch import watch
from api_server.uploads.stream import first_message
from whodex.runtime.store import ObjectStore
from whodex.v1 import people_service_pb2 as pb
from whodex.v1.audit_pb2 import AUDIT_ACTION_CREATE_PERSON, AUDIT_ACTION_DELETE, AUDIT_ACTION_UPDATE_PERSON
from whodex.v1.people_service_pb2_grpc import PeopleServiceServicer

Context = ServicerContext[Any, Any]


class PeopleServicer(PeopleServiceServicer):
    """People and their reference photos."""

    def __init__(self, database: Database, store: ObjectStore, hub: NotificationHub) -> None:
        self._database = database
        self._hub = hub
        self._uploader = PhotoUploader(database, store)

    async def CreatePerson(self, request: pb.CreatePersonRequest, context: Context) -> pb.CreatePersonResponse:
        """Makes a person."""
        (library_id,) = authorized_ids(request.parent, names.LIBRARY)
        async with self._database.transaction() as session:
            row = await people.create(session, library_id, request)
            created = names.name(names.PERSON, library_id, row.id)
            await audit.append(session, AUDIT_ACTION_CREATE_PERSON, library_id, created)
        return pb.CreatePersonResponse(person=to_person(row))

    async def GetPerson(self, request: pb.GetPersonRequest, context: Context) -> pb.GetPersonResponse:
        """Returns a person."""
        library_id, person_id = authorized_ids(request.name, names.PERSON)
        async with self._database.reads() as session:
            row = await people.get(session, library_id, person_id)
        return pb.GetPersonResponse(person=to_person(row))

    async def ListPeople(self, request: pb.ListPeopleRequest, context: Context) -> pb.ListPeopleResponse:
        """Lists people."""
        (library_id,) = authorized_ids(request.parent, names.LIBRARY)
        async with self._database.reads() as session:
            rows = await people.list_page(
                session,
                library_id,
                display_name=request.display_name,
                after=_place(request),
                limit=page_size(request) + 1,
            )
            if not rows:
                await libraries.get(session, library_id)
        page, token = cut(rows, request, lambda row: row.id.bytes)
        return pb.ListPeopleResponse(people=map(to_person, page), next_page_token=token)

    async def UpdatePerson(self, request: pb.UpdatePersonRequest, context: Context) -> pb.UpdatePersonResponse:
        """Changes the fields that the mask names."""
        library_id, person_id = authorized_ids(request.person.name, names.PERSON)
        values = people.changed_values(request)
        async with self._database.transaction() as session:
            row = await people.change(session, library_id, person_id, values)
            await audit.append(session, AUDIT_ACTION_UPDATE_PERSON, library_id, request.person.name)
        return pb.UpdatePersonResponse(person=to_person(row))

    async def DeletePerson(self, request: pb.DeletePersonRequest, context: Context) -> pb.DeletePersonResponse:
        """Deletes a person with their photos."""
        library_id, person_id = authorized_ids(request.name, names.PERSON)
        async with self._database.transaction() as session:
            deleted = await people.delete_whole(session, library_id, person_id)
            await audit.append(session, AUDIT_ACTION_DELETE, library_id, request.name)
        return pb.DeletePersonResponse(
            consistency_token=feed.make_consistency_token(deleted.position), erasure=deleted.erasure(library_id)
        )

    async def UploadReferencePhoto(
        self, request_iterator: AsyncIterator[pb.UploadReferencePhotoRequest], context: Context
    ) -> pb.UploadReferencePhotoResponse:
        """Stores a photo and orders its analysis."""
        metadata = (await first_message(request_iterator)).metadata
        library_id, person_id = authorized_ids(metadata.parent, names.PERSON)
        row = await self._uploader.upload((library_id, person_id), metadata, request_iterator)
        return pb.UploadReferencePhotoResponse(photo=to_photo(row))

    async def GetReferencePhoto(
        self, request: pb.GetReferencePhotoRequest, context: Context
    ) -> pb.GetReferencePhotoResponse:
        """Returns a photo."""
        library_id, person_id, photo_id = authorized_ids(request.name, names.PHOTO)
        async with self._database.reads() as session:
            row = await photos.get(session, library_id, person_id, photo_id)
        return pb.GetReferencePhotoResponse(photo=to_photo(row))

    async def ListReferencePhotos(
        self, request: pb.ListReferencePhotosRequest, context: Context
    ) -> pb.ListReferencePhotosResponse:
        """Lists the photos of a person."""
        library_id, person_id = authorized_ids(request.parent, names.PERSON)
        after = _place(request)
        async with self._database.reads() as session:
            await people.get(session, library_id, person_id)
            rows = await photos.list_page(session, person_id, after=after, limit=page_size(request) + 1)
        page, token = cut(rows, request, lambda row: row.id.bytes)
        return pb.ListReferencePhotosResponse(photos=map(to_photo, page), next_page_token=token)

    async def DeleteReferencePhoto(
        self, request: pb.DeleteReferencePhotoRequest, context: Context
    ) -> pb.DeleteReferencePhotoResponse:
        """Deletes a photo and takes it out of the person's query embedding."""
        library_id, person_id, photo_id = authorized_ids(request.name, names.PHOTO)
        async with self._database.transaction() as session:
            deleted = await photos.delete_whole(session, library_id, person_id, photo_id)
            await audit.append(session, AUDIT_ACTION_DELETE, library_id, request.name)
        return pb.DeleteReferencePhotoResponse(
            consistency_token=feed.make_consistency_token(deleted.position), erasure=deleted.erasure(library_id)
        )

    async def RetryReferencePhoto(
        self, request: pb.RetryReferencePhotoRequest, context: Context
    ) -> pb.RetryReferencePhotoResponse:
        """Orders the analysis of a FAILED photo anew."""
        library_id, person_id, photo_id = authorized_ids(request.name, names.PHOTO)
        async with self._database.transaction() as session:
            row = await photos.retry(
                session, library_id, person_id, photo_id, confirm_same_person=request.confirm_same_person
            )
        return pb.RetryReferencePhotoResponse(photo=to_photo(row))

    async def WatchPerson(
        self, request: pb.WatchPersonRequest, context: Context
    ) -> AsyncIterator[pb.WatchPersonResponse]:
        """Streams a person and their photos now and after each change."""
        library_id, person_id = authorized_ids(request.name, names.PERSON)
        async with aclosing(watch(self._database, self._hub, library_id, person_id)) as states:
            async for state in states:
                yield state


def _place(request: pb.ListPeopleRequest | pb.ListReferencePhotosRequest) -> UUID | None:
    return read_place(request, uuid_place)
