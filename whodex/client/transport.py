"""How the client reaches the server: in plaintext on this machine, by TLS elsewhere, unless the address says which."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from whodex.client.errors import ConfigurationError

TLS_CA_VARIABLE = "WHODEX_TLS_CA"
TLS_CERTIFICATE_VARIABLE = "WHODEX_TLS_CERTIFICATE"
TLS_KEY_VARIABLE = "WHODEX_TLS_KEY"

LOOPBACK_HOSTS = ("127.", "localhost:", "[::1]:")


@dataclass(frozen=True)
class ClientTls:
    """The files of a TLS client, all PEM.

    Attributes:
        ca: who signs the server's certificate; None: the authorities that gRPC knows.
        certificate: what the client proves itself by, where the server asks for it.
        key: of that certificate, not encrypted.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Reads the files.

        Raises:
            ConfigurationError: one cannot be read, is no PEM, or the key is not the certificate's.
        """
        if (self.certificate is None) != (self.key is None):
            raise ConfigurationError(f"{TLS_CERTIFICATE_VARIABLE} and {TLS_KEY_VARIABLE} are set together, or neither.")
        try:
            self._check()
        except OSError as error:  # ssl.SSLError is one
            files = ", ".join(str(path) for path in (self.ca, self.certificate, self.key) if path)
            raise ConfigurationError(f"The TLS files cannot be used ({files}): {error}") from error
        return grpc.ssl_channel_credentials(*map(_read, (self.ca, self.key, self.certificate)))

    def _check(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.ca is not None:
            context.load_verify_locations(self.ca)
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)


def split_address(address: str) -> tuple[str, bool]:
    """Returns host:port and whether it is called by TLS.

    Args:
        address: `https://host:port`, `http://host:port`, or host:port, which means plaintext on this machine and TLS
            elsewhere: a key must not travel where others can read it unless somebody said so.
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        return address, not address.startswith(LOOPBACK_HOSTS)
    if scheme not in ("http", "https"):
        raise ConfigurationError(f'"{address}" is no address of a server: that looks like https://host:port.')
    host = rest.rstrip("/")
    if ":" not in host.rpartition("]")[2]:
        host += ":443" if scheme == "https" else ":80"
    return host, scheme == "https"


def find_tls(ca: str | os.PathLike[str] | None) -> ClientTls:
    """Takes the files from the environment; the CA from the argument, if given."""
    found = [os.environ.get(name) for name in (TLS_CA_VARIABLE, TLS_CERTIFICATE_VARIABLE, TLS_KEY_VARIABLE)]
    files = [Path(path) if path else None for path in (ca or found[0], *found[1:])]
    return ClientTls(*files)


def _read(path: Path | None) -> bytes | None:
    return None if path is None else path.read_bytes()
