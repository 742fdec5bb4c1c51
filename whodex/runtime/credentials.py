"""The credential that a call carries in its metadata, and the one that our services share."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from pydantic import SecretStr

from whodex.errors import UnauthenticatedError
from whodex.runtime.interceptors import Authenticate
from whodex.v1 import error_reason_pb2


def bearer_token(metadata: Mapping[str, str | bytes]) -> str:
    """Returns the token of `authorization: Bearer TOKEN`.

    Raises:
        UnauthenticatedError: CREDENTIALS_MISSING without one.
    """
    scheme, _, token = str(metadata.get("authorization", "")).partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise UnauthenticatedError(
            "The call carries no key. Send it as metadata: `authorization: Bearer KEY`.",
            reason=error_reason_pb2.ERROR_REASON_CREDENTIALS_MISSING,
        )
    return token.strip()


def invalid_credentials() -> UnauthenticatedError:
    """The one answer to every wrong, unknown or revoked credential: it must not say which."""
    return UnauthenticatedError(
        "The key is not valid: it is unknown or was revoked.",
        reason=error_reason_pb2.ERROR_REASON_CREDENTIALS_INVALID,
    )


def equal_secrets(offered: str, expected: SecretStr) -> bool:
    """Compares in constant time."""
    return hmac.compare_digest(offered.encode(), expected.get_secret_value().encode())


def internal_credential(token: SecretStr) -> Authenticate:
    """Lets in who knows the token of the internal services."""

    async def authenticate(method: str, metadata: Mapping[str, str | bytes]) -> None:  # noqa: ARG001
        if not equal_secrets(bearer_token(metadata), token):
            raise invalid_credentials()

    return authenticate
