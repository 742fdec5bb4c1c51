"""The README's grpcurl calls, as they stand there, with the real binary."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from google.protobuf.json_format import Parse

from whodex.client import Client
from whodex.demo.samples import pull_samples, sample
from whodex.v1.people_service_pb2 import CreatePersonResponse, ListPeopleResponse
from whodex.v1.person_pb2 import Person
from whodex.v1.search_service_pb2 import SearchScenesResponse

if TYPE_CHECKING:
    from tests.integration.conftest import Stack

README = Path(__file__).resolve().parents[2] / "README.md"


def _readme_calls() -> list[str]:
    section = README.read_text(encoding="utf-8").partition("### With grpcurl\n")[2]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block, "the README's section on grpcurl has no commands"
    return [call for call in block.group(1).strip().split("\n\n") if call.startswith("grpcurl")]


@pytest.fixture(scope="module")
def environment(stack: Stack) -> Iterator[dict[str, str]]:
    """The variables that the README's calls use, for a library of this module's own."""
    pull_samples()
    with Client(state_dir=stack.state.root) as admin:
        library = admin.libraries.create("grpcurl").name
        key = admin.libraries.create_key(library, "tests").secret
        with Client(stack.address, library=library, api_key=key) as client:
            person = client.people.create("Barack Obama")
            client.people.upload_photo(person.name, sample("obama.jpg"))
            state = client.people.wait_for_person(person.name)
            assert state.person.state == Person.STATE_READY, state
        yield {
            # As in an activated environment.
            "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}",
            "WHODEX_ADDRESS": stack.address,
            "WHODEX_API_KEY": key,
            "WHODEX_LIBRARY": library,
            "WHODEX_PERSON": person.name,
        }
        admin.libraries.delete(library, force=True)


def _run(call: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/bash", "-c", call], env=environment, capture_output=True, encoding="utf-8", timeout=60, check=False
    )


def test_the_readmes_four_calls_work(environment: dict[str, str]) -> None:
    processes = [_run(call, environment) for call in _readme_calls()]

    assert [process.returncode for process in processes] == [0] * 4, [process.stderr for process in processes]
    services, created, listed, found = (process.stdout for process in processes)
    assert "whodex.v1.PeopleService" in services.splitlines()
    person = Parse(created, CreatePersonResponse()).person
    assert person.display_name == "Grace Hopper"
    assert person.name in [other.name for other in Parse(listed, ListPeopleResponse()).people]
    assert Parse(found, SearchScenesResponse()).threshold.similarity > 0


def test_a_call_without_a_key_is_refused_with_its_reason(environment: dict[str, str]) -> None:
    without_key = re.sub(r'-H "[^"]*"', "", _readme_calls()[2])

    refused = _run(without_key, environment)

    assert refused.returncode != 0
    assert "Code: Unauthenticated" in refused.stderr
    assert "CREDENTIALS_MISSING" in refused.stderr
