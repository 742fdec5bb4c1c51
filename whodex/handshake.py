"""Why a connection could not be made by TLS, in words of what to change instead of OpenSSL's."""

from __future__ import annotations

import re
from collections.abc import Mapping

# Seen with gRPC 1.85; what is looked for stands in the details of an UNAVAILABLE status.
_CAUSES: Mapping[str, str] = {
    "WRONG_VERSION_NUMBER": (
        "it does not speak TLS there. Call it as http://host:port if that is meant, or give the server a certificate"
    ),
    "certificate has expired": "its certificate has expired. Renew it on the server, which takes it without a restart",
    "CERTIFICATE_VERIFY_FAILED": (
        "its certificate is signed by nobody that is trusted here. Name the PEM file of its authority in WHODEX_TLS_CA "
        "(between services: WHODEX_MESH_CA)"
    ),
    "Hostname Verification Check failed": (
        "its certificate is for another name than the one in the address. Call it by a name in its certificate, or "
        "have one made that carries this one"
    ),
    # A server that refuses a client's certificate, or gets plaintext where it expects TLS, does not say so.
    "Socket closed|Connection reset|Broken pipe": (
        "it hung up before the first answer. It may expect TLS (call it as https://host:port), or a client certificate "
        "(WHODEX_TLS_CERTIFICATE and WHODEX_TLS_KEY; between services WHODEX_MESH_CERTIFICATE) that it trusts"
    ),
}
_TARGET = re.compile(r"failed to connect to all addresses; last error: \w+: (?:ipv[46]:)?(?P<address>\S+?): ")


def explain_handshake(details: str) -> str | None:
    """Returns a sentence when the details of a status speak of a connection that TLS kept from being made."""
    target = _TARGET.search(details)
    if target is None:
        return None
    for pattern, cause in _CAUSES.items():
        if re.search(pattern, details):
            return f"The server at {target['address']} was reached, but {cause}."
    return None
