"""Certificates made by authorities of the tests' own."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from whodex.runtime.certificates import CertificateFiles


@dataclass
class Issuer:
    """Writes the files of a certificate, its key and its authority.

    Attributes:
        folder: where the files go.
        authority: signs them.
    """

    folder: Path
    authority: trustme.CA = field(default_factory=trustme.CA)

    def write(self, *names: str, trusting: trustme.CA | None = None, days: int = 1) -> CertificateFiles:
        """Replaces the files.

        Args:
            names: of the certificate; none: 127.0.0.1.
            trusting: whose certificates the holder trusts; None: those of the same authority.
            days: until it expires; negative: that long ago.
        """
        made = self.authority.issue_cert(
            *(names or ("127.0.0.1",)),
            not_before=datetime.now(UTC) - timedelta(days=30),
            not_after=datetime.now(UTC) + timedelta(days=days),
        )
        files = CertificateFiles(self.folder / "own.pem", self.folder / "own.key", self.folder / "ca.pem")
        made.private_key_pem.write_to_path(files.key)
        made.cert_chain_pems[0].write_to_path(files.certificate)
        (trusting or self.authority).cert_pem.write_to_path(self.folder / "ca.pem")
        return files


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path)
