"""`python -m whodex.stack.smoke_clip` renders the video that the smoke test uploads, unless it is there."""

from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageOps

from whodex.demo.errors import SamplesError
from whodex.demo.samples import sample
from whodex.stack.smoke_media import FILMED, clip_path

CLIP_SIZE = (640, 360)
CLIP_FRAMES = 50
FRAMES_PER_SECOND = 25


def main() -> None:
    """Says why and succeeds when the photographs are not there: a stack runs without a smoke test too."""
    if clip_path().exists():
        return
    try:
        _render(clip_path())
    except SamplesError as error:
        print(f"The smoke test will not run: {error}")  # noqa: T201 - the part's log


def _render(path: Path) -> None:
    """Writes two seconds of H.264 that show one photograph."""
    with Image.open(sample(FILMED)) as photo:
        picture = ImageOps.pad(photo.convert("RGB"), CLIP_SIZE)
    # Another stack may be rendering as well: each writes its own file, and the last one stays.
    scratch = path.with_name(f"{path.stem}.{os.getpid()}{path.suffix}")
    with av.open(str(scratch), "w", format="mp4", options={"movflags": "faststart"}) as container:
        width, height = CLIP_SIZE
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND, width=width, height=height, pix_fmt="yuv420p")
        for _ in range(CLIP_FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")))
        container.mux(stream.encode())
    scratch.replace(path)


if __name__ == "__main__":
    main()
