"""Receipts of erasures, verified without a server: all it takes is the public key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.protobuf.json_format import Parse, ParseError
from jwt.algorithms import OKPAlgorithm

from whodex.v1.erasure_pb2 import ErasureStatement

# Of RFC 8037; with our keys it is Ed25519.
ALGORITHM = "EdDSA"


class ReceiptInvalidError(Exception):
    """A receipt that proves nothing; the message says why."""


def verify(receipt: str, public_keys_pem: Iterable[str]) -> ErasureStatement:
    """Returns what a receipt states.

    Args:
        receipt: as `Erasure.receipt` holds it.
        public_keys_pem: those that are trusted, such as `ErasureService.ListReceiptKeys` lists.

    Raises:
        ReceiptInvalidError: it is damaged, was changed, or is signed by another key.
    """
    receipt = receipt.strip()
    keys = {key_id(key): key for key in map(_read_key, public_keys_pem)}
    try:
        signer = jwt.get_unverified_header(receipt).get("kid")
        if signer not in keys:
            raise ReceiptInvalidError(f"it is signed by the key {signer}, which is not among those that are trusted")
        payload = jwt.PyJWS().decode(receipt, keys[signer], algorithms=[ALGORITHM])
        return Parse(payload, ErasureStatement(), ignore_unknown_fields=True)
    except jwt.InvalidSignatureError as error:
        raise ReceiptInvalidError("its signature does not fit: it was changed after it was signed") from error
    except (jwt.InvalidTokenError, ParseError) as error:
        raise ReceiptInvalidError(f"it cannot be read: {error}") from error


def key_id(key: Ed25519PublicKey) -> str:
    """The JWK thumbprint of a key (RFC 7638, of the members that RFC 8037 names)."""
    members = json.loads(OKPAlgorithm.to_jwk(key))
    canonical = json.dumps({name: members[name] for name in ("crv", "kty", "x")}, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).digest()
    return jwt.utils.base64url_encode(digest).decode()


def _read_key(pem: str) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(pem.encode())
    except ValueError as error:
        raise ReceiptInvalidError(f"the public key cannot be read: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ReceiptInvalidError(f"the public key is not of Ed25519 but a {type(key).__name__}")
    return key
