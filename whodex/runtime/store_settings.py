"""Where a process finds the object store, and what opens it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr

from whodex.runtime.settings import Settings
from whodex.runtime.store import ObjectStore

if TYPE_CHECKING:
    from obstore.store import S3Config  # it exists for type checkers alone


class StoreSettings(Settings):
    """The base of the settings of each process that reads or writes media.

    Attributes:
        store_url: `file:///absolute/folder` or `s3://bucket/prefix`.
        store_endpoint: URL of the S3 server; none: Amazon's, or what AWS_* variables say.
        store_access_key: of S3; none: what AWS_* variables or the machine's role give.
        store_secret_key: belongs to the access key.
    """

    store_url: str
    store_endpoint: str | None = None
    store_access_key: SecretStr | None = None
    store_secret_key: SecretStr | None = None

    def open_store(self) -> ObjectStore:
        """Opens no connection yet."""
        return ObjectStore.from_url(self.store_url, self._s3() or None)

    def _s3(self) -> S3Config:
        s3: S3Config = {}
        if self.store_endpoint:
            s3["endpoint"] = self.store_endpoint
        if self.store_access_key and self.store_secret_key:
            s3["access_key_id"] = self.store_access_key.get_secret_value()
            s3["secret_access_key"] = self.store_secret_key.get_secret_value()
        return s3
