from __future__ import annotations

import json

from whodex.client.service_config import service_config

WRITES = {
    "CreateApiKey",
    "CreateLibrary",
    "CreatePerson",
    "DeleteLibrary",
    "DeletePerson",
    "DeleteReferencePhoto",
    "DeleteVideo",
    "RetryReferencePhoto",
    "RevokeApiKey",
    "SmokeTest",
    "UpdatePerson",
    "UploadReferencePhoto",
    "UploadVideo",
}


def test_no_write_is_among_the_methods_that_grpc_repeats() -> None:
    (entry,) = json.loads(service_config())["methodConfig"]
    repeated = {name["method"] for name in entry["name"]}

    assert {"GetPerson", "ListPeople", "SearchScenes", "WatchVideo"} <= repeated
    assert not repeated & WRITES
    assert entry["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]
