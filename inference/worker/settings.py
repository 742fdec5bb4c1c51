from __future__ import annotations

import os
import socket

from whodex.runtime.settings import Address, Secret, Settings


class WorkerSettings(Settings):
    """What a worker needs to know of its surroundings."""

    broker_url: Secret
    internal_address: Address
    internal_token: Secret
    triton_address: Address
    store_url: str
    # Where gRPC health answers.
    worker_health_listen: Address = "127.0.0.1:0"

    @property
    def worker_name(self) -> str:
        """Host and process, for people who read logs."""
        return f"{socket.gethostname()}/{os.getpid()}"
