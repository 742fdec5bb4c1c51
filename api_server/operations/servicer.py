"""OperationsService: converts, calls, converts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

from grpc.aio import ServicerContext

from api_server.database.engine import Database
from api_server.operations.decoders import workers_decoder_hosts
from api_server.operations.queues import task_statuses
from api_server.operations.smoke import PublicServices, SampleMedia, SmokeRun
from api_server.search.peers import FaceAnalysis
from whodex.errors import DeadlineExceededError, UnavailableError
from whodex.runtime.store import ObjectStore
from whodex.v1 import operations_service_pb2 as pb
from whodex.v1.operations_service_pb2_grpc import OperationsServiceServicer

DEFAULT_TASK_TIMEOUT_SECONDS = 60.0
Context = ServicerContext[Any, Any]


class OperationsServicer(OperationsServiceServicer):
    """For those who run a deployment.

    Args:
        database: where work is counted.
        store: where the smoke test looks for deleted bytes.
        services: what the smoke test calls.
        analysis: where query pictures are decoded.
        sample_photo: a picture with one face; None: there is no smoke test.
        sample_video: an MP4 in which the same person appears.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - operations look everywhere
        self,
        database: Database,
        store: ObjectStore,
        services: PublicServices,
        analysis: FaceAnalysis,
        sample_photo: Path | None,
        sample_video: Path | None,
    ) -> None:
        self._database = database
        self._store = store
        self._services = services
        self._analysis = analysis
        self._sample_photo = sample_photo
        self._sample_video = sample_video

    async def ListTasks(self, request: pb.ListTasksRequest, context: Context) -> pb.ListTasksResponse:
        """Lists the declared tasks."""
        async with self._database.reads() as session:
            tasks, hosts = await task_statuses(session), await workers_decoder_hosts(session)
        by_host = {host.host: host for host in hosts}
        # That it is away is what the health of SearchService says.
        with suppress(UnavailableError, DeadlineExceededError):
            analysis = await self._analysis.decoder_host()
            by_host[analysis.host] = analysis
        return pb.ListTasksResponse(tasks=tasks, decoder_hosts=by_host.values())

    async def SmokeTest(self, request: pb.SmokeTestRequest, context: Context) -> AsyncIterator[pb.SmokeTestResponse]:
        """Runs every declared task for real."""
        media = SampleMedia.read(self._sample_photo, self._sample_video)
        timeout = request.task_timeout.ToTimedelta().total_seconds() or DEFAULT_TASK_TIMEOUT_SECONDS
        smoke = SmokeRun(self._services, self._database, self._store, media, context)
        async with aclosing(smoke.run(timeout)) as outcomes:
            async for outcome in outcomes:
                yield outcome
