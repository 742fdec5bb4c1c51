"""The keys by which receipts are verified, kept so that a receipt outlives the key that signed it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.database.rows import AnyRow
from api_server.database.schema import ReceiptKey
from api_server.erasures.receipts import ReceiptSigner

_KEYS = select(ReceiptKey.id, ReceiptKey.public_key_pem, ReceiptKey.create_time).order_by(ReceiptKey.create_time)


async def register(session: AsyncSession, signer: ReceiptSigner) -> None:
    """Makes the public half known."""
    values = {"id": signer.key_id, "public_key_pem": signer.public_key_pem}
    await session.execute(insert(ReceiptKey).values(values).on_conflict_do_nothing())


async def list_all(session: AsyncSession) -> Sequence[AnyRow]:
    """Returns all keys, oldest first."""
    return (await session.execute(_KEYS)).all()
