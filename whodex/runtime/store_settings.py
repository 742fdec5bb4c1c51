"""Where a process finds the object store, and what opens it."""

from __future__ import annotations

from pydantic import SecretStr

from whodex.runtime.settings import Settings
from whodex.runtime.store import ObjectStore


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
        keys = None
        if self.store_access_key and self.store_secret_key:
            keys = (self.store_access_key.get_secret_value(), self.store_secret_key.get_secret_value())
        return ObjectStore.from_url(self.store_url, endpoint=self.store_endpoint, keys=keys)
