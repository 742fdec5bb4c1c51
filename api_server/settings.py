"""What the api_server is told by its environment."""

from __future__ import annotations

from pathlib import Path

from whodex.runtime.settings import Address, Secret, Settings


class ServerSettings(Settings):
    """A field `api_listen` is read from WHODEX_API_LISTEN."""

    database_url: Secret
    store_url: str
    # Where clients and where workers and the indexer call.
    api_listen: Address
    internal_listen: Address
    # What this process calls.
    indexer_address: Address
    analysis_address: Address
    # The credential of every internal service, both those that this process offers and those that it calls.
    internal_token: Secret
    # Opens LibraryService and OperationsService.
    admin_key: Secret
    # Sample media for the smoke test: a picture with one face, and an MP4 in which the same person appears.
    smoke_photo: Path | None = None
    smoke_video: Path | None = None
