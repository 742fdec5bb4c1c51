"""Pictures and videos of strangers, decoded where they can do no harm."""

from __future__ import annotations

import itertools
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from PIL import Image

from inference.errors import MediaError
from inference.faces.decode import DecodedImage
from inference.faces.errors import ImageTooLargeError, UnreadableImageError
from inference.sandbox.errors import DecoderCrashedError, DecodingLimitError, SandboxError
from inference.sandbox.lockdown import MAX_MEMORY_BYTES, Layer
from inference.sandbox.memory import (
    FULL_SIZE_AREA_BYTES,
    MIN_SLOTS,
    PHOTO_AREA_BYTES,
    VIDEO_AREA_BYTES,
    frame_bytes,
    map_for_reading,
    opened_area,
    opened_bytes,
    picture_at,
    slot_count,
)
from inference.sandbox.messages import (
    FROM_CHILD,
    LOCKDOWN_FAILED,
    DecodePhoto,
    Exited,
    FrameSampled,
    MemoryExceeded,
    Message,
    PhotoDecoded,
    ProtocolError,
    Raised,
    Refused,
    SampleVideo,
    SlotFree,
    VideoEnded,
    VideoOpened,
)
from inference.sandbox.process import Child, ChildDiedError, Zygote
from inference.video.errors import NoVideoStreamError, UnreadableVideoError, UnsupportedVideoCodecError
from inference.video.probe import VideoInfo
from inference.video.sampling import Sample
from whodex.runtime.log import get_logger

MAX_PHOTOS: Final = 8
"""For one child, as many as a claim has."""


@dataclass(frozen=True)
class Limits:
    """How long decoding may take.

    Attributes:
        photo_seconds: for one picture. A valid one of 100 megapixels takes 2 s, and several times that on a machine
            that does much else.
        stall_seconds: between two samples of a video, which are a fifth of a second of it. Below the 30 s in which an
            item without progress loses its lease.
        video_cpu_seconds: for a whole video: two threads for the six hours that it may take, see tasks.proto.
    """

    photo_seconds: int = 15
    stall_seconds: int = 20
    video_cpu_seconds: int = 12 * 3600


_REFUSALS: Final[dict[int, type[MediaError]]] = {
    kind.reason: kind
    for kind in (
        UnreadableImageError,
        ImageTooLargeError,
        UnreadableVideoError,
        NoVideoStreamError,
        UnsupportedVideoCodecError,
    )
}
_TOO_MUCH_MEMORY = f"more than {MAX_MEMORY_BYTES / 2**30:.1f} GiB of memory"
_log = get_logger()

Answer = PhotoDecoded | VideoOpened | FrameSampled | VideoEnded
DecodePhotoBytes = Callable[[bytes], DecodedImage]


class Decoder:
    """Decodes each file in a process of its own; any number of threads may call.

    Below it a zygote runs from the first call, or `start`, to `close`.

    Args:
        limits: for each file.
        on_end: is told of each child how it ended and what it used.
    """

    def __init__(self, limits: Limits = Limits(), on_end: Callable[[Exited], None] = lambda _: None) -> None:
        self._limits = limits
        self._on_end = on_end
        self._zygote: Zygote | None = None
        self._lock = threading.Lock()

    def start(self) -> frozenset[Layer]:
        """Starts the sandbox, unless it runs.

        Returns:
            The layers that this machine lacks.

        Raises:
            SandboxError: it does not start.
        """
        return self._running().missing_layers

    def check(self) -> frozenset[Layer]:
        """Starts the sandbox, and decodes a picture in it.

        Returns:
            As `start`.

        Raises:
            SandboxError: it does not start, or no child can be locked down or decodes.
        """
        missing = self.start()
        ours = BytesIO()
        Image.new("RGB", (16, 16)).save(ours, "JPEG")
        try:
            self.decode_photo(ours.getvalue())
        except MediaError as error:
            raise SandboxError(f"the decoders' sandbox cannot decode a picture of ours: {error}") from error
        _log.info("decoders are locked down", missing_layers=sorted(missing))
        return missing

    def close(self) -> None:
        """Ends it, and whatever it decodes."""
        with self._lock:
            if self._zygote is not None:
                self._zygote.close()
                self._zygote = None

    def decode_photo(self, data: bytes, *, full_size: bool = False) -> DecodedImage:
        """Decodes one picture; see `photos`."""
        with self._decoding("picture", self._limits.photo_seconds) as decoding:
            return decoding.photo(data, full_size=full_size)

    @contextmanager
    def photos(self) -> Iterator[DecodePhotoBytes]:
        """Yields what decodes up to `MAX_PHOTOS` pictures as `inference.faces.decode.decode_image` does.

        One child decodes them all, so they must be of one library. What is yielded raises:
            MediaError: the picture cannot be decoded within the limits. Where that ended the child, the next one
                raises SandboxError.
            SandboxError: the sandbox is broken.
        """
        with self._decoding("picture", MAX_PHOTOS * self._limits.photo_seconds) as decoding:
            yield decoding.photo

    @contextmanager
    def open_video(self, descriptor: int) -> Iterator[SandboxedVideo]:
        """Opens a video as `inference.video.decode.open_video` does, and samples it.

        Args:
            descriptor: open for reading, and of no other use meanwhile.

        Raises:
            MediaError: the video cannot be opened within the limits.
            SandboxError: the sandbox is broken.
        """
        cpu_seconds = self._limits.video_cpu_seconds
        with self._decoding("video", cpu_seconds) as decoding, opened_area(VIDEO_AREA_BYTES) as area:
            yield SandboxedVideo(decoding, decoding.video(descriptor, area), area)

    @contextmanager
    def _decoding(self, medium: str, max_cpu_seconds: int) -> Iterator[_Decoding]:
        with self._running().forked(max_cpu_seconds) as child:
            decoding = _Decoding(child, medium, self._limits)
            try:
                yield decoding
            finally:
                self._on_end(decoding.end())

    def _running(self) -> Zygote:
        with self._lock:
            if self._zygote is not None and not self._zygote.is_alive():
                _log.error("the decoders' sandbox has ended, and is started again")
                self._zygote.close()
                self._zygote = None
            if self._zygote is None:
                self._zygote = Zygote()
            return self._zygote


class _Decoding:
    """A child, and what it means for the media when it does not answer as it should.

    Args:
        child: the process.
        medium: "picture" or "video", for messages.
        limits: how long it may take.
    """

    def __init__(self, child: Child, medium: str, limits: Limits) -> None:
        self._child = child
        self._medium = medium
        self._limits = limits
        self._exited: Exited | None = None

    def photo(self, data: bytes, *, full_size: bool = False) -> DecodedImage:
        """Decodes a picture."""
        area_bytes = FULL_SIZE_AREA_BYTES if full_size else PHOTO_AREA_BYTES
        with opened_bytes(data) as source, opened_area(area_bytes) as area:
            self.ask(DecodePhoto(full_size=full_size), source, area)
            answer = self.answer(self._limits.photo_seconds)
            if not isinstance(answer, PhotoDecoded) or answer.size_bytes > area_bytes:
                raise self.crashed(f"it says {answer}")
            pages = map_for_reading(area, answer.size_bytes)
        pixels = picture_at(pages, 0, answer.pixel_height, answer.pixel_width)
        return DecodedImage(pixels, answer.width, answer.height)

    def video(self, descriptor: int, area: int) -> VideoInfo:
        """Begins to sample a video."""
        self.ask(SampleVideo(), descriptor, area)
        answer = self.answer(self._limits.stall_seconds)
        if not isinstance(answer, VideoOpened) or slot_count(answer.width, answer.height) < MIN_SLOTS:
            raise self.crashed(f"it says {answer}")
        return VideoInfo(**answer.model_dump(exclude={"kind"}))

    def frame(self) -> Answer:
        """Waits for the next sample of a video, or its end."""
        return self.answer(self._limits.stall_seconds)

    def ask(self, request: Message, *descriptors: int) -> None:
        """Sends a request."""
        try:
            self._child.ask(request, descriptors)
        except ChildDiedError:
            raise self._died() from None

    def answer(self, max_seconds: int) -> Answer:
        """Waits for an answer.

        Raises:
            MediaError: the child refuses the media, or cannot cope with it.
        """
        try:
            answer = self._child.answer(FROM_CHILD, max_seconds)
        except TimeoutError:
            raise self._over_limit(f"more than {max_seconds} seconds") from None
        except ProtocolError as error:
            raise self.crashed(str(error)) from error
        except ChildDiedError:
            raise self._died() from None
        if isinstance(answer, Refused) and answer.reason in _REFUSALS:
            raise _REFUSALS[answer.reason](answer.message)
        if isinstance(answer, MemoryExceeded):
            raise self._over_limit(_TOO_MUCH_MEMORY)
        if isinstance(answer, Refused | Raised):
            raise self.crashed(f"it says {answer}")
        return answer

    def end(self) -> Exited:
        """Kills the child, if it has not ended, and says how it did."""
        if self._exited is None:
            self._exited = self._child.end()
        return self._exited

    def crashed(self, what: str) -> DecoderCrashedError:
        """Logs what happened; returns what to tell the user."""
        _log.warning("a decoder crashed", medium=self._medium, what=what)
        return DecoderCrashedError(
            f"The {self._medium} made its decoder crash: it is damaged, or made to do harm; export it again and upload"
            " that."
        )

    def _died(self) -> DecodingLimitError | DecoderCrashedError:
        code = self.end().return_code
        if code == LOCKDOWN_FAILED:
            raise SandboxError("a decoder could not be locked down: the kernel refuses what it did at the start")
        if code == -signal.SIGXCPU:
            return self._over_limit("too much computing time")
        # By nobody but the kernel, when the machine or the container has no memory left.
        if code == -signal.SIGKILL:
            return self._over_limit(_TOO_MUCH_MEMORY)
        return self.crashed(f"it ended with {code}")

    def _over_limit(self, what: str) -> DecodingLimitError:
        _log.warning("a decoder was stopped", medium=self._medium, what=what)
        return DecodingLimitError(
            f"Decoding the {self._medium} takes {what}; upload a smaller copy, or export it again."
        )


class SandboxedVideo:
    """A video that a child samples; implements `inference.video.sampling.SampledVideo`.

    Args:
        decoding: the child.
        info: what its container says of the video.
        area: where the frames come.
    """

    def __init__(self, decoding: _Decoding, info: VideoInfo, area: int) -> None:
        self.info = info
        self.duration_s = info.duration_s
        self.frame_rate = info.frame_rate
        self._decoding = decoding
        self._area = area

    def samples(self) -> Iterator[Sample]:
        """See `SampledVideo`; each frame is a copy."""
        size, slots = frame_bytes(self.info.width, self.info.height), slot_count(self.info.width, self.info.height)
        pages = map_for_reading(self._area, slots * size)
        reached_s = 0.0
        for number in itertools.count():
            answer = self._decoding.frame()
            if isinstance(answer, VideoEnded):
                self.duration_s, self.frame_rate = answer.duration_s, answer.frame_rate
                return
            if not isinstance(answer, FrameSampled) or not reached_s <= answer.start_s <= answer.end_s:
                raise self._decoding.crashed(f"it says {answer}")
            reached_s = answer.start_s
            pixels = picture_at(pages, number % slots * size, self.info.height, self.info.width).copy()
            self._decoding.ask(SlotFree())
            yield Sample(answer.start_s, answer.end_s, answer.starts_scene, DecodedImage.from_pixels(pixels))
