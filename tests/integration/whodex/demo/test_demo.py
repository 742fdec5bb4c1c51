"""The demo's steps, in a library of their own on the shared stack."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from whodex.client import Client
from whodex.demo import library
from whodex.demo.cast import CAST
from whodex.demo.contact_sheet import render_html
from whodex.demo.findings import gather, make_sheet
from whodex.demo.render import render
from whodex.demo.samples import pull_samples


def ignore(_done: float, _total: float) -> None:
    pass


@pytest.fixture
def client(stack: Any) -> Iterator[Client]:
    with Client(stack.address, admin_key=stack.connection.admin_key, state_dir=stack.state.root) as operator:
        made = operator.libraries.create("Demo")
        secret = operator.libraries.create_key(made.name, "demo").secret
        with Client(stack.address, library=made.name, api_key=secret) as client:
            yield client
        operator.libraries.delete(made.name, force=True)


def test_everybody_is_found_where_they_are_and_nowhere_else(client: Client, tmp_path: Path) -> None:
    pull_samples()
    sample_video = render(tmp_path / "sample.mp4")
    people = library.enrol(client, CAST, ignore)
    library.wait_for_people(client, people, ignore)
    video = library.wait_for_video(client, library.upload_video(client, sample_video, ignore), ignore)
    findings = gather(client, video, people, sample_video.scenes, ignore)
    assert findings.problems == []
    sheet = make_sheet(client, video, findings, ignore)
    assert render_html(sheet).count("<img") == len(sheet.scenes) + 3 * sum(len(one.cards) for one in sheet.people)
