"""Which calls gRPC itself repeats: reads, when the server was not there to answer."""

from __future__ import annotations

import json

from google.protobuf.descriptor import ServiceDescriptor

from whodex.v1 import (
    audit_service_pb2,
    content_service_pb2,
    erasure_service_pb2,
    library_service_pb2,
    operations_service_pb2,
    people_service_pb2,
    search_service_pb2,
    upload_service_pb2,
    video_service_pb2,
)

PUBLIC_SERVICES: tuple[ServiceDescriptor, ...] = (
    audit_service_pb2.DESCRIPTOR.services_by_name["AuditService"],
    content_service_pb2.DESCRIPTOR.services_by_name["ContentService"],
    erasure_service_pb2.DESCRIPTOR.services_by_name["ErasureService"],
    library_service_pb2.DESCRIPTOR.services_by_name["LibraryService"],
    operations_service_pb2.DESCRIPTOR.services_by_name["OperationsService"],
    people_service_pb2.DESCRIPTOR.services_by_name["PeopleService"],
    search_service_pb2.DESCRIPTOR.services_by_name["SearchService"],
    upload_service_pb2.DESCRIPTOR.services_by_name["UploadService"],
    video_service_pb2.DESCRIPTOR.services_by_name["VideoService"],
)

# The verbs of our methods that change nothing, so that asking twice is the same as asking once.
READ_VERBS = ("Download", "Get", "Identify", "List", "Search", "Verify", "Watch")

# Waits about 0.2, 0.4 and 0.8 s (gRPC draws each at random from 0 up to the backoff): long enough for a server that
# is being replaced by the next one, short enough to say soon that there is none.
RETRY_POLICY = {
    "maxAttempts": 4,
    "initialBackoff": "0.2s",
    "maxBackoff": "2s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}


def service_config() -> str:
    """The channel's service config, as JSON: https://github.com/grpc/grpc/blob/master/doc/service_config.md."""
    return json.dumps({"methodConfig": [{"name": _repeatable_methods(), "retryPolicy": RETRY_POLICY}]})


def _repeatable_methods() -> list[dict[str, str]]:
    return [
        {"service": service.full_name, "method": method.name}
        for service in PUBLIC_SERVICES
        for method in service.methods
        if method.name.startswith(READ_VERBS)
    ]
