"""Certificates made by authorities of the tests' own, and object stores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import boto3
import pytest
import trustme
from moto.server import ThreadedMotoServer

from whodex.runtime.certificates import CertificateFiles
from whodex.runtime.store import ObjectStore
from whodex.runtime.store_settings import StoreSettings


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


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """An S3 server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_store(s3_endpoint: str) -> ObjectStore:
    """A store in a bucket of its own."""
    bucket = f"whodex-{uuid4()}"
    account = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    boto3.client("s3", endpoint_url=s3_endpoint, **account).create_bucket(Bucket=bucket)
    settings = StoreSettings.model_validate(
        {
            "store_url": f"s3://{bucket}/media",
            "store_endpoint": s3_endpoint,
            "store_access_key": "test",
            "store_secret_key": "test",
        }
    )
    return settings.open_store()


@pytest.fixture
def local_store(tmp_path: Path) -> ObjectStore:
    """A store in the file system."""
    return ObjectStore.from_url((tmp_path / "objects").as_uri())


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    """Each kind of store in turn: a test with it holds the two against each other."""
    found: ObjectStore = request.getfixturevalue(f"{request.param}_store")
    return found
