"""What a locked-down child does: it decodes what it is sent, until the worker ends it."""

from __future__ import annotations

import importlib
import io
import mmap
import os
import pkgutil
import socket
import traceback
from dataclasses import asdict

import av
import cv2
import numpy as np
from PIL import Image

from inference.errors import MediaError
from inference.faces.decode import decode_image
from inference.sandbox.memory import frame_bytes, picture_at, slot_count
from inference.sandbox.messages import (
    MAX_TEXT,
    SLOT_FREE,
    TO_CHILD,
    DecodePhoto,
    FrameSampled,
    MemoryExceeded,
    Message,
    PhotoDecoded,
    Raised,
    Refused,
    SampleVideo,
    SlotFree,
    VideoEnded,
    VideoOpened,
    receive,
    receive_with_descriptors,
    send,
)
from inference.video.decode import open_video
from inference.video.sampling import VideoSampler


def warm_up() -> None:
    """Does once, in the zygote, what the libraries put off until their first use: a child can import nothing."""
    cv2.setNumThreads(0)
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if module.name != "av.__main__":
            importlib.import_module(module.name)
    for image_format in ("JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF", "BMP", "GIF"):
        encoded = io.BytesIO()
        Image.new("RGB", (16, 16)).save(encoded, image_format)
        decode_image(encoded.getvalue())


def serve(channel: socket.socket) -> None:
    """Answers requests until the worker closes the channel; one that fails does not end the others.

    Raises:
        ConnectionError: the worker has closed it.
    """
    while True:
        request, descriptors = receive_with_descriptors(channel, TO_CHILD)
        if isinstance(request, SlotFree):
            continue  # which became free after the last frame
        send(channel, _answer(channel, request, descriptors))
        for descriptor in descriptors:
            os.close(descriptor)


def _answer(channel: socket.socket, request: DecodePhoto | SampleVideo, descriptors: list[int]) -> Message:
    try:
        if isinstance(request, DecodePhoto):
            return _decode_photo(request, *descriptors)
        return _sample_video(channel, *descriptors)
    except MediaError as error:
        return Refused(reason=error.reason, message=error.message[:MAX_TEXT])
    except MemoryError:
        return MemoryExceeded()
    except ConnectionError:
        raise
    # At bytes that are made to break them libraries raise anything, and the worker must hear of it.
    except Exception:  # noqa: BLE001
        return Raised(traceback=traceback.format_exc()[-MAX_TEXT:])


def _decode_photo(request: DecodePhoto, source: int, area: int) -> PhotoDecoded:
    image = decode_image(os.pread(source, os.fstat(source).st_size, 0), full_size=request.full_size)
    height, width = image.pixels_bgr.shape[:2]
    pages = mmap.mmap(area, image.pixels_bgr.nbytes)
    np.copyto(picture_at(pages, 0, height, width), image.pixels_bgr)
    return PhotoDecoded(width=image.width, height=image.height, pixel_width=width, pixel_height=height)


def _sample_video(channel: socket.socket, source: int, area: int) -> VideoEnded:
    with open_video(source) as video:
        sampled = VideoSampler(video)
        info = video.info
        send(channel, VideoOpened.model_validate(asdict(info)))
        slots, size = slot_count(info.width, info.height), frame_bytes(info.width, info.height)
        pages = mmap.mmap(area, slots * size)
        for number, sample in enumerate(sampled.samples()):
            if number >= slots:
                receive(channel, SLOT_FREE)
            pixels = sample.image.pixels_bgr
            np.copyto(picture_at(pages, number % slots * size, *pixels.shape[:2]), pixels)
            send(channel, FrameSampled(start_s=sample.start_s, end_s=sample.end_s, starts_scene=sample.starts_scene))
        return VideoEnded(duration_s=sampled.duration_s, frame_rate=sampled.frame_rate)
