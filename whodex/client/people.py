from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator

from google.protobuf.field_mask_pb2 import FieldMask

from whodex.client.connection import Connection
from whodex.client.pages import Pages
from whodex.client.sources import Progress, Source, open_source
from whodex.client.uploads import RESUMABLE_BYTES, OnResume, Uploads
from whodex.client.waiting import wait_until
from whodex.errors import NotFoundError
from whodex.v1 import error_reason_pb2
from whodex.v1.geometry_pb2 import Box
from whodex.v1.people_service_pb2 import (
    CreatePersonRequest,
    DeletePersonRequest,
    DeletePersonResponse,
    DeleteReferencePhotoRequest,
    DeleteReferencePhotoResponse,
    GetPersonRequest,
    GetReferencePhotoRequest,
    ListPeopleRequest,
    ListPeopleResponse,
    ListReferencePhotosRequest,
    ListReferencePhotosResponse,
    ReferencePhotoMetadata,
    RetryReferencePhotoRequest,
    UpdatePersonRequest,
    UploadReferencePhotoRequest,
    WatchPersonRequest,
    WatchPersonResponse,
)
from whodex.v1.people_service_pb2_grpc import PeopleServiceStub
from whodex.v1.person_pb2 import Consent, Person, ReferencePhoto
from whodex.v1.upload_service_pb2 import StartUploadRequest

SETTLED_PHOTO_STATES = (ReferencePhoto.STATE_READY, ReferencePhoto.STATE_FAILED)
WAIT_SECONDS = 300.0


class People:
    """The people of a library and their reference photos.

    Every method raises `whodex.errors.WhodexError`; the subclasses and reasons are those of the contract.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = PeopleServiceStub(connection.channel)
        self._uploads = Uploads(connection)

    def create(
        self, display_name: str, *, description: str = "", consent: Consent | None = None, request_id: str = ""
    ) -> Person:
        """Creates a person without photos.

        Args:
            display_name: 1 to 200 characters; people may share a name.
            description: free text, up to 2000 characters.
            consent: on what ground the person is processed.
            request_id: a UUID; calling again with the same one returns the same person.
        """
        request = CreatePersonRequest(
            parent=self._connection.library,
            display_name=display_name,
            description=description,
            consent=consent,
            request_id=request_id,
        )
        return self._connection.call(self._stub.CreatePerson, request).person

    def get(self, name: str) -> Person:
        """Returns `libraries/{library}/people/{person}`."""
        return self._connection.call(self._stub.GetPerson, GetPersonRequest(name=name)).person

    def list(self, *, display_name: str = "", page_size: int = 0) -> Pages[ListPeopleResponse, Person]:
        """Lists people, oldest first.

        Args:
            display_name: only those of exactly this name; empty: all.
            page_size: 1 to 1000 in one response; 0: the server's choice.
        """

        def fetch(page_token: str) -> ListPeopleResponse:
            request = ListPeopleRequest(
                parent=self._connection.library,
                display_name=display_name,
                page_size=page_size,
                page_token=page_token,
            )
            return self._connection.call(self._stub.ListPeople, request)

        return Pages(fetch, lambda page: page.people)

    def update(self, person: Person, fields: Iterable[str]) -> Person:
        """Writes the named fields of `person`: `display_name`, `description`, `consent`."""
        request = UpdatePersonRequest(person=person, update_mask=FieldMask(paths=fields))
        return self._connection.call(self._stub.UpdatePerson, request).person

    def delete(self, name: str) -> DeletePersonResponse:
        """Deletes a person, their photos and embeddings. A search with the response's token no longer finds them."""
        return self._connection.call(self._stub.DeletePerson, DeletePersonRequest(name=name))

    def upload_photo(  # noqa: PLR0913 - all but the first two by keyword, and each with a default
        self,
        person: str,
        source: Source,
        *,
        file_name: str | None = None,
        face_box: Box | None = None,
        confirm_same_person: bool = False,
        request_id: str = "",
        progress: Progress | None = None,
        on_resume: OnResume | None = None,
    ) -> ReferencePhoto:
        """Stores a photo, which a worker then makes READY or FAILED; `wait_for_photo` tells which.

        Args:
            person: resource name.
            source: path or bytes of a JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP or GIF of at most 32 MiB.
            file_name: for people; None: the path's own.
            face_box: which face, when the photo shows several.
            confirm_same_person: the photo shows the person, even if it does not look like their other photos.
            request_id: a UUID; calling again with the same one returns the same photo, so that a retry is safe.
            progress: called with the bytes sent and the bytes in all, from another thread.
            on_resume: called with the upload as it stands, each time that a file of 16 MiB or more goes on where it was
                cut off: after an interruption, or when a call before with the same request_id has failed.

        Raises:
            OSError: the file cannot be read.
        """
        with open_source(source, file_name) as opened:
            metadata = ReferencePhotoMetadata(
                parent=person,
                file_name=opened.file_name,
                size_bytes=opened.size_bytes,
                face_box=face_box,
                confirm_same_person=confirm_same_person,
                request_id=request_id,
            )
            if opened.size_bytes >= RESUMABLE_BYTES:
                request = StartUploadRequest(reference_photo=metadata)
                return self._uploads.upload(request, opened, progress=progress, on_resume=on_resume).reference_photo
            requests = _upload_requests(metadata, opened.chunks(progress))
            return self._connection.upload(self._stub.UploadReferencePhoto, requests, opened.size_bytes).photo

    def get_photo(self, name: str) -> ReferencePhoto:
        """Returns `libraries/{library}/people/{person}/photos/{photo}`."""
        return self._connection.call(self._stub.GetReferencePhoto, GetReferencePhotoRequest(name=name)).photo

    def list_photos(self, person: str, *, page_size: int = 0) -> Pages[ListReferencePhotosResponse, ReferencePhoto]:
        """Lists the reference photos of a person, oldest first."""

        def fetch(page_token: str) -> ListReferencePhotosResponse:
            request = ListReferencePhotosRequest(parent=person, page_size=page_size, page_token=page_token)
            return self._connection.call(self._stub.ListReferencePhotos, request)

        return Pages(fetch, lambda page: page.photos)

    def delete_photo(self, name: str) -> DeleteReferencePhotoResponse:
        """Deletes a photo and takes it out of the person's query embedding."""
        return self._connection.call(self._stub.DeleteReferencePhoto, DeleteReferencePhotoRequest(name=name))

    def retry_photo(self, name: str, *, confirm_same_person: bool = False) -> ReferencePhoto:
        """Processes a FAILED photo again.

        Args:
            name: of the photo.
            confirm_same_person: it shows the person, even if it does not look like their other photos.
        """
        request = RetryReferencePhotoRequest(name=name, confirm_same_person=confirm_same_person)
        return self._connection.call(self._stub.RetryReferencePhoto, request).photo

    def watch(self, name: str, *, timeout_seconds: float = WAIT_SECONDS) -> Generator[WatchPersonResponse, None, None]:
        """Yields the person with their photos now and after each change, until no more are taken."""
        return self._connection.stream(self._stub.WatchPerson, WatchPersonRequest(name=name), timeout_seconds)

    def wait_for_person(
        self,
        name: str,
        *,
        timeout_seconds: float = WAIT_SECONDS,
        on_change: Callable[[WatchPersonResponse], None] | None = None,
    ) -> WatchPersonResponse:
        """Waits until each photo of the person is READY or FAILED; look at their states, neither is an error here.

        Raises:
            DeadlineExceededError: one is still on its way.
        """
        return wait_until(
            lambda remaining: self.watch(name, timeout_seconds=remaining),
            lambda state: all(photo.state in SETTLED_PHOTO_STATES for photo in state.photos),
            timeout_seconds=timeout_seconds,
            on_change=on_change,
        )

    def wait_for_photo(self, name: str, *, timeout_seconds: float = WAIT_SECONDS) -> ReferencePhoto:
        """Waits until the photo is READY or FAILED; look at its state, neither is an error here.

        Raises:
            DeadlineExceededError: it is still on its way.
            NotFoundError: it does not exist, or was deleted meanwhile.
        """
        return self._wait_for(name, _is_settled, timeout_seconds)

    def wait_for_comparison(self, name: str, *, timeout_seconds: float = WAIT_SECONDS) -> ReferencePhoto:
        """Waits until the photo has been compared with the other people of the library, if it is READY.

        Raises:
            DeadlineExceededError: it has not: the index does not answer, for example.
            NotFoundError: it does not exist, or was deleted meanwhile.
        """
        return self._wait_for(name, _is_compared, timeout_seconds)

    def _wait_for(self, name: str, settled: Callable[[ReferencePhoto], bool], timeout_seconds: float) -> ReferencePhoto:
        person = name.partition("/photos/")[0]
        state = wait_until(
            lambda remaining: self.watch(person, timeout_seconds=remaining),
            lambda state: settled(_find_photo(state, name)),
            timeout_seconds=timeout_seconds,
        )
        return _find_photo(state, name)


def _is_settled(photo: ReferencePhoto) -> bool:
    return photo.state in SETTLED_PHOTO_STATES


def _is_compared(photo: ReferencePhoto) -> bool:
    return photo.state == ReferencePhoto.STATE_FAILED or photo.look_alikes_checked


def _upload_requests(
    metadata: ReferencePhotoMetadata, chunks: Iterator[bytes]
) -> Iterator[UploadReferencePhotoRequest]:
    yield UploadReferencePhotoRequest(metadata=metadata)
    for chunk in chunks:
        yield UploadReferencePhotoRequest(chunk=chunk)


def _find_photo(state: WatchPersonResponse, name: str) -> ReferencePhoto:
    for photo in state.photos:
        if photo.name == name:
            return photo
    raise NotFoundError(f"{name} does not exist.", reason=error_reason_pb2.ERROR_REASON_RESOURCE_NOT_FOUND)
