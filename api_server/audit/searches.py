"""Searches in the log: each one before its answer leaves, also one that finds nothing or is refused."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from google.protobuf.message import Message

from api_server.audit import log
from api_server.database.engine import Database
from api_server.names import LIBRARY, name
from whodex.errors import WhodexError
from whodex.v1.audit_pb2 import AuditAction


@dataclass
class AuditedSearch:
    """A search that runs.

    Attributes:
        result_count: set it before the block ends.
    """

    result_count: int = 0


@asynccontextmanager
async def audited(
    database: Database, action: AuditAction.ValueType, library_id: UUID, request: Message
) -> AsyncIterator[AuditedSearch]:
    """Writes an entry about the block when it ends, however it ends. When it cannot be written, the call fails.

    Args:
        database: where the log is.
        action: the kind of search.
        library_id: the library that is searched.
        request: its digest goes into the entry.
    """
    search, outcome = AuditedSearch(), log.OK
    try:
        yield search
    except WhodexError as error:
        outcome = error.reason_name or error.code.name
        raise
    except BaseException as error:
        # A call that was hung up as much as a defect of ours.
        outcome = type(error).__name__
        raise
    finally:
        async with database.transaction() as session:
            await log.append(
                session,
                action,
                library_id,
                name(LIBRARY, library_id),
                outcome=outcome,
                result_count=search.result_count if outcome == log.OK else 0,
                request_digest=hashlib.sha256(request.SerializeToString(deterministic=True)).digest(),
            )
