"""Servers and channels with TLS, over real handshakes, while certificates are replaced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic import SecretStr

from tests.unit.whodex.runtime.conftest import Issuer
from whodex.errors import PermissionDeniedError, UnavailableError, WhodexError, from_rpc_error
from whodex.runtime.certificates import Certificates
from whodex.runtime.channel import channel_credentials, internal_channel, internal_channel_sync
from whodex.runtime.credentials import internal_credential
from whodex.runtime.server import Listener, Service, running
from whodex.runtime.settings import load_settings
from whodex.runtime.tls import CERTIFICATES_SERVICE, AddressError, MeshSettings, Tls
from whodex.v1 import people_service_pb2, people_service_pb2_grpc

if TYPE_CHECKING:
    from whodex.v1.people_service_pb2_grpc import PeopleServiceAsyncStub

TOKEN = "a-token-of-the-tests"  # noqa: S105 - of these tests only
LIBRARY = f"libraries/{uuid4()}"
PERSON = f"{LIBRARY}/people/{uuid4()}"

Serving = Callable[..., AbstractAsyncContextManager[int]]


class _People(people_service_pb2_grpc.PeopleServiceServicer):
    async def GetPerson(self, request: Any, _context: object) -> people_service_pb2.GetPersonResponse:  # noqa: N802
        return people_service_pb2.GetPersonResponse(person={"name": request.name})

    async def WatchPerson(  # noqa: N802
        self, request: Any, _context: object
    ) -> AsyncIterator[people_service_pb2.WatchPersonResponse]:
        while True:
            yield people_service_pb2.WatchPersonResponse(person={"name": request.name})
            await asyncio.sleep(0.01)


@pytest.fixture
def server(tmp_path: Path) -> Issuer:
    (tmp_path / "server").mkdir()
    return Issuer(tmp_path / "server")


@pytest.fixture
def client(tmp_path: Path, server: Issuer) -> Issuer:
    """Has its certificates from the server's authority."""
    (tmp_path / "client").mkdir()
    return Issuer(tmp_path / "client", server.authority)


@asynccontextmanager
async def _serving(tls: Tls | None) -> AsyncIterator[str]:
    add = people_service_pb2_grpc.add_PeopleServiceServicer_to_server
    service = Service("whodex.v1.PeopleService", add, _People())
    credential = internal_credential(SecretStr(TOKEN))
    async with running(Listener("127.0.0.1:0", [service], credential, tls=tls)) as port:
        yield f"127.0.0.1:{port}"


def _tls(issuer: Issuer, *names: str, peers: frozenset[str] = frozenset(), **options: Any) -> Tls:
    return Tls(Certificates(issuer.write(*names, **options)), peers)


async def _get(stub: PeopleServiceAsyncStub) -> str:
    return (await stub.GetPerson(people_service_pb2.GetPersonRequest(name=PERSON), timeout=5)).person.name


async def _call_once(address: str, tls: Tls | None) -> str:
    async with internal_channel(address, TOKEN, tls) as channel:
        return await _get(people_service_pb2_grpc.PeopleServiceStub(channel))


async def _refusal(address: str, tls: Tls | None) -> WhodexError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _call_once(address, tls)
    return from_rpc_error(caught.value)


async def test_both_sides_prove_themselves(server: Issuer, client: Issuer) -> None:
    async with _serving(_tls(server)) as address:
        assert await _call_once(address, _tls(client, "worker")) == PERSON


async def test_the_sync_channel_proves_itself_too(server: Issuer, client: Issuer) -> None:
    def call(address: str, tls: Tls) -> str:
        with internal_channel_sync(address, TOKEN, tls) as channel:
            stub = people_service_pb2_grpc.PeopleServiceStub(channel)
            return stub.GetPerson(people_service_pb2.GetPersonRequest(name=PERSON)).person.name

    async with _serving(_tls(server)) as address:
        assert await asyncio.to_thread(call, address, _tls(client, "worker")) == PERSON


async def test_a_client_that_another_authority_vouches_for_does_not_connect(server: Issuer, tmp_path: Path) -> None:
    stranger = Issuer(tmp_path)
    async with _serving(_tls(server)) as address:
        error = await _refusal(address, _tls(stranger, "worker", trusting=server.authority))
    assert isinstance(error, UnavailableError)
    assert error.reason_name == "TLS_HANDSHAKE_FAILED"
    assert "a client certificate" in error.message


@pytest.mark.parametrize(
    ("serve", "call", "advice"),
    [
        (lambda server: None, _tls, "does not speak TLS there"),  # noqa: ARG005
        (_tls, lambda client: None, "It may expect TLS"),  # noqa: ARG005
        (
            _tls,
            lambda client: _tls(client, trusting=trustme.CA()),
            "signed by nobody that is trusted here",
        ),
        (lambda server: _tls(server, "elsewhere.example"), _tls, "is for another name"),
    ],
    ids=["plaintext server", "plaintext client", "unknown authority", "another name"],
)
async def test_a_failed_handshake_says_what_to_change(
    server: Issuer, client: Issuer, serve: Any, call: Any, advice: str
) -> None:
    async with _serving(serve(server)) as address:
        error = await _refusal(address, call(client))
    assert error.reason_name == "TLS_HANDSHAKE_FAILED"
    assert advice in error.message
    assert address in error.message


async def test_a_peer_without_an_admitted_name_runs_no_method(server: Issuer, client: Issuer) -> None:
    async with _serving(_tls(server, peers=frozenset({"api-server"}))) as address:
        assert await _call_once(address, _tls(client, "api-server")) == PERSON
        error = await _refusal(address, _tls(client, "worker"))
    assert isinstance(error, PermissionDeniedError)
    assert error.reason_name == "PEER_NOT_ALLOWED"
    assert "worker" in error.message


async def test_a_replaced_certificate_is_what_new_connections_see_and_old_ones_live(
    server: Issuer, client: Issuer
) -> None:
    async with _serving(_tls(server)) as address, internal_channel(address, TOKEN, _tls(client)) as old:
        stub = people_service_pb2_grpc.PeopleServiceStub(old)
        watch = stub.WatchPerson(people_service_pb2.WatchPersonRequest(name=PERSON))
        await watch.read()
        assert await _get(stub) == PERSON

        server.authority = trustme.CA()
        server.write(trusting=client.authority)

        # The old connection is not touched.
        assert (await watch.read()).person.name == PERSON
        assert await _get(stub) == PERSON
        # A new one sees a certificate of the new authority.
        assert "signed by nobody" in (await _refusal(address, _tls(client))).message
        assert await _call_once(address, _tls(client, trusting=server.authority)) == PERSON


async def test_a_client_whose_authority_was_taken_out_no_longer_connects(server: Issuer, client: Issuer) -> None:
    async with _serving(_tls(server)) as address:
        assert await _call_once(address, _tls(client)) == PERSON
        server.write(trusting=trustme.CA())
        assert (await _refusal(address, _tls(client))).reason_name == "TLS_HANDSHAKE_FAILED"


async def test_a_channel_follows_its_own_certificates(server: Issuer, client: Issuer) -> None:
    """The server changes its authority altogether: a channel that kept its files' old content could not call again."""
    tls = _tls(client)
    async with _serving(_tls(server)) as address, internal_channel(address, TOKEN, tls) as channel:
        stub = people_service_pb2_grpc.PeopleServiceStub(channel)
        assert await _get(stub) == PERSON

        server.authority = client.authority = trustme.CA()
        server.write()
        client.write()

        assert await _get(stub) == PERSON


async def test_a_stream_on_the_old_certificate_goes_on_beside_the_new_one(server: Issuer, client: Issuer) -> None:
    async with _serving(_tls(server)) as address, internal_channel(address, TOKEN, _tls(client)) as channel:
        stub = people_service_pb2_grpc.PeopleServiceStub(channel)
        watch = stub.WatchPerson(people_service_pb2.WatchPersonRequest(name=PERSON))
        await watch.read()
        client.write()
        assert await _get(stub) == PERSON
        assert (await watch.read()).person.name == PERSON


async def test_a_sync_channel_follows_its_own_certificates(server: Issuer, client: Issuer) -> None:
    def call_twice(address: str, tls: Tls) -> list[str]:
        request = people_service_pb2.GetPersonRequest(name=PERSON)
        with internal_channel_sync(address, TOKEN, tls) as channel:
            stub = people_service_pb2_grpc.PeopleServiceStub(channel)
            first = stub.GetPerson(request).person.name
            server.authority = client.authority = trustme.CA()
            server.write()
            client.write()
            return [first, stub.GetPerson(request).person.name]

    async with _serving(_tls(server)) as address:
        assert await asyncio.to_thread(call_twice, address, _tls(client)) == [PERSON, PERSON]


async def test_health_says_that_a_replacement_is_refused_while_the_services_go_on(
    server: Issuer, client: Issuer
) -> None:
    tls, of_client = _tls(server), _tls(client)
    credentials = channel_credentials(of_client.certificates.current())
    async with _serving(tls) as address, grpc.aio.secure_channel(address, credentials) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        states = health.Watch(health_pb2.HealthCheckRequest(service=CERTIFICATES_SERVICE))
        await _until(states, health_pb2.HealthCheckResponse.SERVING)

        tls.certificates.files.certificate.write_text("broken")

        await _until(states, health_pb2.HealthCheckResponse.NOT_SERVING)
        whole = await health.Check(health_pb2.HealthCheckRequest())
        assert whole.status == health_pb2.HealthCheckResponse.SERVING
        assert await _call_once(address, of_client) == PERSON


async def _until(states: Any, status: int) -> None:
    async with asyncio.timeout(10):
        async for state in states:
            if state.status == status:
                return


async def test_plaintext_beyond_loopback_is_refused() -> None:
    with pytest.raises(AddressError, match=r"0\.0\.0\.0:0 is open to other machines"):
        async with running(Listener("0.0.0.0:0", [], internal_credential(SecretStr(TOKEN)))):
            pass


async def test_plaintext_beyond_loopback_can_be_allowed() -> None:
    credential = internal_credential(SecretStr(TOKEN))
    async with running(Listener("0.0.0.0:0", [], credential, allow_plaintext=True)) as port:
        assert port


def test_a_setting_that_is_missing_beside_the_others_is_named(server: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHODEX_MESH_CERTIFICATE", str(server.write().certificate))
    with pytest.raises(SystemExit, match=r"^cannot start: WHODEX_MESH_KEY, WHODEX_MESH_CA must be set too"):
        load_settings(MeshSettings)


def test_a_file_that_cannot_be_used_ends_the_process_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CERTIFICATE", "KEY", "CA"):
        monkeypatch.setenv(f"WHODEX_MESH_{name}", "/nowhere.pem")
    with pytest.raises(SystemExit, match=r"^cannot start: /nowhere\.pem cannot be read: No such file or directory$"):
        load_settings(MeshSettings)


def test_settings_give_the_files_and_the_admitted_names(server: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    files = server.write()
    monkeypatch.setenv("WHODEX_MESH_CERTIFICATE", str(files.certificate))
    monkeypatch.setenv("WHODEX_MESH_KEY", str(files.key))
    monkeypatch.setenv("WHODEX_MESH_CA", str(files.authorities))
    monkeypatch.setenv("WHODEX_MESH_PEERS", "api_server,indexer")
    mesh = load_settings(MeshSettings).mesh
    assert mesh is not None
    assert mesh.certificates.files == files
    assert mesh.peers == {"api_server", "indexer"}


def test_settings_that_are_empty_mean_plaintext(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CERTIFICATE", "KEY", "CA", "PEERS"):
        monkeypatch.setenv(f"WHODEX_MESH_{name}", "")
    assert load_settings(MeshSettings).mesh is None
