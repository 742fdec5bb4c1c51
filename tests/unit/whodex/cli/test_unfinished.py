from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import pytest

from whodex.cli.unfinished import remembered
from whodex.errors import InvalidArgumentError, UnavailableError
from whodex.v1 import error_reason_pb2

AWAY = UnavailableError("Away.", reason=error_reason_pb2.ERROR_REASON_STORAGE_UNAVAILABLE)
REFUSED = InvalidArgumentError("No.", reason=error_reason_pb2.ERROR_REASON_UNSUPPORTED_FORMAT)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "whodex" / "uploads"


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"film")
    return path


def _upload(film: Path, target: str = "library", error: BaseException | None = None) -> str:
    ids: list[str] = []
    with suppress(BaseException), remembered(target, film) as request_id:
        ids.append(request_id)
        if error:
            raise error
    return ids[0]


@pytest.mark.parametrize("error", [AWAY, KeyboardInterrupt()])
def test_an_upload_that_was_cut_off_keeps_its_id_until_it_is_done(
    state: Path, film: Path, error: BaseException
) -> None:
    first = _upload(film, error=error)
    assert UUID(first)
    assert _upload(film) == first
    assert list(state.iterdir()) == []
    assert _upload(film) != first


def test_an_upload_that_was_refused_is_forgotten(state: Path, film: Path) -> None:
    first = _upload(film, error=REFUSED)
    assert list(state.iterdir()) == []
    assert _upload(film) != first


def test_another_target_or_another_file_is_another_upload(state: Path, film: Path) -> None:
    ids = {_upload(film, error=AWAY), _upload(film, "another library", error=AWAY)}
    film.write_bytes(b"another film")
    ids.add(_upload(film, error=AWAY))
    os.utime(film, ns=(0, 0))
    ids.add(_upload(film, error=AWAY))
    assert len(ids) == 4
    assert len(list(state.iterdir())) == 4


def test_the_records_are_readable_by_their_owner_alone_and_go_when_they_are_old(state: Path, film: Path) -> None:
    _upload(film, error=AWAY)
    (record,) = state.iterdir()
    assert state.stat().st_mode & 0o77 == 0
    long_ago = time.time() - 8 * 24 * 3600
    os.utime(record, (long_ago, long_ago))
    _upload(film, "another library")
    assert list(state.iterdir()) == []


def test_where_nothing_can_be_kept_uploads_go_on_all_the_same(state: Path, film: Path) -> None:
    state.parent.parent.mkdir(parents=True)
    state.parent.write_text("no directory")
    assert UUID(_upload(film))
