"""What the smoke test uploads: two photographs of one person, the second one as a clip, in the cache."""

from __future__ import annotations

from pathlib import Path

from whodex.demo.samples import samples_directory

PHOTO = "obama.jpg"
FILMED = "obama2.jpg"
CLIP = "smoke.mp4"


def photo_path() -> Path:
    """Where the photo is, or will be."""
    return samples_directory() / PHOTO


def clip_path() -> Path:
    """Where the clip is, or will be."""
    return samples_directory() / CLIP
