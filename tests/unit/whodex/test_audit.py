"""The chain of the audit log, and each way in which somebody may tamper with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from whodex import audit
from whodex.v1.audit_pb2 import (
    AUDIT_ACTION_DELETE,
    AUDIT_ACTION_IDENTIFY,
    AUDIT_ACTION_PRUNE_LOG,
    AuditEntry,
    AuditHead,
)

Entries = list[AuditEntry]


def _chain(length: int, actor: str = "admin") -> Entries:
    entries: Entries = []
    for sequence in range(1, length + 1):
        entry = AuditEntry(
            sequence=sequence,
            actor=actor,
            action=AUDIT_ACTION_IDENTIFY,
            resource=f"libraries/l/people/{sequence}",
            outcome="OK",
            result_count=sequence,
            request_digest=bytes([sequence]),
            correlation_id="call",
            previous_hash=entries[-1].hash if entries else audit.GENESIS,
        )
        entry.time.FromMicroseconds(1_800_000_000_000_000 + sequence)
        entry.hash = audit.entry_hash(entry)
        entries.append(entry)
    return entries


def _head(entries: Entries) -> AuditHead:
    return AuditHead(sequence=entries[-1].sequence, hash=entries[-1].hash)


@pytest.fixture
def entries() -> Entries:
    return _chain(6)


def test_what_was_written_is_verified(entries: Entries) -> None:
    anchors = [AuditHead(), _head(entries[:3]), _head(entries)]

    assert audit.verify(entries, anchors) == 6
    assert audit.verify([], [AuditHead()]) == 0


def test_the_hash_is_that_of_the_documented_text() -> None:
    (entry,) = _chain(1)
    text = b'[1800000000000001,"admin","IDENTIFY","libraries/l/people/1","OK",1,"01","call"]'

    assert audit.entry_content(entry) == text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("actor", "apiKeys/somebody-else"),
        ("action", AUDIT_ACTION_DELETE),
        ("resource", "libraries/l"),
        ("outcome", "RESOURCE_NOT_FOUND"),
        ("result_count", 0),
        ("request_digest", b"other"),
        ("correlation_id", "other"),
        ("hash", bytes(32)),
    ],
)
def test_a_changed_field_is_found(entries: Entries, field: str, value: object) -> None:
    setattr(entries[2], field, value)

    with pytest.raises(audit.AuditBrokenError, match="entry 3 was changed"):
        audit.verify(entries, [])


def test_a_changed_time_is_found(entries: Entries) -> None:
    entries[2].time.nanos += 1000

    with pytest.raises(audit.AuditBrokenError, match="entry 3 was changed"):
        audit.verify(entries, [])


def _delete(entries: Entries) -> None:
    del entries[2]


def _swap(entries: Entries) -> None:
    entries[2], entries[3] = entries[3], entries[2]


def _insert_a_copy(entries: Entries) -> None:
    entries.insert(3, entries[2])


def _renumber(entries: Entries) -> None:
    """Deleted, and the numbers and hashes of the rest made to fit, but not what they were chained to."""
    del entries[2]
    for sequence, entry in enumerate(entries, start=1):
        entry.sequence = sequence
        entry.hash = audit.entry_hash(entry)


def _replace_the_first(entries: Entries) -> None:
    entries[0].previous_hash = bytes(31) + b"x"
    entries[0].hash = audit.entry_hash(entries[0])


@pytest.mark.parametrize("tamper", [_delete, _swap, _insert_a_copy, _renumber, _replace_the_first])
def test_a_chain_that_does_not_hang_together_is_found(entries: Entries, tamper: Callable[[Entries], None]) -> None:
    tamper(entries)

    with pytest.raises(audit.AuditBrokenError):
        audit.verify(entries, [])


def test_a_start_that_was_cut_off_is_found_unless_the_retention_did_it(entries: Entries) -> None:
    entries[5].action, entries[5].resource = AUDIT_ACTION_PRUNE_LOG, "libraries/l/auditEntries/2"
    entries[5].hash = audit.entry_hash(entries[5])

    assert audit.verify(entries[2:], []) == 4
    for cut in (entries[1:], entries[3:]):
        with pytest.raises(audit.AuditBrokenError, match="the retention removed those up to 2"):
            audit.verify(cut, [])
    with pytest.raises(audit.AuditBrokenError, match="the retention removed those up to 0"):
        audit.verify(entries[2:5], [])


def test_an_end_that_was_cut_off_is_found_by_an_anchor(entries: Entries) -> None:
    assert audit.verify(entries[:4], []) == 4
    with pytest.raises(audit.AuditBrokenError, match="ends with entry 4, but there were 6"):
        audit.verify(entries[:4], [_head(entries)])


def test_a_log_that_was_written_anew_is_found_by_an_anchor(entries: Entries) -> None:
    forged = _chain(8, actor="nobody")

    assert audit.verify(forged, [_head(forged)]) == 8
    with pytest.raises(audit.AuditBrokenError, match="entry 6 is not the one that was anchored"):
        audit.verify(forged, [_head(entries)])
