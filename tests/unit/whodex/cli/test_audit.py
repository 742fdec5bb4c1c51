from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from google.protobuf.json_format import Parse
from typer.testing import Result

from whodex import audit
from whodex.v1.audit_pb2 import AUDIT_ACTION_DELETE, AUDIT_ACTION_IDENTIFY, AuditEntry, AuditHead
from whodex.v1.audit_service_pb2 import GetAuditHeadResponse, ListAuditEntriesResponse

if TYPE_CHECKING:
    from tests.unit.whodex.conftest import ScriptedApi

Whodex = Callable[..., Result]


@pytest.fixture
def entries(api: ScriptedApi) -> list[AuditEntry]:
    """Two entries, which the API lists."""
    entries: list[AuditEntry] = []
    for sequence, action in enumerate((AUDIT_ACTION_IDENTIFY, AUDIT_ACTION_DELETE), start=1):
        entry = AuditEntry(sequence=sequence, actor="admin", action=action, resource="libraries/l", outcome="OK")
        entry.previous_hash = entries[-1].hash if entries else audit.GENESIS
        entry.hash = audit.entry_hash(entry)
        entries.append(entry)
    api.answers["ListAuditEntries"] = lambda _: ListAuditEntriesResponse(audit_entries=entries)
    api.answers["GetAuditHead"] = lambda _: GetAuditHeadResponse(audit_head=_head(entries))
    return entries


def _head(entries: list[AuditEntry]) -> AuditHead:
    return AuditHead(sequence=entries[-1].sequence, hash=entries[-1].hash)


def test_list_prints_every_entry(whodex: Whodex, entries: list[AuditEntry]) -> None:
    table = whodex("audit", "list").stdout

    assert "IDENTIFY" in table
    assert "DELETE" in table
    listed = Parse(whodex("audit", "list", "-o", "json").stdout, ListAuditEntriesResponse())
    assert list(listed.audit_entries) == entries


@pytest.mark.usefixtures("entries")
def test_list_asks_for_what_it_is_told_to(api: ScriptedApi, whodex: Whodex) -> None:
    whodex("audit", "list", "--action", "identify", "--resource", "libraries/l/people/p", "--since", "2026-01-02")

    (request,) = api.requests("ListAuditEntries")
    assert (request.action, request.resource) == (AUDIT_ACTION_IDENTIFY, "libraries/l/people/p")
    assert request.HasField("start_time")
    assert not request.HasField("end_time")


@pytest.mark.usefixtures("entries")
def test_verify_prints_the_end_which_is_an_anchor_for_the_next_time(whodex: Whodex, tmp_path: Path) -> None:
    anchor = tmp_path / "anchor.json"
    anchor.write_text(whodex("audit", "verify", "-o", "json").stdout)

    result = whodex("audit", "verify", "--anchor", anchor)

    assert result.exit_code == 0
    assert "2 entries are as they were written" in result.stdout


def test_an_end_that_was_cut_off_shows_by_the_anchor(whodex: Whodex, entries: list[AuditEntry], tmp_path: Path) -> None:
    anchor = tmp_path / "anchor.json"
    anchor.write_text(whodex("audit", "verify", "-o", "json").stdout)
    entries.pop()
    assert whodex("audit", "verify").exit_code == 0

    result = whodex("audit", "verify", "--anchor", anchor)

    assert result.exit_code == 1
    assert "the end is cut off" in result.stderr
    assert "AUDIT_BROKEN" in result.stderr


def test_a_changed_entry_is_named(whodex: Whodex, entries: list[AuditEntry]) -> None:
    entries[0].actor = "nobody"

    result = whodex("audit", "verify")

    assert result.exit_code == 1
    assert "entry 1 was changed" in result.stderr
