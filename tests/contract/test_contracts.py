"""What the contracts promise and the code must keep, read from the descriptors."""

from __future__ import annotations

import importlib
import pkgutil
import re
from functools import cache
from pathlib import Path

import pytest
from google.protobuf.descriptor import EnumDescriptor, ServiceDescriptor

import api_server
import indexer
import inference
import whodex.v1
from whodex.runtime.access import declared_access
from whodex.v1 import error_reason_pb2, failure_pb2

ROOT = Path(__file__).parents[2]
SERVICES = (api_server, indexer, inference)


def _modules_of(package) -> list:
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    # Importing a __main__ runs it; Triton's interpreter alone imports what lies in backend.
    names = [
        module.name
        for module in found
        if not re.search(r"__main__|celery_child|migrations|triton\.backend", module.name)
    ]
    return [importlib.import_module(name) for name in names]


@cache
def _services() -> dict[str, ServiceDescriptor]:
    modules = [module for module in _modules_of(whodex.v1) if module.__name__.endswith("_pb2")]
    return {name: service for module in modules for name, service in module.DESCRIPTOR.services_by_name.items()}


def _servicer_base(service: ServiceDescriptor) -> type:
    stem = Path(service.file.name).stem
    return getattr(importlib.import_module(f"whodex.v1.{stem}_pb2_grpc"), f"{service.name}Servicer")


@pytest.mark.parametrize("name", sorted(_services()))
def test_every_rpc_is_implemented_by_one_service(name):
    for package in SERVICES:
        _modules_of(package)
    service = _services()[name]
    implementations = [
        kind
        for kind in _servicer_base(service).__subclasses__()
        if kind.__module__.partition(".")[0] in {package.__name__ for package in SERVICES}
    ]
    assert len(implementations) == 1, f"{name} has {implementations}"
    missing = [method.name for method in service.methods if method.name not in vars(implementations[0])]
    assert missing == []


@cache
def _source() -> str:
    packages = ("api_server", "indexer", "inference", "whodex")
    files = [file for package in packages for file in (ROOT / package).rglob("*.py")]
    generated = {ROOT / "whodex" / "v1", ROOT / "whodex" / "buf"}
    return "\n".join(file.read_text() for file in files if not generated & set(file.parents))


def _values(enum: EnumDescriptor) -> list[str]:
    return [value.name for value in enum.values if value.number != 0]


@pytest.mark.parametrize("name", _values(error_reason_pb2.ErrorReason.DESCRIPTOR))
def test_every_error_reason_is_raised_somewhere(name):
    assert re.search(rf"\b{name}\b", _source()), f"nothing raises {name}"


@pytest.mark.parametrize("name", _values(failure_pb2.FailureReason.DESCRIPTOR))
def test_every_failure_reason_is_given_somewhere(name):
    assert re.search(rf"\b{name}\b", _source()), f"nothing fails with {name}"


def test_every_reason_has_one_section_in_the_troubleshooting_page_and_no_section_another_name():
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    reasons = {name.removeprefix("ERROR_REASON_") for name in _values(error_reason_pb2.ErrorReason.DESCRIPTOR)}
    reasons |= {name.removeprefix("FAILURE_REASON_") for name in _values(failure_pb2.FailureReason.DESCRIPTOR)}
    sections = re.findall(r"^### (.+)$", page, flags=re.MULTILINE)
    assert sorted(sections) == sorted(reasons)


@pytest.mark.parametrize("name", sorted(_services()))
def test_every_method_says_who_may_call_it(name):
    """A new method needs `option (access) = {role: ROLE_...};` in its contract; see access_options.proto."""
    declared = [declared_access(method) for method in _services()[name].methods]
    # A server lets either strangers in or our own services.
    assert len({access.internal for access in declared}) == 1


def test_a_request_and_a_response_belong_to_one_rpc():
    methods = [method for service in _services().values() for method in service.methods]
    for method in methods:
        assert method.input_type.name == f"{method.name}Request"
        assert method.output_type.name == f"{method.name}Response"
