from __future__ import annotations

from collections.abc import Generator

from google.protobuf.duration_pb2 import Duration

from whodex.client.connection import Connection
from whodex.v1.operations_service_pb2 import (
    ListTasksRequest,
    ListTasksResponse,
    SmokeTestRequest,
    SmokeTestResponse,
)
from whodex.v1.operations_service_pb2_grpc import OperationsServiceStub

SMOKE_TEST_SECONDS = 1800.0


class Operations:
    """For those who run a deployment; takes the admin key.

    Every method raises `whodex.errors.WhodexError`.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = OperationsServiceStub(connection.channel)

    def list_tasks(self) -> ListTasksResponse:
        """Lists the declared tasks with what waits in their queues."""
        return self._connection.call(self._stub.ListTasks, ListTasksRequest())

    def smoke_test(
        self, *, task_timeout_seconds: int = 60, timeout_seconds: float = SMOKE_TEST_SECONDS
    ) -> Generator[SmokeTestResponse, None, None]:
        """Runs every declared task for real and yields each outcome.

        Args:
            task_timeout_seconds: how long one task may take before it counts as failed, 1 to 600.
            timeout_seconds: for the whole test.
        """
        request = SmokeTestRequest(task_timeout=Duration(seconds=task_timeout_seconds))
        return self._connection.stream(self._stub.SmokeTest, request, timeout_seconds)
