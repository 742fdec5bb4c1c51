"""A library with something of every kind in it, all of which can be recognised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import psycopg
from sqlalchemy import make_url

from tests.tenants.requests import Kind, kind_of
from whodex import Client
from whodex.demo.samples import sample
from whodex.stack import smoke_media
from whodex.v1.library_pb2 import ApiKey
from whodex.v1.person_pb2 import ReferencePhoto
from whodex.v1.upload_service_pb2 import StartUploadRequest
from whodex.v1.video_pb2 import Video
from whodex.v1.video_service_pb2 import VideoMetadata

WAIT_SECONDS = 120


@dataclass(frozen=True)
class Tenant:
    """A library and its keys.

    Attributes:
        names: one resource of each kind.
        keys: a secret of each role.
        revoked: a secret that was revoked.
        expired: a secret that has expired.
        marker: stands in every text that its owner wrote.
    """

    names: dict[Kind, str]
    keys: dict[ApiKey.Role.ValueType, str]
    revoked: str
    expired: str
    marker: str

    @property
    def library(self) -> str:
        """Its name."""
        return self.names["libraries",]


def plant(admin: Client, owner_url: str, photo: str) -> Tenant:
    """Makes a library, with a person, a photo, a processed video and the rest of it.

    Args:
        admin: has the admin key.
        owner_url: of the database, as a role that may do everything.
        photo: the name of a sample with one face.
    """
    marker = f"planted-{uuid4().hex}"
    library = admin.libraries.create(marker).name
    keys = {role: admin.libraries.create_key(library, marker, role=role).secret for role in _ROLES}
    revoked, expired = (admin.libraries.create_key(library, marker) for _ in range(2))
    admin.libraries.revoke_key(revoked.api_key.name)
    with psycopg.connect(make_url(owner_url).set(drivername="postgresql").render_as_string(hide_password=False)) as sql:
        key_id = UUID(expired.api_key.name.rpartition("/")[2])
        sql.execute("UPDATE api_keys SET expire_time = now() WHERE id = %s", (key_id,))
    with Client(admin.configuration.address, library=library, api_key=keys[ApiKey.ROLE_ADMIN]) as client:
        found = [library, revoked.api_key.name, *_content(client, marker, photo)]
    # What goes on in the background would look as if a call had changed something.
    admin.erasures.wait(found[2], timeout_seconds=WAIT_SECONDS)
    return Tenant({kind_of(name): name for name in found}, keys, revoked.secret, expired.secret, marker)


_ROLES = (ApiKey.ROLE_READ, ApiKey.ROLE_WRITE, ApiKey.ROLE_ADMIN)


def _content(client: Client, marker: str, photo: str) -> list[str]:
    """Returns the names of one resource of each kind that is in a library."""
    erased = client.people.create(marker)
    erasure = client.people.delete(erased.name).erasure
    person = client.people.create(marker, description=marker)
    uploaded = client.people.upload_photo(person.name, sample(photo).read_bytes(), file_name=marker)
    film = client.videos.upload(smoke_media.clip_path().read_bytes(), file_name=f"{marker}.mp4", display_name=marker)
    metadata = VideoMetadata(parent=client.library, file_name=f"{marker}.mp4", size_bytes=1 << 20)
    upload = client.uploads.start(StartUploadRequest(video=metadata))
    ready = client.people.wait_for_photo(uploaded.name, timeout_seconds=WAIT_SECONDS)
    if ready.state != ReferencePhoto.STATE_READY:
        raise RuntimeError(f"the photo is FAILED: {ready.failure.message}")
    video = client.videos.wait_for_video(film.name, timeout_seconds=WAIT_SECONDS)
    if video.state != Video.STATE_READY:
        raise RuntimeError(f"the video is FAILED: {video.failure.message}")
    scene, appearance = _first(client.videos.list_scenes(film.name)), _first(client.videos.list_appearances(film.name))
    return [erasure, upload.name, person.name, ready.name, ready.original.name, film.name, scene.name, appearance.name]


def _first(resources: Any) -> Any:
    return next(iter(resources))
