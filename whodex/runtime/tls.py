"""How a server proves itself, whom it lets connect, and how processes are told: settings with the files' paths."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import grpc
import grpc.aio
from pydantic import BeforeValidator, PrivateAttr, model_validator
from pydantic_settings import NoDecode

from whodex.errors import PermissionDeniedError
from whodex.runtime.certificates import CertificateError, CertificateFiles, Certificates, CertificateSet
from whodex.runtime.settings import Settings
from whodex.v1 import error_reason_pb2

# The health of the certificates: NOT_SERVING when newer files are refused, while the services go on with the old ones.
CERTIFICATES_SERVICE = "certificates"


def _split(names: object) -> object:
    return names.split(",") if isinstance(names, str) else names


# Names separated by commas.
PeerNames = Annotated[frozenset[str], NoDecode, BeforeValidator(_split)]


class AddressError(Exception):
    """A server cannot listen at an address; the message says why and what to do."""


@dataclass(frozen=True)
class Tls:
    """TLS of a server, and of the channels of the same process.

    Attributes:
        certificates: with authorities: each client has to show a certificate that one of them signed.
        peers: names of which such a certificate has to carry one (a DNS name, URI or address in its subjectAltName)
            before a method is run; empty: each certificate of the authorities will do.
    """

    certificates: Certificates
    peers: frozenset[str] = frozenset()

    def server_credentials(self) -> grpc.ServerCredentials:
        """Looks at the files again for each new connection; connections that exist keep what they began with."""
        served = self.certificates.current()

        def newer() -> grpc.ServerCertificateConfiguration | None:
            nonlocal served
            found = self.certificates.current()
            if found is served:
                return None
            served = found
            return _configuration(found)

        return grpc.dynamic_ssl_server_credentials(
            _configuration(served),
            newer,  # type: ignore[arg-type] # None means no change, says gRPC's documentation
            require_client_authentication=served.authorities is not None,
        )

    def admit(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """Raises PermissionDeniedError, PEER_NOT_ALLOWED, unless the peer's certificate carries an admitted name."""
        names = {name.decode() for name in context.auth_context().get("x509_subject_alternative_name", ())}
        if self.peers and not names & self.peers:
            raise PermissionDeniedError(
                f"The certificate of this peer carries none of the names that are admitted here, but "
                f"{', '.join(sorted(names)) or 'no name'}.",
                reason=error_reason_pb2.ERROR_REASON_PEER_NOT_ALLOWED,
            )


class MeshSettings(Settings):
    """How the services prove themselves to each other: the three files, or none of them.

    Attributes:
        mesh_certificate: PEM; the name that others call this process by is in its subjectAltName.
        mesh_key: PEM, not encrypted.
        mesh_ca: PEM; who signs the certificates of our services, and of nobody else.
        mesh_peers: names of which a caller's certificate has to carry one; empty: any certificate of the CA.
        allow_plaintext: serve without TLS beyond loopback, where something else encrypts.
    """

    mesh_certificate: Path | None = None
    mesh_key: Path | None = None
    mesh_ca: Path | None = None
    mesh_peers: PeerNames = frozenset()
    allow_plaintext: bool = False
    _mesh: Tls | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _read_mesh(self) -> Self:
        files = {
            "WHODEX_MESH_CERTIFICATE": self.mesh_certificate,
            "WHODEX_MESH_KEY": self.mesh_key,
            "WHODEX_MESH_CA": self.mesh_ca,
        }
        self._mesh = read_tls(files, self.mesh_peers)
        return self

    @property
    def mesh(self) -> Tls | None:
        """TLS between the services; None: they speak plaintext."""
        return self._mesh


def read_tls(files: Mapping[str, Path | None], peers: frozenset[str] = frozenset()) -> Tls | None:
    """TLS with these files; None when no file is set.

    Args:
        files: by the variables that name them: the certificate, its key, and those whose signatures are trusted.
        peers: see `Tls`.

    Raises:
        ValueError: some are set and others are not, or a file cannot be used; the message says which.
    """
    if not any(files.values()):
        return None
    if missing := [variable for variable, path in files.items() if path is None]:
        raise ValueError(f"{', '.join(missing)} must be set too: TLS needs {', '.join(files)} together")
    try:
        return Tls(Certificates(CertificateFiles(*(path for path in files.values() if path is not None))), peers)
    except CertificateError as error:
        raise ValueError(str(error)) from error


def bind(server: grpc.Server | grpc.aio.Server, address: str, tls: Tls | None, *, allow_plaintext: bool) -> int:
    """Lets a server listen; returns the port.

    Raises:
        AddressError: the address cannot be bound, or what is sent over it could be read on the way.
    """
    if tls is None and not allow_plaintext and not _is_loopback(address):
        raise AddressError(
            f"{address} is open to other machines and calls would not be encrypted. Set the files of a certificate "
            "(docs/operations.md), or WHODEX_ALLOW_PLAINTEXT=true where something else encrypts"
        )
    try:
        if tls is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, tls.server_credentials())
    except RuntimeError as error:
        raise AddressError(f"{address} cannot be bound: is another server running there?") from error


def _configuration(certificates: CertificateSet) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(certificates.key, certificates.chain)], certificates.authorities)


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
