from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from google.protobuf.descriptor import ServiceDescriptor

import whodex
import whodex.v1
from whodex.client import Client
from whodex.client.service_config import PUBLIC_SERVICES
from whodex.v1.library_pb2 import Library, LibraryLimits
from whodex.v1.person_pb2 import Person
from whodex.v1.upload_service_pb2 import StartUploadRequest

if TYPE_CHECKING:
    from tests.unit.whodex.conftest import ScriptedApi

INTERNAL_SERVICES = {"EmbeddingFeedService", "FaceAnalysisService", "IndexService", "WorkService"}

LIBRARY = f"libraries/{uuid4()}"
PERSON = f"{LIBRARY}/people/{uuid4()}"
PHOTO = f"{PERSON}/photos/{uuid4()}"
VIDEO = f"{LIBRARY}/videos/{uuid4()}"
CONTENT = f"{LIBRARY}/contents/{uuid4()}"
KEY = f"{LIBRARY}/apiKeys/{uuid4()}"
ERASURE = f"{LIBRARY}/erasures/{uuid4()}"
UPLOAD = f"{LIBRARY}/uploads/{uuid4()}"
START = StartUploadRequest(video={"parent": LIBRARY, "size_bytes": 3})

# How a user of the client reaches each public RPC.
USES: dict[str, Callable[[Client], Any]] = {
    "CancelUpload": lambda client: client.uploads.cancel(UPLOAD),
    "CreateApiKey": lambda client: client.libraries.create_key(LIBRARY, "laptop"),
    "CreateLibrary": lambda client: client.libraries.create("Holidays"),
    "CreatePerson": lambda client: client.people.create("Ada"),
    "DeleteLibrary": lambda client: client.libraries.delete(LIBRARY),
    "DeletePerson": lambda client: client.people.delete(PERSON),
    "DeleteReferencePhoto": lambda client: client.people.delete_photo(PHOTO),
    "DeleteVideo": lambda client: client.videos.delete(VIDEO),
    "DownloadContent": lambda client: client.contents.download(CONTENT),
    "FinishUpload": lambda client: client.uploads.finish(UPLOAD),
    "GetAuditHead": lambda client: client.audit.head(LIBRARY),
    "GetErasure": lambda client: client.erasures.get(ERASURE),
    "GetLibrary": lambda client: client.libraries.get(LIBRARY),
    "GetPerson": lambda client: client.people.get(PERSON),
    "GetReferencePhoto": lambda client: client.people.get_photo(PHOTO),
    "GetUpload": lambda client: client.uploads.get(UPLOAD),
    "GetVideo": lambda client: client.videos.get(VIDEO),
    "IdentifyFaces": lambda client: client.search.identify(b"jpeg"),
    "ListApiKeys": lambda client: list(client.libraries.list_keys(LIBRARY)),
    "ListAppearances": lambda client: list(client.videos.list_appearances(VIDEO)),
    "ListAuditEntries": lambda client: list(client.audit.list(LIBRARY)),
    "ListErasures": lambda client: list(client.erasures.list(LIBRARY)),
    "ListLibraries": lambda client: list(client.libraries.list()),
    "ListPeople": lambda client: list(client.people.list()),
    "ListReceiptKeys": lambda client: client.erasures.receipt_keys(),
    "ListReferencePhotos": lambda client: list(client.people.list_photos(PERSON)),
    "ListScenes": lambda client: list(client.videos.list_scenes(VIDEO)),
    "ListTasks": lambda client: client.operations.list_tasks(),
    "ListVideos": lambda client: list(client.videos.list()),
    "RetryReferencePhoto": lambda client: client.people.retry_photo(PHOTO),
    "RevokeApiKey": lambda client: client.libraries.revoke_key(KEY),
    "RotateApiKey": lambda client: client.libraries.rotate_key(KEY),
    "SearchScenes": lambda client: list(client.search.scenes([PERSON])),
    "SmokeTest": lambda client: list(client.operations.smoke_test()),
    "StartUpload": lambda client: client.uploads.start(START),
    "UpdateLibraryLimits": lambda client: client.libraries.update_limits(LIBRARY, LibraryLimits(people=3), ["people"]),
    "PreviewRetention": lambda client: client.libraries.preview_retention(LIBRARY),
    "UpdateLibrary": lambda client: client.libraries.update(Library(name=LIBRARY, display_name="L"), ["display_name"]),
    "UpdatePerson": lambda client: client.people.update(Person(name=PERSON, display_name="Ada"), ["display_name"]),
    "UploadReferencePhoto": lambda client: client.people.upload_photo(PERSON, b"jpeg"),
    "UploadVideo": lambda client: client.videos.upload(b"mp4"),
    "VerifyFaces": lambda client: client.search.verify(b"jpeg", b"jpeg"),
    "WatchPerson": lambda client: list(client.people.watch(PERSON)),
    "WatchVideo": lambda client: list(client.videos.watch(VIDEO)),
    "WriteUpload": lambda client: client.uploads.write(UPLOAD, 0, [b"mp4"], size_bytes=3),
}
OPERATOR_SERVICES = {"AuditService", "ErasureService", "LibraryService", "OperationsService"}


def _services() -> list[ServiceDescriptor]:
    names = [module.name for module in pkgutil.iter_modules(whodex.v1.__path__) if module.name.endswith("_pb2")]
    modules = [importlib.import_module(f"whodex.v1.{name}") for name in names]
    return [service for module in modules for service in module.DESCRIPTOR.services_by_name.values()]


def test_every_service_is_either_public_or_known_to_be_internal() -> None:
    found = {service.name for service in _services()}

    assert found == {service.name for service in PUBLIC_SERVICES} | INTERNAL_SERVICES


def test_every_public_rpc_can_be_reached_through_the_client(api: ScriptedApi, client: Client) -> None:
    public = {method.name for service in PUBLIC_SERVICES for method in service.methods}
    assert set(USES) == public

    for method, use in USES.items():
        use(client)
        assert api.calls[-1][0] == method


def test_the_admin_key_is_sent_to_the_services_that_need_it_and_to_no_other(api: ScriptedApi, client: Client) -> None:
    for use in USES.values():
        use(client)

    for service in PUBLIC_SERVICES:
        expected = api.admin_key if service.name in OPERATOR_SERVICES else api.api_key
        assert {api.keys[method.name] for method in service.methods} == {expected}


def test_without_an_admin_key_a_library_is_read_with_its_own(api: ScriptedApi) -> None:
    with Client(api.address, library=api.library, api_key=api.api_key) as client:
        client.libraries.get(LIBRARY)

    assert api.keys["GetLibrary"] == api.api_key


def test_the_package_exports_the_client() -> None:
    assert whodex.Client is Client
    with pytest.raises(AttributeError, match="no attribute 'Cleint'"):
        _ = whodex.Cleint


def test_the_client_needs_no_flag_beside_a_running_stack(api: ScriptedApi, tmp_path: Path) -> None:
    (tmp_path / "client.json").write_text(
        f'{{"address": "{api.address}", "library": "{api.library}", "api_key": "{api.api_key}", "admin_key": "a"}}'
    )
    with Client(state_dir=tmp_path) as client:
        client.people.create("Ada")

    assert api.requests("CreatePerson")[0].parent == api.library
