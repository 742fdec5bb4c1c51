from __future__ import annotations

import os
from types import TracebackType
from typing import Self

from whodex.client.audit import AuditLog
from whodex.client.configuration import find_configuration
from whodex.client.connection import Connection, open_channel
from whodex.client.content import Contents
from whodex.client.erasures import Erasures
from whodex.client.libraries import Libraries
from whodex.client.operations import Operations
from whodex.client.people import People
from whodex.client.search import Search
from whodex.client.uploads import Uploads
from whodex.client.videos import Videos

DEFAULT_TIMEOUT_SECONDS = 30.0


class Client:
    """A connection to a Whodex server.

    Safe to use from several threads. Close it, or use it in a `with` statement. After a fork, make a new one.

    Args:
        address: host:port, `https://host:port` or `http://host:port`; else `WHODEX_ADDRESS`, else what the local stack
            left in its state directory.
        library: `libraries/{library}`; else `WHODEX_LIBRARY`, else the local stack's default library.
        api_key: the secret of a key of that library; else `WHODEX_API_KEY`, else the local stack's.
        admin_key: for libraries and operations; else `WHODEX_ADMIN_KEY`, else the local stack's.
        state_dir: of the local stack; else `WHODEX_STATE_DIR`, else `./.whodex`.
        tls_ca: PEM file of who signs the server's certificate; else `WHODEX_TLS_CA`, else the known authorities.
        timeout_seconds: the deadline of each call that brings none of its own.

    Attributes:
        configuration: what was found.
        people: people and their reference photos.
        videos: videos, scenes and appearances.
        uploads: uploads that were cut off.
        search: in which scenes somebody appears, and who is in a picture.
        contents: downloads.
        libraries: libraries and their keys.
        audit: who did what, and when.
        erasures: what deletions have begun, and their receipts.
        operations: tasks and the smoke test.

    Raises:
        ConfigurationError: nothing says where the server is, or a file of TLS cannot be used.
    """

    def __init__(  # noqa: PLR0913 - all but the first by keyword, and each with a default
        self,
        address: str | None = None,
        *,
        library: str | None = None,
        api_key: str | None = None,
        admin_key: str | None = None,
        state_dir: str | os.PathLike[str] | None = None,
        tls_ca: str | os.PathLike[str] | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        self.configuration = find_configuration(
            address=address,
            library=library,
            api_key=api_key,
            admin_key=admin_key,
            state_dir=state_dir,
            tls_ca=tls_ca,
        )
        self._channel = open_channel(self.configuration.address, self.configuration.tls)
        self._tenant = self._connect(self.configuration.api_key, timeout_seconds)
        operator = self._connect(self.configuration.admin_key or self.configuration.api_key, timeout_seconds)
        self.people = People(self._tenant)
        self.videos = Videos(self._tenant)
        self.uploads = Uploads(self._tenant)
        self.search = Search(self._tenant)
        self.contents = Contents(self._tenant)
        self.libraries = Libraries(operator)
        self.audit = AuditLog(operator)
        self.erasures = Erasures(operator)
        self.operations = Operations(operator)

    def _connect(self, key: str | None, timeout_seconds: float) -> Connection:
        return Connection(self._channel, key=key, library=self.configuration.library, timeout_seconds=timeout_seconds)

    @property
    def library(self) -> str:
        """The library that is used: `libraries/{library}`; ConfigurationError when nothing names one."""
        return self._tenant.library

    def close(self) -> None:
        """Ends all calls that are still running."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
