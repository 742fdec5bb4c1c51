"""API keys: made, listed, revoked."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.access.keys import SHOWN_LENGTH, new_secret, secret_digest
from api_server.database.rows import AnyRow
from api_server.database.schema import ApiKey, Library
from api_server.names import API_KEY, LIBRARY, name, not_found

API_KEY_COLUMNS = (
    ApiKey.id,
    ApiKey.library_id,
    ApiKey.display_name,
    ApiKey.prefix,
    ApiKey.create_time,
    ApiKey.revoke_time,
)


async def create(session: AsyncSession, library_id: UUID, display_name: str) -> tuple[AnyRow, str]:
    """Makes a key; returns its row and the secret, which nobody can read again."""
    # The share lock keeps the library from being deleted before the key is there.
    if await session.scalar(select(Library.id).where(Library.id == library_id).with_for_update(key_share=True)) is None:
        raise not_found(name(LIBRARY, library_id))
    secret = new_secret()
    values = {
        "library_id": library_id,
        "display_name": display_name,
        "prefix": secret[:SHOWN_LENGTH],
        "secret_sha256": secret_digest(secret),
    }
    row = (await session.execute(insert(ApiKey).values(values).returning(*API_KEY_COLUMNS))).one()
    return row, secret


async def list_page(session: AsyncSession, library_id: UUID, *, after: UUID | None, limit: int) -> list[AnyRow]:
    """Returns up to `limit` keys of a library, oldest first, revoked ones included."""
    query = select(*API_KEY_COLUMNS).where(ApiKey.library_id == library_id).order_by(ApiKey.id).limit(limit)
    if after is not None:
        query = query.where(ApiKey.id > after)
    return list((await session.execute(query)).all())


async def revoke(session: AsyncSession, library_id: UUID, key_id: UUID) -> AnyRow:
    """Revokes a key; one that is revoked keeps its first time."""
    query = (
        update(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.library_id == library_id)
        .values(revoke_time=func.coalesce(ApiKey.revoke_time, func.now()))
        .returning(*API_KEY_COLUMNS)
    )
    row = (await session.execute(query)).one_or_none()
    if row is None:
        raise not_found(name(API_KEY, library_id, key_id))
    return row
