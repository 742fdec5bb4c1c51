"""What the scheduler is told by its environment."""

from __future__ import annotations

from whodex.runtime.settings import Address, Secret
from whodex.runtime.tls import MeshSettings


class SchedulerSettings(MeshSettings):
    """A field `broker_url` is read from WHODEX_BROKER_URL."""

    database_url: Secret
    broker_url: Secret
    store_url: str
    # Where gRPC health answers.
    scheduler_health_listen: Address
