"""Videos that are damaged, lie, or are none."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np

from tests.hostile.boxes import Box, box, edited, find, full_box, parse, patched
from tests.hostile.files import LIMIT, READY, HostileFile
from tests.hostile.h264 import sequence_parameter_set
from tests.hostile.other_pictures import nested
from tests.hostile.pictures import flipped, zeros

UNREADABLE = "UNREADABLE_VIDEO"
NO_STREAM = "NO_VIDEO_STREAM"
OTHER_CODEC = "UNSUPPORTED_VIDEO_CODEC"
FRAMES = 25
RATE = 25
CUTS = (0.005, 0.02, 0.1, 0.4, 0.8, 0.95, 0.99)
FLIP_SEEDS = range(10)
Edit = Callable[[bytes], bytes]


def hostile_videos() -> list[HostileFile]:
    """All of them."""
    parts = (_cut, _flipped, _times, _tables, _sizes, _streams, _boxes)
    return [file for part in parts for file in part()]


def video_file(name: str, make: Callable[[], bytes], *outcomes: str, duration_s: float | None = None) -> HostileFile:
    return HostileFile(name, True, lambda _: make(), outcomes, duration_s)


@cache
def video(
    count: int = FRAMES,
    size: tuple[int, int] = (64, 48),
    container: str = "mp4",
    codec: str = "libx264",
    flags: str = "",
) -> bytes:
    """A valid video of noise; its index lies behind the frames unless a flag says otherwise."""
    rng = np.random.default_rng(0)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "video"
        options = {"movflags": flags} if flags else {}
        with av.open(str(path), "w", format=container, options=options) as output:
            stream = output.add_stream(codec, rate=RATE, width=size[0], height=size[1], pix_fmt="yuv420p")
            if codec == "libx264":
                stream.options = {"preset": "ultrafast", "x264-params": "keyint=10:repeat-headers=1:threads=1"}
            for number in range(count):
                pixels = rng.integers(0, 255, (size[1], size[0], 3), np.uint8)
                frame = av.VideoFrame.from_ndarray(pixels, format="bgr24")
                frame.pts, frame.time_base = number, Fraction(1, RATE)
                output.mux(stream.encode(frame))
            output.mux(stream.encode())
        return path.read_bytes()


def _cut() -> Iterator[HostileFile]:
    for flags in ("", "faststart", "frag_keyframe+empty_moov"):
        for share in CUTS:
            # A fragmented file that ends early is a shorter video.
            outcomes = [UNREADABLE, NO_STREAM, READY] if flags.startswith("frag") else [UNREADABLE, NO_STREAM]
            yield video_file(
                f"{flags or 'mp4'} cut after {share:.1%}", lambda f=flags, s=share: _start(video(flags=f), s), *outcomes
            )


def _start(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


def _flipped() -> Iterator[HostileFile]:
    whole = video()
    index = whole.rfind(b"moov")
    for seed in FLIP_SEEDS:
        yield video_file(
            f"mp4 with flipped bits in its index {seed}",
            lambda s=seed: whole[:index] + flipped(whole[index:], s, 4),
            READY, UNREADABLE, NO_STREAM, OTHER_CODEC, LIMIT,
        )  # fmt: skip
        yield video_file(
            f"mp4 with flipped bits in its frames {seed}",
            lambda s=seed: whole[:64] + flipped(whole[64:index], s, 40) + whole[index:],
            READY, UNREADABLE,
        )  # fmt: skip


def _times() -> Iterator[HostileFile]:
    year, most = struct.pack(">I", 2**31 - 1), struct.pack(">I", 2**32 - 1)
    # Where the fields are in the payloads: ISO/IEC 14496-12 8.2.2, 8.3.2, 8.4.2, 8.6.1.
    cases: dict[str, tuple[bytes, Edit, tuple[str, ...], float | None]] = {
        "says in its header that it lasts a month": (b"mvhd", patched(16, year), (READY,), 1),
        "says of its track that it lasts a month": (b"tkhd", patched(20, year), (READY,), 1),
        "says of its media that it lasts for ever": (b"mdhd", patched(16, most), (READY, UNREADABLE), 1),
        "says that it lasts two hours": (b"mdhd", patched(16, struct.pack(">I", 7200 * 12_800)), (READY,), 1),
        "says that it lasts no time": (b"mdhd", patched(16, bytes(4)), (READY, UNREADABLE), 1),
        "counts in units of no time": (b"mdhd", patched(12, bytes(4)), (READY, UNREADABLE), None),
        "counts in units of 4 billion a second": (b"mdhd", patched(12, most), (READY, UNREADABLE), None),
        "has 0 frames a second": (b"stts", patched(12, most), (READY, UNREADABLE), None),
        "has all its frames at once": (b"stts", patched(12, bytes(4)), (READY, UNREADABLE), None),
        "has a frame a day, and ends after a second": (
            b"stts", patched(12, struct.pack(">I", 12_800 * 86_400)), (READY,), 86_400,
        ),
        "has times for 4 billion frames": (b"stts", patched(8, most), (READY, UNREADABLE), None),
        "has 4 billion times": (b"stts", patched(4, most), (LIMIT, UNREADABLE), None),
        "begins in the past": (b"elst", patched(12, struct.pack(">i", -5_000_000)), (READY, UNREADABLE), None),
        "begins after its end": (b"elst", patched(12, year), (READY, UNREADABLE), None),
        "plays a part that is 0 long": (b"elst", patched(8, bytes(4)), (READY, UNREADABLE), None),
        "has 4 billion parts": (b"elst", patched(4, most), (READY, UNREADABLE), None),
        "plays at a speed of 0": (b"elst", patched(16, bytes(4)), (READY, UNREADABLE), None),
    }  # fmt: skip
    for name, (kind, edit, outcomes, duration_s) in cases.items():
        yield video_file(
            f"mp4 that {name}", lambda k=kind, e=edit: edited(video(), k, e), *outcomes, duration_s=duration_s
        )
    for name, delta, outcome, duration_s in (
        ("an hour", 12_800 * 3600, READY, FRAMES * 3600), ("two days", 12_800 * 2 * 86_400, UNREADABLE, None)
    ):  # fmt: skip
        yield video_file(
            f"mp4 that shows each frame for {name}",
            lambda d=delta: repeated(FRAMES, d),
            outcome,
            duration_s=duration_s,
        )
    yield video_file("mp4 whose pictures come at negative times", lambda: shifted(-(2**30)), READY, UNREADABLE)
    yield video_file("mp4 whose pictures come in wild order", lambda: shifted(None), READY, UNREADABLE)
    yield video_file("mp4 of a million tiny packets", _million_packets, UNREADABLE)
    yield video_file("mp4 of 100000 packets at once", lambda: repeated(100_000, 0), UNREADABLE)


def shifted(offset: int | None) -> bytes:
    """Composition offsets (8.6.1.3), all the same or random."""
    rng = np.random.default_rng(0)
    offsets = [int(rng.integers(-(2**24), 2**24)) if offset is None else offset for _ in range(FRAMES)]
    table = b"".join(struct.pack(">Ii", 1, value) for value in offsets)
    boxes = parse(video())
    track = find(boxes, b"trak")
    track.children = [one for one in track.children if one.kind != b"edts"]
    find(boxes, b"stbl").children.append(Box(b"ctts", struct.pack(">BxxxI", 1, FRAMES) + table))
    return b"".join(one.serialise() for one in boxes)


def repeated(count: int, delta: int) -> bytes:
    """An index that names the first frame, a keyframe, many times."""
    boxes = parse(video())
    size = struct.unpack_from(">I", find(boxes, b"stsz").payload, 12)[0]
    start = struct.unpack_from(">I", find(boxes, b"stco").payload, 8)[0]
    find(boxes, b"stsz").payload = struct.pack(">III", 0, size, count)
    find(boxes, b"stco").payload = struct.pack(">II", 0, count) + struct.pack(">I", start) * count
    find(boxes, b"stsc").payload = struct.pack(">5I", 0, 1, 1, 1, 1)
    find(boxes, b"stts").payload = struct.pack(">4I", 0, 1, count, delta)
    table = find(boxes, b"stbl")
    table.children = [one for one in table.children if one.kind != b"stss"]
    header, track = find(boxes, b"mdhd"), find(boxes, b"trak")
    header.payload = patched(16, struct.pack(">I", min(2**32 - 1, max(1, count * delta))))(header.payload)
    track.children = [one for one in track.children if one.kind != b"edts"]
    return b"".join(one.serialise() for one in boxes)


def _million_packets() -> bytes:
    return repeated(1_000_000, 1)


def _tables() -> Iterator[HostileFile]:
    most = struct.pack(">I", 2**32 - 1)
    cases: dict[str, tuple[bytes, Edit]] = {
        "4 billion sizes": (b"stsz", patched(8, most)),
        "4 billion frames of a GiB": (b"stsz", lambda _: struct.pack(">III", 0, 2**30, 2**32 - 1)),
        "frames of no bytes": (b"stsz", lambda _: struct.pack(">III", 0, 1, FRAMES)),
        "places behind its end": (b"stco", lambda p: p[:8] + most * ((len(p) - 8) // 4)),
        "its frames in its header": (b"stco", lambda p: p[:8] + bytes(len(p) - 8)),
        "4 billion places": (b"stco", patched(4, most)),
        "4 billion frames to a chunk": (b"stsc", patched(12, most)),
        "4 billion chunks": (b"stsc", patched(4, most)),
        "keyframes that are not there": (b"stss", lambda p: p[:8] + most * ((len(p) - 8) // 4)),
        "no description of its frames": (b"stsd", lambda _: bytes(8)),
        "4 billion descriptions": (b"stsd", patched(4, most)),
    }
    for name, (kind, edit) in cases.items():
        yield video_file(
            f"mp4 with {name}", lambda k=kind, e=edit: edited(video(), k, e), READY, UNREADABLE, NO_STREAM, OTHER_CODEC
        )


def _sizes() -> Iterator[HostileFile]:
    for width, height in ((65_536, 65_536), (16_384, 16_384), (8_192, 8_192), (16, 65_536), (1_048_576, 16)):
        yield video_file(
            f"mp4 that declares {width}x{height}", lambda w=width, h=height: _declares(w, h), UNREADABLE, LIMIT
        )
    yield video_file(
        "mp4 with a track of 65535x65535",
        lambda: edited(video(), b"tkhd", patched(76, b"\xff" * 8)),
        READY,
        duration_s=1,
    )
    diagonal = struct.pack(">9i", 46_341, 46_341, 0, -46_341, 46_341, 0, 0, 0, 1 << 30)
    yield video_file(
        "mp4 turned by 45 degrees", lambda: edited(video(), b"tkhd", patched(40, diagonal)), READY, duration_s=1
    )
    yield video_file(
        "mp4 turned by nothing", lambda: edited(video(), b"tkhd", patched(40, bytes(36))), READY, duration_s=1
    )
    yield video_file("mp4 of 2x2 pixels", lambda: video(size=(2, 2)), READY, duration_s=1)
    yield video_file("mp4 of 2x4096 pixels", lambda: video(3, (2, 4096)), READY)
    yield video_file("mp4 that changes its size", lambda: joined((64, 48), (320, 240)), READY, duration_s=2)
    yield video_file("mp4 that grows to 2560x1440", lambda: joined((64, 48), (2560, 1440)), READY)
    yield video_file("mp4 that shrinks to 16x16", lambda: joined((320, 240), (16, 16)), READY)


def _declares(width: int, height: int) -> bytes:
    """A parameter set of another size, in the configuration (ISO/IEC 14496-15 5.3.3) and before each keyframe."""
    known = sequence_parameter_set(width, height)
    return _with_parameter_sets(video(), known)


def _with_parameter_sets(data: bytes, unit: bytes) -> bytes:
    boxes = parse(data)
    description = find(boxes, b"stsd")
    start = description.payload.find(b"avcC") - 4
    end = start + int.from_bytes(description.payload[start : start + 4], "big")
    old = description.payload[start + 8 : end]
    length = int.from_bytes(old[6:8], "big")
    changed = box(b"avcC", old[:6] + struct.pack(">H", len(unit)) + unit + old[8 + length :])
    entry = description.payload[8:start] + changed + description.payload[end:]
    description.payload = description.payload[:8] + struct.pack(">I", len(entry)) + entry[4:]
    # Those among the frames (repeat-headers) must not correct it: an unspecified type of NAL unit is skipped.
    find(boxes, b"mdat").payload = find(boxes, b"mdat").payload.replace(
        old[8 : 8 + length], b"\x1f" + old[9 : 8 + length]
    )
    return b"".join(one.serialise() for one in boxes)


def joined(*sizes: tuple[int, int]) -> bytes:
    """Videos one after the other in one stream, each with its parameter sets before its keyframes."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        stream = None
        offset = 0
        for size in sizes:
            with av.open(io.BytesIO(video(FRAMES if max(size) < 1000 else 3, size))) as part:
                source = part.streams.video[0]
                stream = stream or output.add_stream_from_template(source)
                for packet in part.demux(source):
                    if packet.dts is None:
                        continue
                    packet.pts, packet.dts, packet.stream = packet.pts + offset, packet.dts + offset, stream
                    output.mux(packet)
                offset += int(source.duration)
    return buffer.getvalue()


def _streams() -> Iterator[HostileFile]:
    yield video_file(
        "mp4 without a keyframe", lambda: _filtered(lambda packet: not packet.is_keyframe), UNREADABLE, READY
    )
    yield video_file(
        "mp4 of one frame in ten", lambda: _filtered(lambda packet: packet.pts // 512 % 10 == 3), UNREADABLE, READY
    )
    yield video_file("mp4 of MPEG-4 part 2", lambda: video(codec="mpeg4"), OTHER_CODEC)
    for tag in (b"hvc1", b"av01", b"vp09", b"mp4v", b"encv", b"jpeg", b"raw ", b"tx3g", b"drac"):
        yield video_file(
            f"mp4 that says its frames are {tag.decode().strip()}",
            lambda t=tag: video().replace(b"avc1", t),
            OTHER_CODEC, UNREADABLE, NO_STREAM, READY,
        )  # fmt: skip
    yield video_file("mp4 of sound alone", _sound, NO_STREAM)
    yield video_file(
        "mp4 of subtitles alone", lambda: video().replace(b"vide", b"text"), NO_STREAM, UNREADABLE, READY, OTHER_CODEC
    )
    yield video_file(
        "mp4 whose frames are zeros", lambda: edited(video(), b"mdat", lambda p: bytes(len(p))), UNREADABLE
    )
    yield video_file(
        "mp4 whose frames are random",
        lambda: edited(video(), b"mdat", lambda p: np.random.default_rng(0).bytes(len(p))),
        UNREADABLE,
    )


def _filtered(keep: Callable[[av.Packet], bool]) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as output, av.open(io.BytesIO(video())) as source:
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None and keep(packet):
                packet.stream = stream
                output.mux(packet)
    return buffer.getvalue()


def _sound() -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        stream = output.add_stream("aac", rate=48_000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.rate = 48_000
        output.mux(stream.encode(silence))
        output.mux(stream.encode())
    return buffer.getvalue()


def _boxes() -> Iterator[HostileFile]:
    header = box(b"ftyp", b"mp42" + bytes(4) + b"mp42isom")
    index = next(one for one in parse(video()) if one.kind == b"moov")
    track = find([index], b"trak").serialise()
    bomb = box(b"cmov", box(b"dcom", b"zlib") + box(b"cmvd", struct.pack(">I", 2**30) + zeros(2**30)))
    title = box(b"data", bytes(8), size=2**31)
    run = full_box(b"tfhd", struct.pack(">I", 1)) + full_box(b"trun", b"\xff" * 64, flags=0xF01)
    fragment = full_box(b"mfhd", bytes(4)) + box(b"traf", run)
    cases: dict[str, tuple[bytes, tuple[str, ...]]] = {
        "100000 nested boxes": (box(b"moov", nested(b"trak", 100_000)), (UNREADABLE, NO_STREAM, LIMIT)),
        "an index of 100 nested indexes": (box(b"moov", nested(b"moov", 100)), (UNREADABLE, NO_STREAM)),
        "an index packed from a GiB": (box(b"moov", bomb), (UNREADABLE, NO_STREAM, LIMIT)),
        "a box of 2^63 bytes": (b"\0\0\0\1moov" + struct.pack(">Q", 2**63 - 1) + bytes(100), (UNREADABLE, NO_STREAM)),
        "a box of 1 byte": (box(b"moov", bytes(100), size=1), (UNREADABLE,)),
        "a box of 7 bytes": (box(b"moov", bytes(100), size=7), (UNREADABLE,)),
        "an index without end": (box(b"moov", bytes(10_000), size=0), (UNREADABLE, NO_STREAM)),
        "5000 tracks": (box(b"moov", find([index], b"mvhd").serialise() + track * 5_000), (UNREADABLE, READY, LIMIT)),
        "100000 free boxes": (box(b"free") * 100_000, (UNREADABLE,)),
        "an empty index": (box(b"moov"), (UNREADABLE, NO_STREAM)),
        "a title of 2 GiB": (
            box(b"moov", box(b"udta", full_box(b"meta", box(b"ilst", box(b"\xa9nam", title))))),
            (UNREADABLE, NO_STREAM),
        ),
        "a fragment of 4 billion frames": (index.serialise() + box(b"moof", fragment), (UNREADABLE,)),
    }
    for name, (content, outcomes) in cases.items():
        yield video_file(f"mp4 with {name}", lambda content=content: header + content, *outcomes)
    unpacked = zlib.compress(index.serialise())
    yield video_file(
        "mp4 with a packed index",
        lambda: (
            b"".join(one.serialise() for one in parse(video()) if one.kind != b"moov")
            + box(
                b"moov",
                box(
                    b"cmov", box(b"dcom", b"zlib") + box(b"cmvd", struct.pack(">I", len(index.serialise())) + unpacked)
                ),
            )
        ),
        READY,
        duration_s=1,
    )
