"""Files that strangers may upload to do harm, made here; `hostile_files` gives them all."""

from __future__ import annotations

from tests.hostile.files import HostileFile
from tests.hostile.other_pictures import other_pictures
from tests.hostile.pictures import hostile_pictures
from tests.hostile.posing_videos import posing_videos
from tests.hostile.videos import hostile_videos


def hostile_files() -> list[HostileFile]:
    """Every file, by its name unique."""
    return [*hostile_pictures(), *other_pictures(), *hostile_videos(), *posing_videos()]
