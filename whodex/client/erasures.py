from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from whodex.client.connection import Connection
from whodex.client.pages import Pages
from whodex.errors import DeadlineExceededError
from whodex.v1 import error_reason_pb2
from whodex.v1.erasure_pb2 import Erasure, ReceiptKey
from whodex.v1.erasure_service_pb2 import (
    GetErasureRequest,
    ListErasuresRequest,
    ListErasuresResponse,
    ListReceiptKeysRequest,
)
from whodex.v1.erasure_service_pb2_grpc import ErasureServiceStub

# An erasure takes some seconds, up to half a minute longer when a worker was busy with what was deleted.
WAIT_SECONDS = 120.0
_POLL_SECONDS = 0.5


class Erasures:
    """What deletions have begun, and the receipts that say what was removed.

    Every method raises `whodex.errors.WhodexError`.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = ErasureServiceStub(connection.channel)

    def get(self, name: str) -> Erasure:
        """Returns `libraries/{library}/erasures/{erasure}`."""
        return self._connection.call(self._stub.GetErasure, GetErasureRequest(name=name)).erasure

    def list(self, library: str, *, page_size: int = 0) -> Pages[ListErasuresResponse, Erasure]:
        """Lists the erasures of a library, which may be a deleted one, oldest first."""

        def fetch(page_token: str) -> ListErasuresResponse:
            request = ListErasuresRequest(parent=library, page_size=page_size, page_token=page_token)
            return self._connection.call(self._stub.ListErasures, request)

        return Pages(fetch, lambda page: page.erasures)

    def wait(
        self,
        name: str,
        *,
        timeout_seconds: float = WAIT_SECONDS,
        on_change: Callable[[Erasure], None] | None = None,
    ) -> Erasure:
        """Waits until the erasure is COMPLETE and returns it with its receipt.

        Args:
            name: as the response of the deletion says it.
            timeout_seconds: how long to wait in all.
            on_change: is shown every state, the last one included.

        Raises:
            DeadlineExceededError: it is still RUNNING; the message says what it waits for.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            erasure = self.get(name)
            if on_change:
                on_change(erasure)
            if erasure.state == Erasure.STATE_COMPLETE:
                return erasure
            if time.monotonic() > deadline:
                waits = f" It waits: {erasure.waits_for}." if erasure.waits_for else ""
                raise DeadlineExceededError(
                    f"The erasure is not complete within {timeout_seconds:g} s; the server goes on with it.{waits}",
                    reason=error_reason_pb2.ERROR_REASON_DEADLINE_PASSED,
                )
            time.sleep(_POLL_SECONDS)

    def receipt_keys(self) -> Sequence[ReceiptKey]:
        """Returns the public keys that receipts are or were signed with, oldest first."""
        return self._connection.call(self._stub.ListReceiptKeys, ListReceiptKeysRequest()).receipt_keys
