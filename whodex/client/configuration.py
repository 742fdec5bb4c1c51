"""Where the server is, which library to use, and the keys that open it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from whodex.client.errors import ConfigurationError
from whodex.client.transport import ClientTls, find_tls, split_address
from whodex.stack.state import StateDirectory

ADDRESS_VARIABLE = "WHODEX_ADDRESS"
API_KEY_VARIABLE = "WHODEX_API_KEY"
ADMIN_KEY_VARIABLE = "WHODEX_ADMIN_KEY"
LIBRARY_VARIABLE = "WHODEX_LIBRARY"


@dataclass(frozen=True)
class Configuration:
    """What a client needs to know before its first call.

    Attributes:
        address: host:port of the public API.
        source: where the address was found, for people.
        library: resource name of the library that is used; None when nothing names one.
        api_key: opens the library.
        admin_key: creates and lists libraries, runs the smoke test.
        tls: the files of TLS; None: the server is called in plaintext.
    """

    address: str
    source: str
    library: str | None = None
    api_key: str | None = field(default=None, repr=False)
    admin_key: str | None = field(default=None, repr=False)
    tls: ClientTls | None = None


def find_configuration(  # noqa: PLR0913 - by keyword, and each with a default
    *,
    address: str | None = None,
    library: str | None = None,
    api_key: str | None = None,
    admin_key: str | None = None,
    state_dir: str | os.PathLike[str] | None = None,
    tls_ca: str | os.PathLike[str] | None = None,
) -> Configuration:
    """Takes each value from the argument, else from the environment, else from the local stack's state directory.

    The keys and the library of a state directory belong to its address: they are never sent to another one.

    Args:
        address: host:port, which is called by TLS unless it is on this machine; `https://` or `http://` says which.
        library: `libraries/{library}`.
        api_key: the secret of a key of that library.
        admin_key: the deployment's admin key.
        state_dir: the state directory of a local stack; None: `WHODEX_STATE_DIR`, else `./.whodex`.
        tls_ca: PEM file of who signs the server's certificate; None: `WHODEX_TLS_CA`, else the authorities that gRPC
            knows. One that is given means TLS, on this machine too.

    Raises:
        ConfigurationError: nothing gives an address, or what names the library is no resource name.
    """
    local = _find_stack(None if state_dir is None else Path(state_dir))
    server = _find_address(address, local, tls_ca)
    stack = local if local.address == server.address else server
    library = library or os.environ.get(LIBRARY_VARIABLE) or stack.library
    if library and not re.fullmatch(r"libraries/[^/]+", library):
        raise ConfigurationError(f'"{library}" names no library: that looks like libraries/ and an id.')
    return Configuration(
        address=server.address,
        source=server.source,
        library=library,
        api_key=api_key or os.environ.get(API_KEY_VARIABLE) or stack.api_key,
        admin_key=admin_key or os.environ.get(ADMIN_KEY_VARIABLE) or stack.admin_key,
        tls=server.tls,
    )


def _find_stack(state_dir: Path | None) -> Configuration:
    """What the state directory says; without an address when no stack was ever ready there."""
    directory = StateDirectory.locate(state_dir)
    found = directory.connection()
    if found is None:
        return Configuration(address="", source=str(directory.root))
    tls = ClientTls(ca=found.tls_ca) if found.tls_ca else None
    return Configuration(source=str(directory.root), tls=tls, **found.model_dump(exclude={"tls_ca"}))


def _find_address(address: str | None, local: Configuration, tls_ca: str | os.PathLike[str] | None) -> Configuration:
    if address:
        return _at(address, "the address given", local, tls_ca)
    if set_address := os.environ.get(ADDRESS_VARIABLE):
        return _at(set_address, ADDRESS_VARIABLE, local, tls_ca)
    if local.address:
        return local
    raise ConfigurationError(
        f"No Whodex server is known: {local.source} is not the state directory of a stack and {ADDRESS_VARIABLE} is "
        f"not set. Run `whodex up`, or set {ADDRESS_VARIABLE}, {API_KEY_VARIABLE} and {LIBRARY_VARIABLE}."
    )


def _at(address: str, source: str, local: Configuration, tls_ca: str | os.PathLike[str] | None) -> Configuration:
    host, encrypted = split_address(address)
    files = find_tls(tls_ca)
    if host == local.address and files == ClientTls():
        # The local stack's address, written out.
        return replace(local, source=source)
    encrypted = encrypted or (files.ca is not None and "://" not in address)
    return Configuration(address=host, source=source, tls=files if encrypted else None)
