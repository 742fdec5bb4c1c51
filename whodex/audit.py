"""The chain of an audit log: how an entry is hashed, and what breaks a chain. Needs no server."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from whodex.v1.audit_pb2 import AuditAction, AuditEntry, AuditHead

# The hash before the first entry.
GENESIS = bytes(32)


class AuditBrokenError(Exception):
    """The log is not what was written; the message says where it breaks."""


def entry_content(entry: AuditEntry) -> bytes:
    """What an entry's hash is made of, after the previous hash and the sequence; see `AuditEntry.hash`."""
    fields = [
        entry.time.ToMicroseconds(),
        entry.actor,
        AuditAction.Name(entry.action).removeprefix("AUDIT_ACTION_"),
        entry.resource,
        entry.outcome,
        entry.result_count,
        entry.request_digest.hex(),
        entry.correlation_id,
    ]
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()


def entry_hash(entry: AuditEntry) -> bytes:
    """The hash that an entry must have after the one before it."""
    return hashlib.sha256(entry.previous_hash + entry.sequence.to_bytes(8, "big") + entry_content(entry)).digest()


def verify(entries: Iterable[AuditEntry], anchors: Iterable[AuditHead]) -> int:
    """Verifies that entries are a chain, all of it, in order and unchanged, that ends no earlier than the anchors.

    Args:
        entries: oldest first and without a filter. Those that the retention has removed may be missing at the start.
        anchors: ends of the same log that were kept elsewhere: of the server now, of receipts.

    Returns:
        How many entries there are.

    Raises:
        AuditBrokenError: one was changed, inserted, removed or moved, or the end is cut off.
    """
    hashes: dict[int, bytes] = {}
    before: AuditEntry | None = None
    start, pruned_up_to = 1, 0
    for entry in entries:
        _check_place(before, entry)
        start = start if before else entry.sequence
        if entry.action == AuditAction.AUDIT_ACTION_PRUNE_LOG:
            pruned_up_to = int(entry.resource.rpartition("/")[2])
        if entry.hash != entry_hash(entry):
            raise AuditBrokenError(f"entry {entry.sequence} was changed: its hash does not fit")
        hashes[entry.sequence] = entry.hash
        before = entry
    if start > 1 and pruned_up_to != start - 1:
        raise AuditBrokenError(f"it begins with entry {start}, but the retention removed those up to {pruned_up_to}")
    newest = 0 if before is None else before.sequence
    for anchor in anchors:
        if anchor.sequence > newest:
            raise AuditBrokenError(f"it ends with entry {newest}, but there were {anchor.sequence}: the end is cut off")
        # An anchor that is older than the log's start says nothing about what is left.
        if anchor.sequence and hashes.get(anchor.sequence, anchor.hash) != anchor.hash:
            raise AuditBrokenError(
                f"entry {anchor.sequence} is not the one that was anchored: the log was written anew"
            )
    return len(hashes)


def _check_place(before: AuditEntry | None, entry: AuditEntry) -> None:
    if before is None:
        if entry.sequence == 1 and entry.previous_hash != GENESIS:
            raise AuditBrokenError("entry 1 does not begin the chain")
        return
    if entry.sequence != before.sequence + 1:
        raise AuditBrokenError(f"entry {entry.sequence} follows entry {before.sequence}: some are missing or moved")
    if entry.previous_hash != before.hash:
        raise AuditBrokenError(
            f"entry {entry.sequence} was not written after the entry {before.sequence} that is there"
        )
