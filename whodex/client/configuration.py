"""Where the server is, which library to use, and the keys that open it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from whodex.stack.state import StateDirectory

ADDRESS_VARIABLE = "WHODEX_ADDRESS"
API_KEY_VARIABLE = "WHODEX_API_KEY"
ADMIN_KEY_VARIABLE = "WHODEX_ADMIN_KEY"
LIBRARY_VARIABLE = "WHODEX_LIBRARY"


class ConfigurationError(Exception):
    """The client does not know whom to call, or as whom; the message says what to set."""


@dataclass(frozen=True)
class Configuration:
    """What a client needs to know before its first call.

    Attributes:
        address: host:port of the public API.
        source: where the address was found, for people.
        library: resource name of the library that is used; None when nothing names one.
        api_key: opens the library.
        admin_key: creates and lists libraries, runs the smoke test.
    """

    address: str
    source: str
    library: str | None = None
    api_key: str | None = field(default=None, repr=False)
    admin_key: str | None = field(default=None, repr=False)


def find_configuration(
    *,
    address: str | None = None,
    library: str | None = None,
    api_key: str | None = None,
    admin_key: str | None = None,
    state_dir: str | os.PathLike[str] | None = None,
) -> Configuration:
    """Takes each value from the argument, else from the environment, else from the local stack's state directory.

    The keys and the library of a state directory belong to its address: they are never sent to another one.

    Args:
        address: host:port.
        library: `libraries/{library}`.
        api_key: the secret of a key of that library.
        admin_key: the deployment's admin key.
        state_dir: the state directory of a local stack; None: `WHODEX_STATE_DIR`, else `./.whodex`.

    Raises:
        ConfigurationError: nothing gives an address, or what names the library is no resource name.
    """
    local = _find_stack(None if state_dir is None else Path(state_dir))
    server = _find_address(address, local)
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
    )


def _find_stack(state_dir: Path | None) -> Configuration:
    """What the state directory says; without an address when no stack was ever ready there."""
    directory = StateDirectory.locate(state_dir)
    found = directory.connection()
    if found is None:
        return Configuration(address="", source=str(directory.root))
    return Configuration(source=str(directory.root), **found.model_dump())


def _find_address(address: str | None, local: Configuration) -> Configuration:
    if address:
        return Configuration(address=address, source="the address given")
    if set_address := os.environ.get(ADDRESS_VARIABLE):
        return Configuration(address=set_address, source=ADDRESS_VARIABLE)
    if local.address:
        return local
    raise ConfigurationError(
        f"No Whodex server is known: {local.source} is not the state directory of a stack and {ADDRESS_VARIABLE} is "
        f"not set. Run `whodex up`, or set {ADDRESS_VARIABLE}, {API_KEY_VARIABLE} and {LIBRARY_VARIABLE}."
    )
