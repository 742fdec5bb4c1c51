"""The certificates of a local stack that speaks TLS: an authority for clients, another one among the parts.

The authorities are made once for a state directory, the certificates at each start. Nobody else trusts either.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import grpc
import trustme

from whodex.stack.ports import LOOPBACK
from whodex.stack.state import StateDirectory

# Who asks the parts how they are, and no more.
PROBE = "supervisor"
PUBLIC = "api"
_LOCAL_NAMES = (LOOPBACK, "localhost")


@dataclass(frozen=True)
class StackTls:
    """Where the certificates of a stack are.

    Attributes:
        folder: holds `NAME.pem` and `NAME.key` for each part, `api` for clients, and the two authorities.
    """

    folder: Path

    @classmethod
    def of(cls, state: StateDirectory) -> StackTls:
        """The folder of a state directory."""
        return cls(state.folder("tls"))

    @property
    def public_ca(self) -> Path:
        """Who signs the certificate that clients see."""
        return self.folder / "public-ca.pem"

    @property
    def mesh_ca(self) -> Path:
        """Who signs the certificates of the parts."""
        return self.folder / "mesh-ca.pem"

    def issue(self, parts: Collection[str]) -> None:
        """Makes a certificate for clients to see and one for each part, and the authorities if they are not there."""
        public, mesh = _authority(self.public_ca), _authority(self.mesh_ca)
        self._write(PUBLIC, public.issue_cert(*_LOCAL_NAMES))
        for part in (*parts, PROBE):
            self._write(part, mesh.issue_cert(_peer_name(part), *_LOCAL_NAMES))

    def public_settings(self) -> dict[str, str]:
        """The variables of the public listener."""
        return {
            "WHODEX_API_TLS_CERTIFICATE": str(self.folder / f"{PUBLIC}.pem"),
            "WHODEX_API_TLS_KEY": str(self.folder / f"{PUBLIC}.key"),
        }

    def mesh_settings(self, part: str, peers: Collection[str]) -> dict[str, str]:
        """The variables of one part.

        Args:
            part: its name.
            peers: the parts that may call it.
        """
        return {
            "WHODEX_MESH_CERTIFICATE": str(self.folder / f"{part}.pem"),
            "WHODEX_MESH_KEY": str(self.folder / f"{part}.key"),
            "WHODEX_MESH_CA": str(self.mesh_ca),
            "WHODEX_MESH_PEERS": ",".join(map(_peer_name, peers)),
        }

    def public_probe(self) -> grpc.ChannelCredentials:
        """What a client of the public API needs."""
        return grpc.ssl_channel_credentials(self.public_ca.read_bytes())

    def mesh_probe(self) -> grpc.ChannelCredentials:
        """What the supervisor proves itself by to the parts."""
        files = (self.mesh_ca, self.folder / f"{PROBE}.key", self.folder / f"{PROBE}.pem")
        return grpc.ssl_channel_credentials(*(path.read_bytes() for path in files))

    def _write(self, name: str, made: trustme.LeafCert) -> None:
        _write(self.folder / f"{name}.key", made.private_key_pem)
        _write(self.folder / f"{name}.pem", *made.cert_chain_pems)


def _peer_name(part: str) -> str:
    # A name in a certificate has no underscore.
    return part.replace("_", "-")


def _authority(certificate: Path) -> trustme.CA:
    key = certificate.with_suffix(".key")
    if certificate.exists():
        return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    made = trustme.CA()
    _write(key, made.private_key_pem)
    _write(certificate, made.cert_pem)
    return made


def _write(path: Path, *blobs: trustme.Blob) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(b"".join(blob.bytes() for blob in blobs))
