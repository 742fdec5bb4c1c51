from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from google.protobuf.json_format import Parse
from typer.testing import Result

from api_server.erasures.receipts import ReceiptSigner
from whodex.v1.erasure_pb2 import Erasure, ErasureStatement, ReceiptKey, RemovedCounts
from whodex.v1.erasure_service_pb2 import GetErasureResponse, ListErasuresResponse, ListReceiptKeysResponse
from whodex.v1.people_service_pb2 import DeletePersonResponse, GetPersonResponse

if TYPE_CHECKING:
    from tests.unit.whodex.conftest import ScriptedApi

Whodex = Callable[..., Result]

LIBRARY = f"libraries/{uuid4()}"
PERSON = f"{LIBRARY}/people/{uuid4()}"
REMOVED = RemovedCounts(people=1, photos=2)
RUNNING = Erasure(
    name=f"{LIBRARY}/erasures/{uuid4()}",
    target=PERSON,
    state=Erasure.STATE_RUNNING,
    removed=REMOVED,
    waits_for="the index does not answer",
)
STATEMENT = ErasureStatement(erasure=RUNNING.name, target=PERSON, removed=REMOVED)
SIGNER = ReceiptSigner.from_seed("A" * 43)


@pytest.fixture
def complete() -> Erasure:
    complete = Erasure()
    complete.CopyFrom(RUNNING)
    complete.state, complete.waits_for, complete.receipt = Erasure.STATE_COMPLETE, "", SIGNER.sign(STATEMENT)
    complete.complete_time.GetCurrentTime()
    return complete


@pytest.fixture
def deleting(api: ScriptedApi, complete: Erasure) -> None:
    """A person can be deleted, and the erasure is complete the second time that somebody asks."""
    erasures = iter([RUNNING, complete])
    api.answers["GetPerson"] = lambda _: GetPersonResponse(person={"name": PERSON, "display_name": "Ada"})
    api.answers["DeletePerson"] = lambda _: DeletePersonResponse(erasure=RUNNING.name)
    api.answers["GetErasure"] = lambda _: GetErasureResponse(erasure=next(erasures))
    api.answers["ListReceiptKeys"] = lambda _: ListReceiptKeysResponse(
        receipt_keys=[ReceiptKey(key_id=SIGNER.key_id, public_key_pem=SIGNER.public_key_pem)]
    )


@pytest.mark.usefixtures("deleting")
def test_a_deletion_names_its_erasure(whodex: Whodex) -> None:
    result = whodex("person", "delete", PERSON)

    assert f"`whodex erasure show {RUNNING.name.rpartition('/')[2]}`" in result.stdout


@pytest.mark.usefixtures("deleting")
def test_a_deletion_can_be_waited_for(whodex: Whodex) -> None:
    result = whodex("person", "delete", PERSON, "--wait")

    assert "Nothing is left of it: 1 people, 2 photos." in result.stdout


@pytest.mark.usefixtures("deleting")
def test_a_receipt_is_written_and_verified_with_and_without_a_server(
    api: ScriptedApi, whodex: Whodex, tmp_path: Path
) -> None:
    receipt, key = tmp_path / "receipt", tmp_path / "key.pem"
    whodex("person", "delete", PERSON, "--receipt", receipt)
    key.write_text(whodex("erasure", "key").stdout)

    online = whodex("erasure", "verify", receipt, "-o", "json")
    assert Parse(online.stdout, ErasureStatement()) == STATEMENT
    api.reset()
    offline = whodex("erasure", "verify", receipt, "--key", key)
    assert PERSON in offline.stdout
    assert "not declared" in offline.stdout
    assert api.calls == []


@pytest.mark.usefixtures("deleting")
def test_a_forged_receipt_is_refused(whodex: Whodex, tmp_path: Path) -> None:
    receipt = tmp_path / "receipt"
    receipt.write_text(ReceiptSigner.from_seed("B" * 43).sign(STATEMENT))

    result = whodex("erasure", "verify", receipt)

    assert result.exit_code == 1
    assert "proves nothing" in result.stderr
    assert "RECEIPT_INVALID" in result.stderr


def test_show_says_what_an_erasure_waits_for(api: ScriptedApi, whodex: Whodex) -> None:
    api.answers["GetErasure"] = lambda _: GetErasureResponse(erasure=RUNNING)

    result = whodex("--library", LIBRARY, "erasure", "show", RUNNING.name.rpartition("/")[2])

    assert api.requests("GetErasure")[0].name == RUNNING.name
    assert "RUNNING" in result.stdout
    assert "It waits: the index does not answer." in result.stdout


def test_list_prints_every_erasure(api: ScriptedApi, whodex: Whodex, complete: Erasure) -> None:
    api.answers["ListErasures"] = lambda _: ListErasuresResponse(erasures=[RUNNING, complete])

    result = whodex("erasure", "list")

    assert "RUNNING" in result.stdout
    assert "COMPLETE" in result.stdout
    listed = Parse(whodex("erasure", "list", "-o", "json").stdout, ListErasuresResponse())
    assert list(listed.erasures) == [RUNNING, complete]
