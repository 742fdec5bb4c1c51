from __future__ import annotations

from collections.abc import Sequence

from inference.worker.claims import ClaimedItem
from inference.worker.context import WorkerContext
from inference.worker.registry import implements
from whodex.v1 import tasks_pb2


@implements(tasks_pb2.DeleteBlobsPayload, describe=lambda payload: f"{len(payload.content_keys)} blobs")
def delete_blobs(
    context: WorkerContext, items: Sequence[ClaimedItem[tasks_pb2.DeleteBlobsPayload]]
) -> list[tasks_pb2.DeleteBlobsResult]:
    """Deletes the bytes of resources whose rows are gone. Keys that are gone already are fine: it may run twice."""
    results = []
    for item in items:
        keys = list(item.payload.content_keys)
        context.wait(context.store.delete(keys))
        item.progress(1.0)
        results.append(tasks_pb2.DeleteBlobsResult(deleted_count=len(keys)))
    return results
