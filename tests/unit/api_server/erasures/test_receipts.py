"""Receipts: what the server signs, anybody with the public key verifies, and nobody can change."""

from __future__ import annotations

import base64
import json

import pytest

from api_server.erasures.receipts import ReceiptSigner
from whodex import receipts
from whodex.v1.erasure_pb2 import ErasureStatement, RemovedCounts

SEED = base64.urlsafe_b64encode(bytes(range(32))).decode()
STATEMENT = ErasureStatement(
    erasure="libraries/l/erasures/e",
    target="libraries/l/people/p",
    removed=RemovedCounts(people=1, photos=3),
    content_digest="00" * 32,
)


@pytest.fixture(scope="module")
def signer() -> ReceiptSigner:
    return ReceiptSigner.from_seed(SEED)


def test_a_receipt_states_what_was_signed(signer: ReceiptSigner) -> None:
    other = ReceiptSigner.from_seed("A" * 43)
    trusted = [other.public_key_pem, signer.public_key_pem]

    assert receipts.verify(signer.sign(STATEMENT) + "\n", trusted) == STATEMENT


def test_the_same_statement_has_the_same_receipt(signer: ReceiptSigner) -> None:
    assert signer.sign(STATEMENT) == ReceiptSigner.from_seed(SEED).sign(STATEMENT)


def test_a_receipt_that_was_changed_proves_nothing(signer: ReceiptSigner) -> None:
    header, payload, signature = signer.sign(STATEMENT).split(".")
    statement = json.loads(base64.urlsafe_b64decode(payload + "=="))
    statement["removed"]["photos"] = "4"
    forged = base64.urlsafe_b64encode(json.dumps(statement).encode()).decode().rstrip("=")

    with pytest.raises(receipts.ReceiptInvalidError, match="changed after it was signed"):
        receipts.verify(f"{header}.{forged}.{signature}", [signer.public_key_pem])


def test_a_receipt_of_another_key_proves_nothing(signer: ReceiptSigner) -> None:
    other = ReceiptSigner.from_seed("A" * 43)

    with pytest.raises(receipts.ReceiptInvalidError, match="not among those that are trusted"):
        receipts.verify(signer.sign(STATEMENT), [other.public_key_pem])


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_a_receipt_cannot_choose_how_it_is_verified(signer: ReceiptSigner, algorithm: str) -> None:
    header = json.dumps({"alg": algorithm, "kid": signer.key_id}).encode()
    _, payload, signature = signer.sign(STATEMENT).split(".")
    forged = base64.urlsafe_b64encode(header).decode().rstrip("=")

    with pytest.raises(receipts.ReceiptInvalidError):
        receipts.verify(f"{forged}.{payload}.{signature}", [signer.public_key_pem])


@pytest.mark.parametrize("text", ["", "receipt", "a.b.c", "ümlaut.b.c"])
def test_what_is_no_receipt_is_named_so(signer: ReceiptSigner, text: str) -> None:
    with pytest.raises(receipts.ReceiptInvalidError, match="cannot be read"):
        receipts.verify(text, [signer.public_key_pem])


def test_what_is_no_key_is_named_so(signer: ReceiptSigner) -> None:
    with pytest.raises(receipts.ReceiptInvalidError, match="the public key cannot be read"):
        receipts.verify(signer.sign(STATEMENT), ["no PEM"])


def test_the_key_may_be_in_either_alphabet_of_base64(signer: ReceiptSigner) -> None:
    raw = bytes([255] * 32)
    standard, url_safe = base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode().rstrip("=")
    assert standard != url_safe

    assert ReceiptSigner.from_seed(standard).key_id == ReceiptSigner.from_seed(url_safe).key_id != signer.key_id


@pytest.mark.parametrize(("seed", "problem"), [("AAAA", "holds 3 bytes"), ("?" * 43, "no base64")])
def test_another_key_is_refused(seed: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        ReceiptSigner.from_seed(seed)
