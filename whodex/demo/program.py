"""The demo from end to end: a stack of its own, people, photos, a video, searches, and the truth beside them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from whodex.client import Client
from whodex.demo import library
from whodex.demo.cast import CAST
from whodex.demo.contact_sheet import render_html
from whodex.demo.errors import DemoError
from whodex.demo.findings import Findings, gather, make_sheet
from whodex.demo.render import SampleVideo, render
from whodex.demo.report import conclusion, identification_table, people_table, times
from whodex.demo.samples import pull_samples
from whodex.demo.steps import Steps
from whodex.stack import detached, stopping
from whodex.stack.state import PartState, StackRecord, StateDirectory

SEED = 0


def run(console: Console, folder: Path) -> bool:
    """Run the demo; no process and no state of it stays.

    Args:
        console: where it tells what happens.
        folder: the directory for the video and the contact sheet; on an error, for the logs as well.

    Returns:
        Whether what was found matches the truth.

    Raises:
        DemoError: a sample picture cannot be had, or a photo or the video failed.
        StackError: the stack does not start or stop.
        WhodexError: a call failed.
    """
    steps = Steps(console)
    with steps.step("Fetch the sample pictures"):
        pull_samples()
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max_workers=1) as executor:
        rendering = executor.submit(render, folder / "sample.mp4", seed=SEED)
        with _stack(steps, folder) as client:
            findings, sheet = _use(client, steps, rendering)
    path = folder / "contact-sheet.html"
    path.write_text(sheet, encoding="utf-8")
    _print(console, findings)
    console.print(f"Contact sheet: {path.absolute()}", soft_wrap=True, highlight=False)
    console.print(f"Video:         {folder.absolute() / 'sample.mp4'}", soft_wrap=True, highlight=False)
    return not findings.problems


@contextmanager
def _stack(steps: Steps, folder: Path) -> Iterator[Client]:
    with TemporaryDirectory(prefix="whodex-demo-", ignore_cleanup_errors=True) as directory:
        state = StateDirectory(Path(directory))
        try:
            with steps.step("Start Postgres, Valkey, Triton and the services") as advance:
                detached.start(state, lambda record: advance(_parts_ready(record), len(record.parts)))
            yield _connect(state)
        except BaseException:
            shutil.copytree(state.logs, folder / "logs", dirs_exist_ok=True)
            raise
        finally:
            with steps.step("Stop everything"):
                stopping.stop(state)


def _parts_ready(record: StackRecord) -> int:
    return sum(part.state in (PartState.READY, PartState.DONE) for part in record.parts)


def _connect(state: StateDirectory) -> Client:
    connection = state.connection()
    if connection is None:
        raise DemoError(f"The stack left no address in {state.root}.")
    return Client(connection.address, library=connection.library, api_key=connection.api_key)


def _use(client: Client, steps: Steps, rendering: Future[SampleVideo]) -> tuple[Findings, str]:
    with client:
        with steps.step(f"Enrol {len(CAST)} people: upload their photos") as advance:
            people = library.enrol(client, CAST, advance)
        with steps.step("Find and embed the faces in the photos") as advance:
            library.wait_for_people(client, people, advance)
        with steps.step("Render the video"):
            sample_video = rendering.result()
        with steps.step("Upload the video") as advance:
            name = library.upload_video(client, sample_video, advance)
        with steps.step("Find scenes, follow and embed faces") as advance:
            video = library.wait_for_video(client, name, advance)
        with steps.step("Search for everybody, identify pictures") as advance:
            findings = gather(client, video, people, sample_video.scenes, advance)
        with steps.step("Collect the evidence") as advance:
            return findings, render_html(make_sheet(client, video, findings, advance))


def _print(console: Console, findings: Findings) -> None:
    names = {member.key: member.display_name for member in CAST}
    for title, independent in (
        ("Enrolled from other photographs than the video shows", True),
        ("Enrolled from the very picture that the video shows: the path works, nothing about accuracy", False),
    ):
        people = [(one.member, one.rows) for one in findings.people if one.member.independent is independent]
        console.print()
        console.print(people_table(title, people, findings.threshold.similarity))
    console.print(identification_table(findings.pictures, names))
    scenes = ", ".join(map(times, findings.together))
    console.print(f"Joe Biden and Barack Obama in one scene: {scenes}", highlight=False)
    console.print(conclusion(findings.problems))
