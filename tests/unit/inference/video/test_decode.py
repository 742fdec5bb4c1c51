import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from inference.video.decode import open_video
from inference.video.errors import (
    NoVideoStreamError,
    UnreadableVideoError,
    UnsupportedVideoCodecError,
    VideoError,
)
from whodex.v1 import failure_pb2

Write = Callable[..., Path]


def grey(count: int, *, width: int = 64, height: int = 48) -> list[Any]:
    return [np.full((height, width, 3), 3 * index % 256, np.uint8) for index in range(count)]


def noise(count: int) -> list[Any]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(count)]


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("first_pts", [0, 512, 64_000])
def test_times_count_from_the_first_frame(write_mp4: Write, first_pts: int) -> None:
    with open_video(write_mp4(grey(10), first_pts=first_pts)) as video:
        times = [(frame.start_s, frame.end_s) for frame in video.frames]
    assert times == [(index / 25, (index + 1) / 25) for index in range(10)]


def test_times_of_a_variable_frame_rate_are_exact(write_mp4: Write) -> None:
    pts = [0, 512, 5_120, 5_121, 12_800]
    with open_video(write_mp4(grey(5), pts=pts)) as video:
        assert [frame.start_s for frame in video.frames] == [ticks / 12_800 for ticks in pts]


@pytest.mark.parametrize("flags", ["", "faststart", "frag_keyframe+empty_moov"])
def test_describes_the_video(write_mp4: Write, flags: str) -> None:
    with open_video(write_mp4(grey(50, width=80), flags=flags)) as video:
        info = video.info
    assert (info.width, info.height, info.codec, info.rotation_deg) == (80, 48, "h264", 0)
    assert info.duration_s == pytest.approx(2.0, abs=0.001)
    assert info.frame_rate == pytest.approx(25.0, abs=0.01)


@pytest.mark.parametrize(("rotation_deg", "size"), [(90, (48, 64)), (180, (64, 48)), (-90, (48, 64))])
def test_describes_the_upright_picture(write_mp4: Write, rotation_deg: int, size: tuple[int, int]) -> None:
    with open_video(write_mp4(grey(5), rotation_deg=rotation_deg)) as video:
        assert video.info.rotation_deg == rotation_deg % 360
        assert (video.info.width, video.info.height) == size


def test_leaves_the_callers_descriptor_open_and_can_read_it_again(write_mp4: Write) -> None:
    descriptor = os.open(write_mp4(grey(10)), os.O_RDONLY)
    try:
        for _ in range(2):
            with open_video(descriptor) as video:
                assert len(list(video.frames)) == 10
    finally:
        os.close(descriptor)


def test_closes_what_it_opened(write_mp4: Write) -> None:
    path = write_mp4(grey(10))
    before = open_descriptors()
    with open_video(path) as video:
        next(video.frames)
    assert open_descriptors() == before


def test_refuses_a_file_without_a_video_stream(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48_000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.rate = 48_000
        container.mux(stream.encode(silence))
        container.mux(stream.encode())
    with pytest.raises(NoVideoStreamError) as caught, open_video(path):
        pass
    assert caught.value.reason == failure_pb2.FAILURE_REASON_NO_VIDEO_STREAM


def test_refuses_another_codec(write_mp4: Write) -> None:
    path = write_mp4(grey(5), codec="mpeg4")
    with pytest.raises(UnsupportedVideoCodecError, match="mpeg4") as caught, open_video(path):
        pass
    assert caught.value.reason == failure_pb2.FAILURE_REASON_UNSUPPORTED_VIDEO_CODEC


@pytest.mark.parametrize(("flags", "message"), [("", "index is missing"), ("faststart", "file ends after")])
def test_refuses_a_truncated_file(write_mp4: Write, flags: str, message: str) -> None:
    path = write_mp4(noise(50), flags=flags)
    os.truncate(path, path.stat().st_size * 2 // 3)
    with pytest.raises(UnreadableVideoError, match=message) as caught, open_video(path):
        pass
    assert caught.value.reason == failure_pb2.FAILURE_REASON_UNREADABLE_VIDEO


def test_says_where_a_damaged_stream_breaks_off(write_mp4: Write) -> None:
    path = write_mp4(noise(50), flags="faststart")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20_000] = np.random.default_rng(0).bytes(20_000)
    path.write_bytes(content)
    with pytest.raises(UnreadableVideoError, match=r"damaged after [01]\.\d\d s"), open_video(path) as video:
        list(video.frames)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"This is no video.\n",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{secret}\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile '{secret}'\n",
        b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom",
    ],
    ids=["empty", "text", "hls", "concat", "header-only"],
)
def test_refuses_what_is_no_mp4(write_mp4: Write, tmp_path: Path, content: bytes) -> None:
    """A playlist names a file that is a good video: reading it would succeed."""
    secret = write_mp4(grey(10), name="secret.mp4")
    path = tmp_path / "posing.mp4"
    path.write_bytes(content.replace(b"{secret}", str(secret).encode()))
    with pytest.raises(VideoError) as caught, open_video(path):
        pass
    assert caught.value.reason == failure_pb2.FAILURE_REASON_UNREADABLE_VIDEO


def test_titles_need_not_be_text(write_mp4: Write) -> None:
    path = write_mp4(grey(5))
    content = path.read_bytes()
    assert b"Lavf" in content
    path.write_bytes(content.replace(b"Lavf", b"\xff\xfe\xfd\xfc"))
    with open_video(path) as video:
        assert len(list(video.frames)) == 5


def test_refuses_what_is_encrypted(write_mp4: Write) -> None:
    path = write_mp4(grey(5))
    path.write_bytes(path.read_bytes().replace(b"avc1", b"encv"))
    with pytest.raises(UnsupportedVideoCodecError, match="something unknown"), open_video(path):
        pass
