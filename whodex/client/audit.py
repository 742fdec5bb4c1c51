from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.timestamp_pb2 import Timestamp

from whodex import audit
from whodex.client.connection import Connection
from whodex.client.pages import Pages
from whodex.v1.audit_pb2 import AuditAction, AuditEntry, AuditHead
from whodex.v1.audit_service_pb2 import GetAuditHeadRequest, ListAuditEntriesRequest, ListAuditEntriesResponse
from whodex.v1.audit_service_pb2_grpc import AuditServiceStub

_PAGE_SIZE = 1000


class AuditLog:
    """Who did what in a library, and when.

    Every method raises `whodex.errors.WhodexError`.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = AuditServiceStub(connection.channel)

    def list(  # noqa: PLR0913 - a filter each
        self,
        library: str,
        *,
        action: AuditAction.ValueType = AuditAction.AUDIT_ACTION_UNSPECIFIED,
        resource: str = "",
        start_time: Timestamp | None = None,
        end_time: Timestamp | None = None,
        page_size: int = 0,
    ) -> Pages[ListAuditEntriesResponse, AuditEntry]:
        """Lists entries, oldest first.

        Args:
            library: which may be a deleted one.
            action: only this one.
            resource: only about this resource and those below it.
            start_time: only from then on, inclusive.
            end_time: only before, exclusive.
            page_size: 1 to 1000; 0 means 50.
        """

        def fetch(page_token: str) -> ListAuditEntriesResponse:
            request = ListAuditEntriesRequest(
                parent=library,
                action=action,
                resource=resource,
                start_time=start_time,
                end_time=end_time,
                page_size=page_size,
                page_token=page_token,
            )
            return self._connection.call(self._stub.ListAuditEntries, request)

        return Pages(fetch, lambda page: page.audit_entries)

    def head(self, library: str) -> AuditHead:
        """Returns where the log ends."""
        return self._connection.call(self._stub.GetAuditHead, GetAuditHeadRequest(parent=library)).audit_head

    def verify(self, library: str, anchors: Iterable[AuditHead] = ()) -> tuple[int, AuditHead]:
        """Reads the whole log and verifies its chain; returns how many entries there are and where it ends.

        Args:
            library: which may be a deleted one.
            anchors: heads that were kept elsewhere, or that receipts hold: an end that was cut off shows by them alone.

        Raises:
            whodex.audit.AuditBrokenError: it is not what was written.
        """
        head = self.head(library)
        count = audit.verify(self.list(library, page_size=_PAGE_SIZE), [head, *anchors])
        return count, head
