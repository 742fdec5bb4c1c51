"""Rows of libraries and API keys as messages."""

from __future__ import annotations

from api_server import names
from api_server.database.rows import AnyRow
from api_server.timestamps import to_timestamp
from whodex.v1 import library_pb2


def to_library(row: AnyRow) -> library_pb2.Library:
    """Converts a row of `libraries.LIBRARY_COLUMNS`."""
    return library_pb2.Library(
        name=names.name(names.LIBRARY, row.id),
        display_name=row.display_name,
        create_time=to_timestamp(row.create_time),
    )


def to_api_key(row: AnyRow) -> library_pb2.ApiKey:
    """Converts a row of `api_keys.API_KEY_COLUMNS`."""
    return library_pb2.ApiKey(
        name=names.name(names.API_KEY, row.library_id, row.id),
        display_name=row.display_name,
        prefix=row.prefix,
        create_time=to_timestamp(row.create_time),
        revoke_time=None if row.revoke_time is None else to_timestamp(row.revoke_time),
    )
