from __future__ import annotations

import pytest

from api_server.operations.smoke import SampleMedia, smoke_cases
from whodex.errors import FailedPreconditionError
from whodex.runtime.tasks import declared_tasks


def test_every_declared_task_has_a_case():
    assert smoke_cases().keys() == declared_tasks().keys()


def test_media_that_cannot_be_read_is_named(tmp_path):
    photo = tmp_path / "photo.jpg"
    photo.touch()

    with pytest.raises(FailedPreconditionError, match=r"film\.mp4 cannot be read"):
        SampleMedia.read(photo, tmp_path / "film.mp4")


def test_media_is_read_whole(tmp_path):
    photo, video = tmp_path / "photo.jpg", tmp_path / "film.mp4"
    photo.write_bytes(b"photo")
    video.write_bytes(b"film")

    assert SampleMedia.read(photo, video) == SampleMedia(b"photo", b"film")
