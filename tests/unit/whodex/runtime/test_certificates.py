from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from whodex.runtime.certificates import CertificateError, CertificateFiles, Certificates, read_certificates

if TYPE_CHECKING:
    from tests.unit.whodex.runtime.conftest import Issuer


def test_the_content_is_the_same_object_until_a_file_changes(issuer: Issuer) -> None:
    certificates = Certificates(issuer.write())
    first = certificates.current()

    assert certificates.current() is first
    issuer.write()
    assert certificates.current().chain != first.chain


def test_a_link_that_points_elsewhere_is_a_change(issuer: Issuer) -> None:
    # As Kubernetes replaces a mounted secret: one link for all files.
    files = issuer.write()
    (issuer.folder / "first").mkdir()
    (issuer.folder / "second").mkdir()
    for path in (files.certificate, files.key):
        path.rename(issuer.folder / "first" / path.name)
    issuer.write()
    for path in (files.certificate, files.key):
        path.rename(issuer.folder / "second" / path.name)
    link = issuer.folder / "data"
    link.symlink_to("first")
    certificates = Certificates(CertificateFiles(link / files.certificate.name, link / files.key.name))
    first = certificates.current()

    link.unlink()
    link.symlink_to("second")

    assert certificates.current().chain != first.chain


def test_a_broken_replacement_leaves_the_old_one_in_use_until_a_good_one_comes(issuer: Issuer) -> None:
    files = issuer.write()
    certificates = Certificates(files)
    first = certificates.current()

    files.certificate.write_text("half a file")
    assert certificates.current() is first
    assert certificates.problem() == f"{files.certificate} holds no PEM certificate"

    issuer.write()
    assert certificates.current() is not first
    assert certificates.problem() is None


def test_a_certificate_without_its_key_yet_is_taken_once_the_key_is_there(issuer: Issuer) -> None:
    files = issuer.write()
    certificates, old_key = Certificates(files), files.key.read_bytes()
    issuer.write()
    new_key = files.key.read_bytes()
    files.key.write_bytes(old_key)
    assert certificates.problem() == f"{files.key} is not the key of {files.certificate}"

    files.key.write_bytes(new_key)

    assert certificates.problem() is None
    assert certificates.current().key == new_key


def test_what_is_missing_is_named(issuer: Issuer) -> None:
    files = issuer.write()
    files.key.unlink()

    with pytest.raises(CertificateError, match=rf"^{files.key} cannot be read: No such file or directory$"):
        Certificates(files)


def test_what_is_no_pem_is_named(issuer: Issuer) -> None:
    files = issuer.write()
    assert files.authorities is not None
    files.authorities.write_text("-----BEGIN NONSENSE-----")

    with pytest.raises(CertificateError, match=rf"^{files.authorities} holds no PEM certificate$"):
        read_certificates(files)


def test_an_expired_certificate_is_refused(issuer: Issuer) -> None:
    files = issuer.write(days=-1)

    with pytest.raises(CertificateError, match=rf"^{files.certificate} expired at .*: put a renewed certificate"):
        read_certificates(files)


def test_a_key_of_another_certificate_is_refused(issuer: Issuer) -> None:
    files = issuer.write()
    trustme.CA().issue_cert("127.0.0.1").private_key_pem.write_to_path(files.key)

    with pytest.raises(CertificateError, match="is not the key of"):
        read_certificates(files)


def test_an_encrypted_key_is_refused(issuer: Issuer) -> None:
    files = issuer.write()
    key = load_pem_private_key(files.key.read_bytes(), password=None)
    files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))

    with pytest.raises(CertificateError, match="store the key without a passphrase"):
        read_certificates(files)
