from __future__ import annotations

from api_server.access.keys import PREFIX, SHOWN_LENGTH, new_secret, secret_digest


def test_secrets_are_prefixed_and_never_repeat() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(secret.startswith(PREFIX) for secret in secrets)
    # 256 bits in base64.
    assert {len(secret) for secret in secrets} == {len(PREFIX) + 43}


def test_what_is_shown_and_stored_does_not_give_the_secret_away() -> None:
    secret = new_secret()
    assert len(secret) - SHOWN_LENGTH > 30
    assert len(secret_digest(secret)) == 32
    assert secret_digest(secret) != secret_digest(new_secret())
