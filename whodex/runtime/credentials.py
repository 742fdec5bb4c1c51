"""The credential that a call carries in its metadata, and the one that our services share."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from pydantic import SecretStr

from whodex.errors import UnauthenticatedError
from whodex.runtime.interceptors import Authenticate
from whodex.runtime.settings import live_secrets
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
    """The one answer to every wrong, unknown, expired or revoked credential: it must not say which."""
    return UnauthenticatedError(
        "The key is not valid: it is unknown, has expired or was revoked.",
        reason=error_reason_pb2.ERROR_REASON_CREDENTIALS_INVALID,
    )


def is_live_secret(offered: str, setting: SecretStr) -> bool:
    """Whether it is one of the secrets of a `RotatingSecret`; each is compared in constant time."""
    return any(hmac.compare_digest(offered.encode(), secret.encode()) for secret in live_secrets(setting))


def internal_credential(token: SecretStr) -> Authenticate:
    """Lets in who knows the token of the internal services, a `RotatingSecret`."""

    async def authenticate(method: str, metadata: Mapping[str, str | bytes]) -> None:  # noqa: ARG001
        if not is_live_secret(bearer_token(metadata), token):
            raise invalid_credentials()

    return authenticate
