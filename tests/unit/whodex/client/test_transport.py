from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from whodex.client import ConfigurationError
from whodex.client.transport import ClientTls


@pytest.fixture
def files(tmp_path: Path) -> ClientTls:
    authority = trustme.CA()
    made = authority.issue_cert("client")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    made.private_key_pem.write_to_path(tmp_path / "key.pem")
    made.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    return ClientTls(tmp_path / "ca.pem", tmp_path / "certificate.pem", tmp_path / "key.pem")


def test_files_that_fit_are_taken(files: ClientTls) -> None:
    assert files.credentials()
    assert ClientTls(ca=files.ca).credentials()


def test_a_file_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"\(/nowhere\.pem\): .*No such file"):
        ClientTls(ca=Path("/nowhere.pem")).credentials()


def test_a_key_of_another_certificate_is_refused(files: ClientTls) -> None:
    assert files.key is not None
    trustme.CA().issue_cert("client").private_key_pem.write_to_path(files.key)
    with pytest.raises(ConfigurationError, match=r"(?i)key.values.mismatch"):
        files.credentials()


def test_a_certificate_without_its_key_is_refused(files: ClientTls) -> None:
    with pytest.raises(ConfigurationError, match="WHODEX_TLS_CERTIFICATE and WHODEX_TLS_KEY"):
        ClientTls(certificate=files.certificate).credentials()
