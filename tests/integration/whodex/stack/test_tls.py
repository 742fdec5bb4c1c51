"""A whole stack that speaks TLS to clients and mutual TLS among its parts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from tests.integration.conftest import Stack, run_whodex, started_stack
from whodex.client import Client
from whodex.errors import PermissionDeniedError, UnavailableError, from_rpc_error
from whodex.runtime.certificates import CertificateFiles, Certificates
from whodex.runtime.channel import internal_channel_sync
from whodex.runtime.tls import Tls
from whodex.stack.certificates import StackTls
from whodex.stack.parts import MESH_PARTS
from whodex.v1.index_service_pb2 import GetStatusRequest, GetStatusResponse
from whodex.v1.index_service_pb2_grpc import IndexServiceStub

PAGE = Path(__file__).resolve().parents[4] / "docs" / "security.md"

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with started_stack(tmp_path_factory.mktemp("tls"), "--tls") as stack:
        yield stack


@pytest.fixture
def tls(encrypted: Stack) -> StackTls:
    return StackTls.of(encrypted.state)


def _status_of_index(encrypted: Stack, tls: StackTls, part: str) -> GetStatusResponse:
    own = CertificateFiles(tls.folder / f"{part}.pem", tls.folder / f"{part}.key", tls.mesh_ca)
    address, token = encrypted.part_address("indexer"), encrypted.secrets.internal_token
    with internal_channel_sync(address, token, Tls(Certificates(own))) as channel:
        return IndexServiceStub(channel).GetStatus(GetStatusRequest())


def test_every_task_runs(encrypted: Stack) -> None:
    smoke = encrypted.whodex("smoke")
    assert smoke.returncode == 0, smoke.stdout + smoke.stderr


def test_every_part_answers_its_probe(encrypted: Stack) -> None:
    status = encrypted.whodex("status", "--output", "json")
    assert json.loads(status.stdout)["ready"] is True, status.stdout


def test_plaintext_is_not_answered(encrypted: Stack) -> None:
    arguments = {"library": encrypted.connection.library, "api_key": encrypted.connection.api_key}
    with Client(f"http://{encrypted.address}", **arguments) as client, pytest.raises(UnavailableError) as caught:
        client.people.create("Ada")
    assert caught.value.reason_name == "TLS_HANDSHAKE_FAILED"


def test_a_part_that_has_no_business_with_the_index_is_not_admitted(encrypted: Stack, tls: StackTls) -> None:
    assert _status_of_index(encrypted, tls, "api_server")
    with pytest.raises(grpc.RpcError) as caught:
        _status_of_index(encrypted, tls, "video_worker")
    error = from_rpc_error(caught.value)
    assert isinstance(error, PermissionDeniedError)
    assert error.reason_name == "PEER_NOT_ALLOWED"


def test_the_grpcurl_calls_of_the_page_work(encrypted: Stack, tls: StackTls) -> None:
    block = re.search(r"```sh [^\n]*\n(grpcurl.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block
    environment = {
        "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}",
        "WHODEX_ADDRESS": encrypted.address,
        "WHODEX_API_KEY": encrypted.connection.api_key,
        "WHODEX_LIBRARY": encrypted.connection.library,
        "WHODEX_TLS_CA": str(tls.public_ca),
    }
    for call in block.group(1).strip().split("\n\n"):
        done = subprocess.run(["/bin/bash", "-c", call], env=environment, capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr


def test_everything_works_on_after_all_authorities_and_certificates_were_replaced(
    encrypted: Stack, tls: StackTls
) -> None:
    with Client(state_dir=encrypted.state.root) as before:
        person = before.people.create("Ada")
        states = before.people.watch(person.name)
        next(states)
        for authority in (tls.public_ca, tls.mesh_ca):
            authority.unlink()
        tls.issue(MESH_PARTS)

        # The old connection, with its stream.
        person.display_name = "Ada Lovelace"
        before.people.update(person, ["display_name"])
        assert next(states).person.display_name == "Ada Lovelace"
        states.close()

    # New connections, of the command line and between the parts.
    smoke = run_whodex("smoke", state_dir=encrypted.state.root)
    assert smoke.returncode == 0, smoke.stdout + smoke.stderr
    assert encrypted.whodex("status").returncode == 0
