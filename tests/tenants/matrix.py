"""All methods, all callers: what each must be told, and what nobody may learn or change."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import chain
from uuid import UUID, uuid4

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from sqlalchemy import (
    ColumnElement,
    Connection,
    NullPool,
    Table,
    Text,
    create_engine,
    func,
    literal_column,
    select,
)

import whodex.v1
from api_server.database.schema import Appearance, Base, Person
from api_server.server import internal_listener, public_listener, resources
from api_server.settings import ServerSettings
from tests.tenants.calls import Answer, call
from tests.tenants.planting import Tenant
from tests.tenants.requests import Kind, Names, Shape, shapes_of
from whodex.runtime.access import declared_access
from whodex.runtime.server import Listener, running
from whodex.runtime.settings import live_secrets
from whodex.runtime.strangers import WRONG_BURST, WRONG_PER_SECOND
from whodex.stack.ports import LOOPBACK
from whodex.v1.library_pb2 import ApiKey

MISSING = ("UNAUTHENTICATED", "CREDENTIALS_MISSING")
INVALID = ("UNAUTHENTICATED", "CREDENTIALS_INVALID")
NOT_ALLOWED = ("PERMISSION_DENIED", "METHOD_NOT_ALLOWED")
NOT_FOUND = ("NOT_FOUND", "RESOURCE_NOT_FOUND")
NOT_THERE = ("UNIMPLEMENTED", "UNSPECIFIED")
OK = ("OK", "")
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# What a caller's own calls may write in the own library.
_OWN_TRACES = {"audit_chains", "audit_entries"}
# Enough of a vector to recognise it by.
_VECTOR_BYTES = 32


def methods() -> list[MethodDescriptor]:
    """Every method of every service in the contracts."""
    modules = [one.name for one in pkgutil.iter_modules(whodex.v1.__path__) if one.name.endswith("_pb2")]
    files = [importlib.import_module(f"whodex.v1.{name}").DESCRIPTOR for name in modules]
    services = chain.from_iterable(file.services_by_name.values() for file in files)
    return [method for service in services for method in service.methods]


@dataclass(frozen=True)
class Attempt:
    """What somebody tries.

    Attributes:
        what: for the report.
        names: of the resources that the request names; none: an empty request, which nobody will read.
        secret: of the credential; empty: none is sent.
        expected: the code and the reason that must come back.
    """

    what: str
    names: Names
    secret: str
    expected: tuple[str, str]


@dataclass
class Matrix:
    """Runs the calls and keeps what went wrong.

    Attributes:
        settings: of an api_server beside the one of the stack, on its database, store and index.
        owner_url: of the database, as a role that sees everything.
        peers: host:port of the internal services that other parts of the stack offer, by full name.
        own: the library of the caller.
        other: the library that must stay unknown to the caller.
        calls: how many were made.
        leaks: one sentence for each answer that was not as it must be.
    """

    settings: ServerSettings
    owner_url: str
    peers: Mapping[str, str]
    own: Tenant
    other: Tenant
    calls: int = 0
    leaks: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Makes every call, and compares what the database holds before and after."""
        before = self._rows()
        async with resources(self.settings) as parts, AsyncExitStack() as stack:
            public = _Servers(partial(public_listener, self.settings, parts), stack)
            internal = _Servers(partial(internal_listener, self.settings, parts), stack)
            address = await public.address()
            for shape in chain.from_iterable(map(shapes_of, methods())):
                if declared_access(shape.method).internal:
                    await self._try_from_outside(shape, address)
                    await self._try_wrong_credentials(shape, internal, {}, self._not_internal)
                else:
                    await self._try_right_credentials(shape, address)
                    await self._try_wrong_credentials(shape, public, self.other.names, self._not_public)
        self.leaks += [f"{table} has changed" for table, rows in self._rows().items() if rows != before[table]]

    async def run_reads(self) -> None:
        """Makes the calls of a valid key to the methods that only look."""
        async with resources(self.settings) as parts, running(public_listener(self.settings, parts)) as port:
            for shape in chain.from_iterable(map(shapes_of, methods())):
                if declared_access(shape.method).role == ApiKey.ROLE_READ:
                    await self._try_right_credentials(shape, f"{LOOPBACK}:{port}")

    async def _try_right_credentials(self, shape: Shape, address: str) -> None:
        """Keys that open something, but not this, or nothing of the other library."""
        access, own, other = declared_access(shape.method), self.own.names, self.other.names
        key = self.own.keys[ApiKey.ROLE_ADMIN]
        if not access.admin_key:
            await self._try(shape, address, Attempt("the admin key", other, self._admin_key, NOT_ALLOWED))
        if not access.role:
            await self._try(shape, address, Attempt("a key of a library", other, key, NOT_ALLOWED))
            return
        for role in self.own.keys.keys() - range(access.role, ApiKey.ROLE_ADMIN + 1):
            what = f"a key with {ApiKey.Role.Name(role)}"
            await self._try(shape, address, Attempt(what, own, self.own.keys[role], NOT_ALLOWED))
        for what, names in self._foreign_names(shape):
            found = await self._try(shape, address, Attempt(what, names, key, NOT_FOUND))
            made_up = Attempt(f"{what}, made up", self._made_up(names), key, NOT_FOUND)
            unknown = await self._try(shape, address, made_up)
            if found.without_ids() != unknown.without_ids():
                self._leak(shape, what, f"what exists answers {found}, and what does not {unknown}")
        if access.role == ApiKey.ROLE_READ:
            await self._try(shape, address, Attempt("own names", own, key, OK))

    async def _try_wrong_credentials(
        self, shape: Shape, servers: _Servers, names: Names, others: Mapping[str, str]
    ) -> None:
        """What opens nothing, or something else."""
        invalid = {
            "a wrong key": "wdx_" + "A" * 43,
            "a revoked key": self.other.revoked,
            "an expired key": self.other.expired,
            **others,
        }
        attempts = [Attempt(what, names, secret, INVALID) for what, secret in invalid.items()]
        for attempt in [Attempt("no key", names, "", MISSING), *attempts]:
            peer = self.peers.get(shape.method.containing_service.full_name)
            await self._try(shape, peer or await servers.address_for_a_wrong_key(), attempt)

    async def _try_from_outside(self, shape: Shape, address: str) -> None:
        """Internal services are not there for clients, whatever they show."""
        for secret in (self.own.keys[ApiKey.ROLE_ADMIN], self._admin_key, self._internal_token):
            await self._try(shape, address, Attempt("the public address", {}, secret, NOT_THERE))

    def _foreign_names(self, shape: Shape) -> Iterator[tuple[str, Names]]:
        """Names of the other library that exist: as they are, one among own ones, and below the own library."""
        kinds = shape.named_kinds()
        if kinds:
            yield "names of another library", self.other.names
        for kind in kinds if len(kinds) > 1 else []:
            yield f"another library's {kind[-1]} among own names", {**self.own.names, kind: self.other.names[kind]}
        if any(len(kind) > 1 for kind in kinds):
            below = {kind: self._below_own(name) for kind, name in self.other.names.items() if len(kind) > 1}
            yield "ids of another library below the own one", {**self.own.names, **below}

    def _below_own(self, name: str) -> str:
        return name.replace(self.other.library, self.own.library)

    def _made_up(self, names: Names) -> dict[Kind, str]:
        """The same names with ids that never were, except the own ones."""
        own = set(_ID.findall(" ".join(self.own.names.values())))
        other_ids = {id_: str(uuid4()) for name in names.values() for id_ in _ID.findall(name) if id_ not in own}
        return {kind: _ID.sub(lambda found: other_ids.get(found[0], found[0]), name) for kind, name in names.items()}

    async def _try(self, shape: Shape, address: str, attempt: Attempt) -> Answer:
        requests = shape.make_requests(attempt.names) if attempt.names else [_empty(shape.method)]
        while (
            answer := await call(address, shape.method, requests, attempt.secret)
        ).reason == "AUTHENTICATION_THROTTLED":
            await asyncio.sleep(1 / WRONG_PER_SECOND)
        self.calls += 1
        if (answer.code, answer.reason) != attempt.expected:
            self._leak(shape, attempt.what, f"the answer is {answer}, and not {attempt.expected}")
        sent = b"".join(request.SerializeToString() for request in requests)
        for planted, content in self._planted.items():
            if content in answer.content and content not in sent:
                self._leak(shape, attempt.what, f"{planted} of another library is told")
        return answer

    def _leak(self, shape: Shape, what: str, problem: str) -> None:
        self.leaks.append(f"{shape} with {what}: {problem}")

    @property
    def _admin_key(self) -> str:
        return live_secrets(self.settings.admin_key)[0]

    @property
    def _internal_token(self) -> str:
        return live_secrets(self.settings.internal_token)[0]

    @property
    def _not_public(self) -> Mapping[str, str]:
        return {"the internal token": self._internal_token}

    @property
    def _not_internal(self) -> Mapping[str, str]:
        return {"a key of a library": self.own.keys[ApiKey.ROLE_ADMIN], "the admin key": self._admin_key}

    @cached_property
    def _planted(self) -> dict[str, bytes]:
        """What the other library can be recognised by: its texts, its ids, its vectors."""
        found = {"a text": self.other.marker.encode()}
        with self._everything() as connection:
            for table in _tables():
                if "id" in table.c:
                    ids = connection.scalars(select(table.c.id).where(_is_of(table, self.other)))
                    found |= {f"the id {id_} of {table.name}": str(id_).encode() for id_ in ids}
            for table, column in ((Person, Person.query_embedding), (Appearance, Appearance.embedding)):
                vectors = connection.scalars(select(column).where(table.library_id == _id_of(self.other)))
                found |= {f"a vector of {table.__tablename__}": vector.tobytes()[:_VECTOR_BYTES] for vector in vectors}
        return found

    def _rows(self) -> dict[str, list[str]]:
        """The rows of each library in each table, as text."""
        found = {}
        with self._everything() as connection:
            for who, tenant in (("the caller", self.own), ("the other library", self.other)):
                for table in _tables():
                    row = func.to_jsonb(literal_column(table.name)).op("-")("last_use_time").cast(Text)
                    if tenant is self.other or table.name not in _OWN_TRACES:
                        rows = connection.scalars(select(row).where(_is_of(table, tenant)).order_by(row))
                        found[f"{table.name} of {who}"] = list(rows)
        return found

    @contextmanager
    def _everything(self) -> Iterator[Connection]:
        engine = create_engine(self.owner_url, poolclass=NullPool)
        with engine.connect() as connection:
            yield connection


class _Servers:
    """Servers that look up what they are shown: one that has seen as many wrong keys as it takes is left alone."""

    def __init__(self, make: Callable[[], Listener], stack: AsyncExitStack) -> None:
        self._make = make
        self._stack = stack
        self._wrong_keys_left = 0
        self._address = ""

    async def address(self) -> str:
        """A new server."""
        return f"{LOOPBACK}:{await self._stack.enter_async_context(running(self._make()))}"

    async def address_for_a_wrong_key(self) -> str:
        """A server that will look it up."""
        if not self._wrong_keys_left:
            self._address, self._wrong_keys_left = await self.address(), WRONG_BURST
        self._wrong_keys_left -= 1
        return self._address


def _empty(method: MethodDescriptor) -> Message:
    return GetMessageClass(method.input_type)()


def _tables() -> list[Table]:
    return [table for table in Base.metadata.sorted_tables if table.name == "libraries" or "library_id" in table.c]


def _is_of(table: Table, tenant: Tenant) -> ColumnElement[bool]:
    return (table.c.id if table.name == "libraries" else table.c.library_id) == _id_of(tenant)


def _id_of(tenant: Tenant) -> UUID:
    return UUID(tenant.library.rpartition("/")[2])
