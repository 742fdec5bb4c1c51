"""What an applier is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from google.protobuf.message import Message
from uuid_utils.compat import uuid7

from whodex.v1 import tasks_pb2


@dataclass(frozen=True, eq=False)
class Completed:
    """A work item whose row is locked, and its result.

    Attributes:
        work_item_id: the item.
        fencing_token: of the claim that the result comes from.
        output_prefix: below which that claim wrote its blobs.
        library_id: whose work it is.
        resource_id: the photo or video; None for work without a resource.
        attempts: how many there were, this one included.
        result: the task's result message, valid by its contract.
    """

    work_item_id: UUID
    fencing_token: int
    output_prefix: str
    library_id: UUID
    resource_id: UUID | None
    attempts: int
    result: Message

    def key(self, blob: tasks_pb2.StagedBlob) -> str:
        """Returns where in the object store a staged blob is."""
        return self.output_prefix + blob.key

    def content(self, blob: tasks_pb2.StagedBlob, owner_id: UUID) -> dict[str, Any]:
        """Returns the row of `contents` that a staged blob becomes."""
        return {
            "id": uuid7(),
            "library_id": self.library_id,
            "owner_id": owner_id,
            "key": self.key(blob),
            "media_type": blob.media_type,
            "size_bytes": blob.size_bytes,
        }
