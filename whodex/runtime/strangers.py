"""Those who try keys: after a few wrong ones from an address, more of them are refused without being looked up."""

from __future__ import annotations

import hashlib
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from whodex.errors import QuotaViolation, ResourceExhaustedError
from whodex.runtime.token_bucket import TokenBucket
from whodex.v1 import error_reason_pb2

# A person who mistypes does not notice; who tries keys does. Against guessing a key its 256 bits suffice: this is about
# the lookups and the log.
WRONG_PER_SECOND = 1.0
WRONG_BURST = 20
# Each is some 300 bytes.
REMEMBERED = 10_000
# So soon a change of a library's limits holds for somebody who floods.
FRESH_SECONDS = 1.0
# Whoever has one IPv6 address has 2^64 of them: https://www.rfc-editor.org/rfc/rfc6177.
_IPV6_NETWORK_BITS = 64


class Strangers:
    """Counts wrong credentials by address.

    A credential that was right lately is looked up in any case, so that those who share an address (behind a proxy,
    say) with somebody who tries keys do not notice.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()
        self._right: OrderedDict[bytes, tuple[float, Any]] = OrderedDict()

    def check(self, peer: str, credential: str) -> None:
        """Raises ResourceExhaustedError, AUTHENTICATION_THROTTLED, when the address has tried too many wrong ones.

        Args:
            peer: as gRPC names it: `ipv4:192.0.2.1:1234`.
            credential: what came with the call; empty: nothing.
        """
        bucket = self._buckets.get(_address(peer))
        if bucket is None or _digest(credential) in self._right:
            return
        wait_seconds = bucket.wait_seconds(self._clock())
        if wait_seconds > 0:
            raise ResourceExhaustedError(
                f"Too many calls with wrong keys came from this address. Wait {wait_seconds:.1f} s, and check the key.",
                reason=error_reason_pb2.ERROR_REASON_AUTHENTICATION_THROTTLED,
                retry_after_seconds=wait_seconds,
                quota=QuotaViolation(_address(peer), "wrong keys per second", WRONG_PER_SECOND),
            )

    def last(self, credential: str) -> Any:
        """Whose the credential was within the last second; None: it was not looked up. It may be revoked by now."""
        found_at, who = self._right.get(_digest(credential), (-math.inf, None))
        return who if self._clock() - found_at < FRESH_SECONDS else None

    def wrong(self, peer: str, credential: str) -> None:
        """A credential was refused."""
        self._right.pop(_digest(credential), None)
        now = self._clock()
        bucket = self._buckets.setdefault(_address(peer), TokenBucket(WRONG_PER_SECOND, WRONG_BURST, now))
        bucket.take(now)
        self._buckets.move_to_end(_address(peer))
        _forget_oldest(self._buckets)

    def right(self, credential: str, who: Any) -> None:
        """A credential was accepted, as that of `who`."""
        digest = _digest(credential)
        self._right[digest] = self._clock(), who
        self._right.move_to_end(digest)
        _forget_oldest(self._right)


def _forget_oldest(remembered: OrderedDict[str, TokenBucket] | OrderedDict[bytes, tuple[float, Any]]) -> None:
    if len(remembered) > REMEMBERED:
        remembered.popitem(last=False)


def _digest(credential: str) -> bytes:
    return hashlib.sha256(credential.encode()).digest()


def _address(peer: str) -> str:
    kind, _, rest = peer.partition(":")
    host = rest.rpartition(":")[0]
    if kind != "ipv6":
        return host
    # gRPC writes an IPv6 address with its brackets escaped.
    bare = host.replace("%5B", "").replace("%5D", "").strip("[]").partition("%")[0]
    return str(ipaddress.ip_network((bare, _IPV6_NETWORK_BITS), strict=False))
