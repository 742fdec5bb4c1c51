"""Where media are decoded, and what the sandbox lacks there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.database.schema import DecoderHost
from api_server.timestamps import to_timestamp
from whodex.v1 import decoder_pb2

# Containers come and go, each under a name of its own.
_FORGOTTEN_AFTER = timedelta(days=30)
_HOSTS = select(DecoderHost.host, DecoderHost.missing_layers, DecoderHost.report_time).order_by(DecoderHost.host)


async def report_decoder_host(
    session: AsyncSession, host: str, missing_layers: Sequence[decoder_pb2.SandboxLayer.ValueType]
) -> None:
    """Keeps what a worker said at its start, in place of what one on the same machine said before."""
    found = {"missing_layers": list(missing_layers), "report_time": func.now()}
    statement = insert(DecoderHost).values(host=host, **found)
    await session.execute(statement.on_conflict_do_update(index_elements=[DecoderHost.host], set_=found))
    await session.execute(delete(DecoderHost).where(DecoderHost.report_time < func.now() - _FORGOTTEN_AFTER))


async def workers_decoder_hosts(session: AsyncSession) -> list[decoder_pb2.DecoderHost]:
    """Returns the machines of the workers, by host."""
    return [
        decoder_pb2.DecoderHost(
            host=row.host, missing_layers=row.missing_layers, report_time=to_timestamp(row.report_time)
        )
        for row in await session.execute(_HOSTS)
    ]
