"""Signing receipts: Ed25519 in a compact JSON Web Signature (RFC 7515, RFC 8037)."""

from __future__ import annotations

import base64
import binascii
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.protobuf.json_format import MessageToJson
from jwt import PyJWS

from whodex.receipts import ALGORITHM, key_id
from whodex.v1.erasure_pb2 import ErasureStatement

_SEED_BYTES = 32


class ReceiptSigner:
    """Signs with the deployment's key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        public = key.public_key()
        self.key_id = key_id(public)
        self.public_key_pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @classmethod
    def from_seed(cls, seed: str) -> Self:
        """Makes the signer of 32 random bytes in base64, of the usual or the URL-safe alphabet.

        Raises:
            ValueError: it is something else.
        """
        standard = seed.strip().rstrip("=").translate(str.maketrans("-_", "+/"))
        try:
            raw = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
        except binascii.Error as error:
            raise ValueError("is no base64") from error
        if len(raw) != _SEED_BYTES:
            raise ValueError(f"holds {len(raw)} bytes and not {_SEED_BYTES}: `openssl rand -base64 32` makes one")
        return cls(Ed25519PrivateKey.from_private_bytes(raw))

    def sign(self, statement: ErasureStatement) -> str:
        """Returns the receipt."""
        payload = MessageToJson(statement, indent=None, sort_keys=True, always_print_fields_with_no_presence=True)
        return PyJWS().encode(payload.encode(), self._key, algorithm=ALGORITHM, headers={"kid": self.key_id})
