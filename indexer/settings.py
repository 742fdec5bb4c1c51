"""What the indexer is told by its environment."""

from __future__ import annotations

from pathlib import Path

from whodex.runtime.settings import Address, RotatingSecret
from whodex.runtime.tls import MeshSettings


class IndexerSettings(MeshSettings):
    """Each field is read from an environment variable, WHODEX_ and its name in capitals.

    Attributes:
        indexer_listen: where IndexService listens.
        internal_address: where the api_server's internal services are.
        internal_token: the credential of the internal services, both ways.
        index_dir: the directory of the snapshots; one process uses it.
    """

    indexer_listen: Address
    internal_address: Address
    internal_token: RotatingSecret
    index_dir: Path
