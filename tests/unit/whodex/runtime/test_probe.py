import asyncio

from pydantic import SecretStr

from tests.unit.whodex.runtime.conftest import Issuer
from whodex.runtime.certificates import Certificates
from whodex.runtime.credentials import internal_credential
from whodex.runtime.probe import find_problem
from whodex.runtime.server import Listener, Service, running
from whodex.runtime.tls import Tls

CREDENTIAL = internal_credential(SecretStr("a-token-of-the-tests"))


def _nothing(_servicer: object, _server: object) -> None:
    """Adds no method."""


async def _away() -> None:
    raise ConnectionError("its database is away")


def _service(*checks: object) -> Service:
    return Service("whodex.v1.PeopleService", _nothing, None, checks)  # type: ignore[arg-type]


async def _answer(address: str, tls: Tls | None = None) -> str | None:
    """What the probe says once the server has looked at its services."""
    for _ in range(100):
        problem = await asyncio.to_thread(find_problem, address, tls)
        if problem is None:
            break
        await asyncio.sleep(0.02)
    return problem


async def test_a_service_that_has_what_it_needs_is_healthy():
    async with running(Listener("127.0.0.1:0", [_service()], CREDENTIAL)) as port:
        assert await _answer(f"127.0.0.1:{port}") is None


async def test_a_service_without_its_database_is_not():
    async with running(Listener("127.0.0.1:0", [_service(_away)], CREDENTIAL)) as port:
        assert await asyncio.to_thread(find_problem, f"127.0.0.1:{port}", None) == f"127.0.0.1:{port}: NOT_SERVING"


async def test_under_mutual_tls_it_proves_itself_by_the_certificate_of_the_service(issuer: Issuer):
    tls = Tls(Certificates(issuer.write("indexer", "localhost")))
    async with running(Listener("127.0.0.1:0", [_service()], CREDENTIAL, tls=tls)) as port:
        assert await _answer(f"localhost:{port}", tls) is None
        plaintext = await asyncio.to_thread(find_problem, f"localhost:{port}", None)
    assert plaintext is not None
    assert plaintext.startswith(f"localhost:{port}: UNAVAILABLE: ")


async def test_nobody_there_is_one_line():
    problem = await asyncio.to_thread(find_problem, "127.0.0.1:1", None)
    assert problem is not None
    assert problem.startswith("127.0.0.1:1: UNAVAILABLE: ")
