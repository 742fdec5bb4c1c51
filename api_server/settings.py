"""What the api_server is told by its environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, PrivateAttr, model_validator

from api_server.limits.limits import LimitSettings
from whodex.runtime.settings import Address, RotatingSecret, Secret
from whodex.runtime.store_settings import StoreSettings
from whodex.runtime.tls import MeshSettings, Tls, read_tls


class ServerSettings(MeshSettings, StoreSettings, LimitSettings):
    """A field `api_listen` is read from WHODEX_API_LISTEN."""

    database_url: Secret
    # Where clients and where workers and the indexer call.
    api_listen: Address
    internal_listen: Address
    # What this process calls.
    indexer_address: Address
    analysis_address: Address
    # The credential of every internal service, both those that this process offers and those that it calls.
    internal_token: RotatingSecret
    # Opens LibraryService and OperationsService.
    admin_key: RotatingSecret
    # An upload that got no bytes for so long is deleted.
    upload_expire_seconds: Annotated[int, Field(ge=60)] = 86_400
    # Sample media for the smoke test: a picture with one face, and an MP4 in which the same person appears.
    smoke_photo: Path | None = None
    smoke_video: Path | None = None
    # TLS for clients: the certificate and its key, or neither. With a CA each client has to show a certificate of it.
    api_tls_certificate: Path | None = None
    api_tls_key: Path | None = None
    api_tls_client_ca: Path | None = None
    _api_tls: Tls | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _read_api_tls(self) -> Self:
        files = {
            "WHODEX_API_TLS_CERTIFICATE": self.api_tls_certificate,
            "WHODEX_API_TLS_KEY": self.api_tls_key,
        }
        if self.api_tls_client_ca is not None:
            files["WHODEX_API_TLS_CLIENT_CA"] = self.api_tls_client_ca
        self._api_tls = read_tls(files)
        return self

    @property
    def api_tls(self) -> Tls | None:
        """TLS of the public API; None: it speaks plaintext."""
        return self._api_tls
