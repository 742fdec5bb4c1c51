"""What a worker, its zygote and a decoder tell each other: JSON, one object a packet, its descriptors beside it.

A decoder may have been taken over by what it decodes. So whatever it says is checked: the types and ranges here, the
sense of it where it is used.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from inference.sandbox.lockdown import Layer
from inference.sandbox.memory import frame_bytes
from inference.video.probe import MAX_DURATION_S, MAX_FRAME_RATE

MAX_PACKET_BYTES = 8192
MAX_DESCRIPTORS = 2
MAX_TEXT = 2000
LOCKDOWN_FAILED = 70
"""The exit code of a child that could not lock itself down, and so has seen nothing of the media."""

Pixels = Annotated[int, Field(ge=1, le=1_000_000)]
Seconds = Annotated[float, Field(ge=0, le=MAX_DURATION_S, allow_inf_nan=False)]


FrameRate = Annotated[float, Field(gt=0, le=MAX_FRAME_RATE, allow_inf_nan=False)]


class Message(BaseModel):
    """A packet."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class ProtocolError(Exception):
    """The other side said what it cannot say, or nothing."""


# From the zygote.


class Ready(Message):
    """The zygote is isolated and waits for `Fork`."""

    kind: Literal["ready"] = "ready"
    # StrEnum values come as text.
    missing_layers: Annotated[frozenset[Layer], Field(strict=False)]


class Exited(Message):
    """A child has ended."""

    kind: Literal["exited"] = "exited"
    # As `subprocess.Popen.returncode`: below 0 a signal.
    return_code: int
    max_rss_bytes: int
    cpu_seconds: float


# To the zygote.


class Fork(Message):
    """Make a child; beside it the sockets of its work and of its life, whose end ends it."""

    kind: Literal["fork"] = "fork"
    max_cpu_seconds: int


# To a child.


class DecodePhoto(Message):
    """Decode a picture; beside it its bytes and an area for the pixels."""

    kind: Literal["decode_photo"] = "decode_photo"
    full_size: bool


class SampleVideo(Message):
    """Sample a video; beside it its bytes and an area for the slots of frames."""

    kind: Literal["sample_video"] = "sample_video"


class SlotFree(Message):
    """The frame in the oldest used slot has been copied."""

    kind: Literal["slot_free"] = "slot_free"


# From a child.


class PhotoDecoded(Message):
    """The pixels are at the start of the area: uint8 (pixel_height, pixel_width, 3), BGR."""

    kind: Literal["photo_decoded"] = "photo_decoded"
    width: Pixels
    height: Pixels
    pixel_width: Pixels
    pixel_height: Pixels

    @property
    def size_bytes(self) -> int:
        """What they take."""
        return frame_bytes(self.pixel_width, self.pixel_height)


class VideoOpened(Message):
    """What the container says of the video, as in `VideoInfo`."""

    kind: Literal["video_opened"] = "video_opened"
    duration_s: Seconds
    frame_rate: FrameRate
    width: Pixels
    height: Pixels
    rotation_deg: Literal[0, 90, 180, 270]
    codec: Annotated[str, Field(max_length=40)]


class FrameSampled(Message):
    """A frame is in the next slot: uint8 (height, width, 3) of the video, BGR, upright."""

    kind: Literal["frame_sampled"] = "frame_sampled"
    start_s: Seconds
    end_s: Seconds
    starts_scene: bool


class VideoEnded(Message):
    """All frames were decoded."""

    kind: Literal["video_ended"] = "video_ended"
    duration_s: Seconds
    frame_rate: FrameRate


class Refused(Message):
    """The media cannot be used: a `MediaError` of the decoding."""

    kind: Literal["refused"] = "refused"
    reason: int
    message: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]


class MemoryExceeded(Message):
    """The media needs more memory than there is."""

    kind: Literal["memory_exceeded"] = "memory_exceeded"


class Raised(Message):
    """The decoding raised what no decoding should."""

    kind: Literal["raised"] = "raised"
    traceback: Annotated[str, Field(max_length=MAX_TEXT)]


ToChild = DecodePhoto | SampleVideo | SlotFree
FromChild = PhotoDecoded | VideoOpened | FrameSampled | VideoEnded | Refused | MemoryExceeded | Raised

READY = TypeAdapter(Ready)
EXITED = TypeAdapter(Exited)
TO_ZYGOTE = TypeAdapter(Fork)
SLOT_FREE = TypeAdapter(SlotFree)
TO_CHILD: TypeAdapter[ToChild] = TypeAdapter(Annotated[ToChild, Field(discriminator="kind")])
FROM_CHILD: TypeAdapter[FromChild] = TypeAdapter(Annotated[FromChild, Field(discriminator="kind")])


KindT = TypeVar("KindT")


def send(channel: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Sends a packet.

    Raises:
        OSError: the other side is gone.
    """
    socket.send_fds(channel, [message.model_dump_json().encode()], descriptors)


def receive(channel: socket.socket, kinds: TypeAdapter[KindT]) -> KindT:
    """Waits for a packet; descriptors that come with it are closed.

    Raises:
        TimeoutError: none came within the channel's timeout.
        ConnectionError: the other side is gone.
        ProtocolError: the packet is none of the kinds.
    """
    return _parse(channel.recv(MAX_PACKET_BYTES), kinds)


def receive_with_descriptors(channel: socket.socket, kinds: TypeAdapter[KindT]) -> tuple[KindT, list[int]]:
    """As `receive`, for those who trust the other side; the descriptors are the caller's."""
    packet, descriptors, _, _ = socket.recv_fds(channel, MAX_PACKET_BYTES, MAX_DESCRIPTORS)
    return _parse(packet, kinds), descriptors


def _parse(packet: bytes, kinds: TypeAdapter[KindT]) -> KindT:
    if not packet:
        raise ConnectionResetError("the other side is gone")
    try:
        return kinds.validate_json(packet)
    except ValidationError as error:
        raise ProtocolError(f"{error.error_count()} errors in a packet") from error
