from __future__ import annotations

import stat
from pathlib import Path

import pytest

from whodex.runtime.certificates import CertificateFiles, read_certificates
from whodex.stack.certificates import StackTls


@pytest.fixture
def tls(tmp_path: Path) -> StackTls:
    made = StackTls(tmp_path)
    made.issue(["api_server", "indexer"])
    return made


def _mesh(tls: StackTls, part: str) -> CertificateFiles:
    settings = tls.mesh_settings(part, ["api_server"])
    files = (settings[f"WHODEX_MESH_{name}"] for name in ("CERTIFICATE", "KEY", "CA"))
    return CertificateFiles(*map(Path, files))


def test_each_part_and_the_public_api_have_a_usable_certificate(tls: StackTls) -> None:
    public = tls.public_settings()
    files = CertificateFiles(Path(public["WHODEX_API_TLS_CERTIFICATE"]), Path(public["WHODEX_API_TLS_KEY"]))
    chains = {read_certificates(one).chain for one in (files, _mesh(tls, "api_server"), _mesh(tls, "indexer"))}
    assert len(chains) == 3


def test_the_next_start_keeps_the_authorities_and_replaces_the_certificates(tls: StackTls) -> None:
    authority, chain = tls.mesh_ca.read_bytes(), _mesh(tls, "indexer").certificate.read_bytes()
    tls.issue(["indexer"])
    assert tls.mesh_ca.read_bytes() == authority
    assert _mesh(tls, "indexer").certificate.read_bytes() != chain


def test_clients_and_parts_trust_different_authorities(tls: StackTls) -> None:
    assert tls.public_ca.read_bytes() != tls.mesh_ca.read_bytes()


def test_nobody_else_can_read_the_files(tls: StackTls) -> None:
    assert {stat.S_IMODE(path.stat().st_mode) for path in tls.folder.iterdir()} == {0o600}


def test_a_name_in_a_certificate_has_no_underscore(tls: StackTls) -> None:
    assert tls.mesh_settings("indexer", ["api_server"])["WHODEX_MESH_PEERS"] == "api-server"
