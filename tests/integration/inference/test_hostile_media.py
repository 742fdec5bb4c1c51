"""Every hostile file in the real sandbox, without the rest of the stack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from inference.sandbox.decoder import Limits
from inference.sandbox.lockdown import MAX_MEMORY_BYTES
from tests.hostile import hostile_files
from tests.hostile.canary import Canary, canary
from tests.hostile.files import READY, HostileFile
from tests.hostile.other_pictures import named
from tests.hostile.posing_videos import PLAYLISTS
from tests.hostile.trial import Trials, trials

# Shorter than in production, so that those that reach them need not be waited for.
LIMITS = Limits(photo_seconds=8, stall_seconds=8, video_cpu_seconds=60)
FILES = hostile_files()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Trials]:
    with trials(LIMITS) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canary]:
    with canary(tmp_path_factory.mktemp("canary")) as watched:
        yield watched


@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_a_hostile_file_costs_its_sender_alone(sandbox: Trials, watched: Canary, file: HostileFile) -> None:
    outcome = sandbox.run(file, watched.bait)

    assert outcome.reason in file.outcomes, outcome
    assert not outcome.message or outcome.message.endswith(".")
    assert outcome.seconds < LIMITS.photo_seconds + LIMITS.stall_seconds + 2
    assert outcome.peak_bytes < MAX_MEMORY_BYTES
    if outcome.reason == READY and file.duration_s is not None:
        assert outcome.duration_s == pytest.approx(file.duration_s, abs=0.2)
    assert watched.heard() == []


def test_there_are_enough_of_them_and_each_is_another() -> None:
    assert len(FILES) >= 150
    assert [name for name, count in Counter(file.name for file in FILES).items() if count > 1] == []


@pytest.mark.parametrize(
    ("playlist", "heard"),
    [("HLS playlist", {"an open file"}), ("concat script", {"an open file", "a connection"})],
)
def test_the_canary_sings_where_there_is_no_sandbox(
    watched: Canary, tmp_path: Path, playlist: str, heard: set[str]
) -> None:
    """The same files, given to FFmpeg as it comes."""
    path = tmp_path / "playlist.m3u8"
    path.write_bytes(named(PLAYLISTS[playlist], watched.bait))
    options = {"safe": "0", "protocol_whitelist": "file,http,tcp,crypto,data", "allowed_extensions": "ALL"}
    options |= {"extension_picky": "0", "allowed_segment_extensions": "ALL"}
    try:
        with av.open(str(path), options=options, timeout=2) as container:
            for _ in container.decode(video=0):
                pass
    except (av.FFmpegError, IndexError):
        pass
    assert heard <= set(watched.heard())
