from __future__ import annotations

import os
import socket
from pathlib import Path

from whodex.runtime.settings import Address, RotatingSecret, Secret
from whodex.runtime.store_settings import StoreSettings
from whodex.runtime.tls import MeshSettings


class WorkerSettings(MeshSettings, StoreSettings):
    """What a worker needs to know of its surroundings."""

    broker_url: Secret
    internal_address: Address
    internal_token: RotatingSecret
    triton_address: Address
    # PEM; who signs the certificate of Triton; None: Triton speaks plaintext.
    triton_ca: Path | None = None
    # Where gRPC health answers.
    worker_health_listen: Address = "127.0.0.1:0"

    @property
    def worker_name(self) -> str:
        """Host and process, for people who read logs."""
        return f"{socket.gethostname()}/{os.getpid()}"
