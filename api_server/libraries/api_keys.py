"""API keys: made, listed, replaced, revoked."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, case, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningUpdate

from api_server.access.authentication import IS_ACTIVE
from api_server.access.keys import SHOWN_LENGTH, new_secret, secret_digest
from api_server.database.rows import AnyRow
from api_server.database.schema import ApiKey, KeyRole, Library
from api_server.names import API_KEY, LIBRARY, name, not_found
from whodex.errors import FailedPreconditionError
from whodex.v1 import error_reason_pb2

# More would be keys that nobody looks after; a key for each device of a large installation still fits.
MAX_ACTIVE_KEYS = 100
DEFAULT_OVERLAP = timedelta(days=1)
API_KEY_COLUMNS = (
    ApiKey.id,
    ApiKey.library_id,
    ApiKey.display_name,
    ApiKey.prefix,
    ApiKey.role,
    ApiKey.create_time,
    ApiKey.revoke_time,
    ApiKey.expire_time,
    ApiKey.last_use_time,
    ApiKey.successor_id,
    case((ApiKey.revoke_time.is_not(None), "revoked"), (IS_ACTIVE, "active"), else_="expired").label("state"),
)
# When a key ends: a moment, an expression of one, or None for never.
End = datetime | ColumnElement[datetime] | None


async def create(
    session: AsyncSession, library_id: UUID, display_name: str, role: KeyRole, end: End
) -> tuple[AnyRow, str]:
    """Makes a key; returns its row and the secret, which nobody can read again.

    Raises:
        NotFoundError: there is no such library.
        FailedPreconditionError: TOO_MANY_KEYS.
    """
    await _lock_library(session, library_id)
    active = select(func.count()).where(ApiKey.library_id == library_id, IS_ACTIVE)
    if (await session.scalar(active) or 0) >= MAX_ACTIVE_KEYS:
        raise FailedPreconditionError(
            f"The library has {MAX_ACTIVE_KEYS} active keys. Revoke some that are not used any more.",
            reason=error_reason_pb2.ERROR_REASON_TOO_MANY_KEYS,
        )
    secret = new_secret()
    values = {
        "library_id": library_id,
        "display_name": display_name,
        "prefix": secret[:SHOWN_LENGTH],
        "secret_sha256": secret_digest(secret),
        "role": role,
        "expire_time": end,
    }
    row = (await session.execute(insert(ApiKey).values(values).returning(*API_KEY_COLUMNS))).one()
    return row, secret


async def list_page(session: AsyncSession, library_id: UUID, *, after: UUID | None, limit: int) -> list[AnyRow]:
    """Returns up to `limit` keys of a library, oldest first, those that have ended included."""
    query = select(*API_KEY_COLUMNS).where(ApiKey.library_id == library_id).order_by(ApiKey.id).limit(limit)
    if after is not None:
        query = query.where(ApiKey.id > after)
    return list((await session.execute(query)).all())


async def rotate(
    session: AsyncSession, library_id: UUID, key_id: UUID, overlap: timedelta, end: End
) -> tuple[AnyRow, str, AnyRow]:
    """Makes a successor of a key, which ends after the overlap.

    Returns:
        The successor, its secret, and the key.

    Raises:
        NotFoundError: there is no such key.
        FailedPreconditionError: KEY_NOT_ROTATABLE, the key has ended or has an active successor; TOO_MANY_KEYS.
    """
    await _lock_library(session, library_id)
    found = select(*API_KEY_COLUMNS).where(ApiKey.id == key_id, ApiKey.library_id == library_id)
    key = (await session.execute(found)).one_or_none()
    if key is None:
        raise not_found(name(API_KEY, library_id, key_id))
    if key.state != "active":
        raise _not_rotatable("It has expired or was revoked. Make a new key.")
    if await session.scalar(select(IS_ACTIVE).where(ApiKey.id == key.successor_id)):
        raise _not_rotatable("It has a successor already. Use that, or revoke it and rotate again.")
    successor, secret = await create(session, library_id, key.display_name, key.role, end)
    # The earlier of the two; least() takes no notice of a null.
    expire_time = func.least(ApiKey.expire_time, func.now() + overlap)
    ended = _change(library_id, key_id, expire_time=expire_time, successor_id=successor.id)
    return successor, secret, (await session.execute(ended)).one()


async def revoke(session: AsyncSession, library_id: UUID, key_id: UUID) -> AnyRow:
    """Revokes a key; one that is revoked keeps its first time."""
    revoked = _change(library_id, key_id, revoke_time=func.coalesce(ApiKey.revoke_time, func.now()))
    row: AnyRow | None = (await session.execute(revoked)).one_or_none()
    if row is None:
        raise not_found(name(API_KEY, library_id, key_id))
    return row


async def _lock_library(session: AsyncSession, library_id: UUID) -> None:
    """Lets nobody else make a key meanwhile, or delete the library."""
    if await session.scalar(select(Library.id).where(Library.id == library_id).with_for_update(key_share=True)) is None:
        raise not_found(name(LIBRARY, library_id))


def _change(library_id: UUID, key_id: UUID, **values: Any) -> ReturningUpdate[Any]:
    of_the_library = (ApiKey.id == key_id, ApiKey.library_id == library_id)
    return update(ApiKey).where(*of_the_library).values(**values).returning(*API_KEY_COLUMNS)


def _not_rotatable(why: str) -> FailedPreconditionError:
    return FailedPreconditionError(
        f"The key cannot be rotated. {why}", reason=error_reason_pb2.ERROR_REASON_KEY_NOT_ROTATABLE
    )
