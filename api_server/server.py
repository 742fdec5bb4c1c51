"""The composition root: what the services need is made here, once, and passed to them."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.exc import OperationalError

from api_server.access.authentication import Authenticator
from api_server.audit.servicer import AuditServicer
from api_server.contents.servicer import ContentServicer
from api_server.database import migration
from api_server.database.engine import Database
from api_server.database.notifications import NotificationHub
from api_server.database.roles import UnfitRoleError
from api_server.erasures.servicer import ErasureServicer
from api_server.feed.servicer import EmbeddingFeedServicer
from api_server.libraries.servicer import LibraryServicer
from api_server.limits.callers import LimitedCallers
from api_server.operations.servicer import OperationsServicer
from api_server.operations.smoke import PublicServices
from api_server.people.servicer import PeopleServicer
from api_server.results.registry import UnappliedTaskError, effects_by_task
from api_server.search.peers import FaceAnalysis, Index, Peer
from api_server.search.query_faces import QueryFaces
from api_server.search.scenes import SceneSearch
from api_server.search.servicer import SearchServicer
from api_server.settings import ServerSettings
from api_server.uploads.servicer import UploadServicer
from api_server.videos.servicer import VideoServicer
from api_server.work.servicer import WorkServicer
from whodex.runtime.call_limits import CallLimits
from whodex.runtime.channel import internal_channel
from whodex.runtime.credentials import internal_credential
from whodex.runtime.log import configure_logging
from whodex.runtime.server import Listener, Service, serve
from whodex.runtime.settings import live_secrets, load_settings
from whodex.runtime.store import ObjectStore
from whodex.v1.audit_service_pb2_grpc import add_AuditServiceServicer_to_server
from whodex.v1.content_service_pb2_grpc import add_ContentServiceServicer_to_server
from whodex.v1.embedding_feed_service_pb2_grpc import add_EmbeddingFeedServiceServicer_to_server
from whodex.v1.erasure_service_pb2_grpc import add_ErasureServiceServicer_to_server
from whodex.v1.face_analysis_service_pb2_grpc import FaceAnalysisServiceStub
from whodex.v1.index_service_pb2_grpc import IndexServiceStub
from whodex.v1.library_service_pb2_grpc import add_LibraryServiceServicer_to_server
from whodex.v1.operations_service_pb2_grpc import add_OperationsServiceServicer_to_server
from whodex.v1.people_service_pb2_grpc import add_PeopleServiceServicer_to_server
from whodex.v1.search_service_pb2_grpc import add_SearchServiceServicer_to_server
from whodex.v1.upload_service_pb2_grpc import add_UploadServiceServicer_to_server
from whodex.v1.video_service_pb2_grpc import add_VideoServiceServicer_to_server
from whodex.v1.work_service_pb2_grpc import add_WorkServiceServicer_to_server


def main() -> None:
    """Runs the server until it is told to stop; a task or a database that does not fit ends it with one line."""
    configure_logging("api_server")
    settings = load_settings(ServerSettings)
    try:
        effects_by_task()
        migration.check(settings.database_url.get_secret_value())
    except (UnappliedTaskError, migration.SchemaMismatchError, UnfitRoleError, OperationalError) as error:
        sys.exit(f"cannot start: {str(error).splitlines()[0]}")
    asyncio.run(run(settings))


async def run(settings: ServerSettings) -> None:
    """Serves the public and the internal services until SIGTERM or SIGINT."""
    async with resources(settings) as parts:
        await serve([public_listener(settings, parts), internal_listener(settings, parts)])


@dataclass(frozen=True)
class Resources:
    """What the services share."""

    database: Database
    store: ObjectStore
    hub: NotificationHub
    indexer: Peer
    analysis: Peer


@contextlib.asynccontextmanager
async def resources(settings: ServerSettings) -> AsyncIterator[Resources]:
    """Opens the shared resources, and closes them after the block."""
    url = settings.database_url.get_secret_value()
    token = live_secrets(settings.internal_token)[0]
    database, hub = Database.from_url(url, application="whodex api_server"), NotificationHub(url)
    async with (
        contextlib.aclosing(database),
        _listening(hub),
        internal_channel(settings.indexer_address, token, settings.mesh) as to_indexer,
        internal_channel(settings.analysis_address, token, settings.mesh) as to_analysis,
    ):
        yield Resources(
            database,
            settings.open_store(),
            hub,
            indexer=Peer("the indexer", to_indexer),
            analysis=Peer("face analysis", to_analysis),
        )


@contextlib.asynccontextmanager
async def _listening(hub: NotificationHub) -> AsyncIterator[None]:
    """Feeds the watches meanwhile. A defect there ends the process: a watch that hears nothing must not look alive."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(hub.run())
        try:
            yield
        finally:
            task.cancel()


def public_listener(settings: ServerSettings, parts: Resources) -> Listener:
    """What clients call."""
    authenticator = Authenticator(parts.database.system, parts.hub, settings.admin_key, settings.library_limits)
    stored = (parts.database.check, parts.store.check)
    libraries = LibraryServicer(parts.database, settings.library_limits)
    people = PeopleServicer(parts.database, parts.store, parts.hub)
    videos = VideoServicer(parts.database, parts.store, parts.hub)
    uploads = UploadServicer(parts.database, parts.store, expire=timedelta(seconds=settings.upload_expire_seconds))
    search = _search_servicer(parts)
    operations = OperationsServicer(
        parts.database.system,
        parts.store,
        PublicServices(libraries, people, videos, search),
        FaceAnalysis(FaceAnalysisServiceStub(parts.analysis.channel)),
        settings.smoke_photo,
        settings.smoke_video,
    )
    return Listener(
        settings.api_listen,
        [
            Service(
                "whodex.v1.AuditService",
                add_AuditServiceServicer_to_server,
                AuditServicer(parts.database),
                [parts.database.check],
            ),
            Service(
                "whodex.v1.ErasureService",
                add_ErasureServiceServicer_to_server,
                ErasureServicer(parts.database),
                [parts.database.check],
            ),
            Service(
                "whodex.v1.LibraryService", add_LibraryServiceServicer_to_server, libraries, [parts.database.check]
            ),
            Service("whodex.v1.PeopleService", add_PeopleServiceServicer_to_server, people, stored),
            Service("whodex.v1.VideoService", add_VideoServiceServicer_to_server, videos, stored),
            Service(
                "whodex.v1.ContentService",
                add_ContentServiceServicer_to_server,
                ContentServicer(parts.database, parts.store),
                stored,
            ),
            Service(
                "whodex.v1.SearchService",
                add_SearchServiceServicer_to_server,
                search,
                [parts.database.check, parts.indexer.check, parts.analysis.check],
            ),
            Service("whodex.v1.UploadService", add_UploadServiceServicer_to_server, uploads, stored),
            Service("whodex.v1.OperationsService", add_OperationsServiceServicer_to_server, operations, stored),
        ],
        authenticator,
        credential_end=authenticator.credential_end,
        on_drain=parts.hub.stop,
        limits=CallLimits(LimitedCallers()),
        tls=settings.api_tls,
        allow_plaintext=settings.allow_plaintext,
    )


def internal_listener(settings: ServerSettings, parts: Resources) -> Listener:
    """What the workers and the indexer call."""
    return Listener(
        settings.internal_listen,
        [
            Service(
                "whodex.v1.WorkService",
                add_WorkServiceServicer_to_server,
                WorkServicer(parts.database.system),
                [parts.database.check],
            ),
            Service(
                "whodex.v1.EmbeddingFeedService",
                add_EmbeddingFeedServiceServicer_to_server,
                EmbeddingFeedServicer(parts.database.system, parts.hub),
                [parts.database.check],
            ),
        ],
        internal_credential(settings.internal_token),
        on_drain=parts.hub.stop,
        tls=settings.mesh,
        allow_plaintext=settings.allow_plaintext,
    )


def _search_servicer(parts: Resources) -> SearchServicer:
    index = Index(IndexServiceStub(parts.indexer.channel))
    analysis = FaceAnalysis(FaceAnalysisServiceStub(parts.analysis.channel))
    return SearchServicer(
        parts.database,
        SceneSearch(parts.database, index),
        QueryFaces(parts.database, index, analysis),
    )
