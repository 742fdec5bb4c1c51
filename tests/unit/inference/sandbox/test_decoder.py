"""The sandbox for real: processes, descriptors, shared memory."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
from PIL import Image

from inference.errors import MediaError
from inference.faces.decode import decode_image
from inference.faces.errors import UnreadableImageError
from inference.sandbox.decoder import Decoder, Limits, SandboxedVideo, _Decoding
from inference.sandbox.errors import DecoderCrashedError, DecodingLimitError, SandboxError
from inference.sandbox.lockdown import MAX_MEMORY_BYTES
from inference.sandbox.memory import VIDEO_AREA_BYTES, opened_area
from inference.sandbox.messages import Exited, FrameSampled, PhotoDecoded, Raised, Refused, VideoOpened
from inference.sandbox.process import Child
from inference.video.decode import open_video
from inference.video.errors import UnreadableVideoError
from inference.video.sampling import VideoSampler
from tests.pictures.encodings import encodings
from whodex.v1 import failure_pb2


def picture(image_format: str = "JPEG", size: tuple[int, int] = (320, 200)) -> bytes:
    encoded = BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(encoded, image_format)
    return encoded.getvalue()


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8 s at 25 frames a second: 41 samples, more than the decoder may be ahead."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, width=160, height=96, pix_fmt="yuv420p")
        for number in range(200):
            if number % 50 == 0:
                background = np.kron(rng.integers(0, 255, (6, 10, 3)), np.ones((16, 16, 1))).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(background, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_every_kind_of_picture_comes_out_as_it_does_without_a_sandbox(decoder: Decoder) -> None:
    """Whatever a library would import or read at its first use must be there before the child is locked down."""
    pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    for encoding in encodings():
        data = encoding.encode(pixels)
        expected = decode_image(data)
        decoded = decoder.decode_photo(data)
        assert (decoded.width, decoded.height) == (expected.width, expected.height), encoding.name
        np.testing.assert_array_equal(decoded.pixels_bgr, expected.pixels_bgr, encoding.name)


def test_a_large_picture_keeps_its_size(decoder: Decoder) -> None:
    decoded = decoder.decode_photo(picture(size=(4000, 3000)))
    assert (decoded.width, decoded.height) == (4000, 3000)
    assert decoded.pixels_bgr.shape == (1500, 2000, 3)


def test_a_large_picture_keeps_every_pixel_where_that_is_asked_for(decoder: Decoder) -> None:
    data = picture(size=(5000, 5000))
    decoded = decoder.decode_photo(data, full_size=True)
    np.testing.assert_array_equal(decoded.pixels_bgr, decode_image(data, full_size=True).pixels_bgr)
    assert decoded.pixels_bgr.shape == (5000, 5000, 3)


def test_a_video_comes_out_as_it_does_without_a_sandbox(decoder: Decoder, film: Path) -> None:
    with open_video(film) as video:
        sampler = VideoSampler(video)
        expected = list(sampler.samples())

    with film.open("rb") as file, decoder.open_video(file.fileno()) as sandboxed:
        samples = list(sandboxed.samples())

    assert sandboxed.info == sampler.info
    assert (sandboxed.duration_s, sandboxed.frame_rate) == (sampler.duration_s, sampler.frame_rate) == (8, 25)
    assert len(samples) == len(expected) == 40
    for sample, other in zip(samples, expected, strict=True):
        assert (sample.start_s, sample.end_s, sample.starts_scene) == (other.start_s, other.end_s, other.starts_scene)
        np.testing.assert_array_equal(sample.image.pixels_bgr, other.image.pixels_bgr)


def test_what_the_media_lack_is_said_as_without_a_sandbox(decoder: Decoder, tmp_path: Path) -> None:
    half = picture()[:3000]
    with pytest.raises(UnreadableImageError, match="upload an intact copy"):
        decoder.decode_photo(half)
    (tmp_path / "text.mp4").write_text("no video")
    with (
        (tmp_path / "text.mp4").open("rb") as file,
        pytest.raises(UnreadableVideoError, match="is no MP4 video"),
        decoder.open_video(file.fileno()),
    ):
        pass


def test_a_child_decodes_on_after_a_picture_that_it_refuses(decoder: Decoder) -> None:
    with decoder.photos() as decode:
        with pytest.raises(UnreadableImageError):
            decode(b"no picture")
        assert decode(picture()).width == 320


def test_threads_share_a_sandbox(decoder: Decoder) -> None:
    sizes = [(100 + number, 50) for number in range(24)]
    with ThreadPoolExecutor(4) as executor:
        decoded = list(executor.map(lambda size: decoder.decode_photo(picture(size=size)), sizes))
    assert [(image.width, image.height) for image in decoded] == sizes


def test_nothing_stays_of_a_decoding(decoder: Decoder, film: Path) -> None:
    decoder.decode_photo(picture())
    ours = psutil.Process().num_fds()
    for _ in range(3):
        decoder.decode_photo(picture())
        with film.open("rb") as file, decoder.open_video(file.fileno()) as video:
            next(video.samples())
    assert psutil.Process().num_fds() == ours
    assert zygote(decoder).children() == []
    # The standard ones, the worker's socket, /dev/null, the selector, and the socket of a child that is just gone.
    assert zygote(decoder).num_fds() <= 7


def zygote(decoder: Decoder) -> psutil.Process:
    assert decoder._zygote is not None
    return psutil.Process(decoder._zygote.pid)


@pytest.fixture
def sampling(decoder: Decoder, film: Path) -> Iterator[SandboxedVideo]:
    """A child that waits until its first frames are fetched."""
    with ExitStack() as stack:
        file = stack.enter_context(film.open("rb"))
        yield stack.enter_context(decoder.open_video(file.fileno()))


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (signal.SIGSEGV, DecoderCrashedError),
        (signal.SIGABRT, DecoderCrashedError),
        (signal.SIGXCPU, DecodingLimitError),
        (signal.SIGKILL, DecodingLimitError),  # as the kernel does when memory runs out
        (signal.SIGSTOP, DecodingLimitError),
    ],
)
def test_a_child_that_ends_or_hangs_fails_its_file_alone(
    decoder: Decoder, sampling: SandboxedVideo, number: signal.Signals, error: type[MediaError]
) -> None:
    (child,) = zygote(decoder).children()

    child.send_signal(number)

    with pytest.raises(error) as caught:
        list(sampling.samples())
    assert caught.value.message.endswith(".")
    assert decoder.decode_photo(picture()).width == 320


@pytest.mark.skipif(os.geteuid() != 0, reason="nobody but root can look into a child")
def test_a_child_holds_its_own_file_and_nothing_else(decoder: Decoder, sampling: SandboxedVideo, film: Path) -> None:
    with decoder.photos():
        child = zygote(decoder).children()[0]
        held = [entry.readlink() for entry in Path(f"/proc/{child.pid}/fd").iterdir()]
    assert {path for path in held if not str(path).startswith("socket:")} == {
        Path("/dev/null"),
        Path("/memfd:output (deleted)"),
        film,
    }
    assert len([path for path in held if str(path).startswith("socket:")]) == 1
    assert sampling.info.codec == "h264"


def test_secrets_of_the_service_stay_out_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHODEX_INTERNAL_TOKEN", "a-secret")
    with closing(Decoder()) as decoder:
        decoder.start()
        assert "a-secret" not in str(zygote(decoder).environ())


def test_a_zygote_that_is_killed_is_replaced(film: Path) -> None:
    with closing(Decoder()) as decoder, film.open("rb") as file:
        with pytest.raises(SandboxError), decoder.open_video(file.fileno()) as video:  # noqa: PT012
            process = zygote(decoder)
            (child,) = process.children()
            process.kill()
            list(video.samples())
        assert child.wait(10) is None
        assert decoder.decode_photo(picture()).width == 320


def test_closing_ends_what_is_decoded(film: Path) -> None:
    decoder = Decoder()
    with film.open("rb") as file, pytest.raises(SandboxError), decoder.open_video(file.fileno()):  # noqa: PT012
        process = zygote(decoder)
        children = process.children()
        decoder.close()
        assert not process.is_running()
        assert [child.wait(10) for child in children] == [None]


def test_zygote_and_child_end_with_their_worker(film: Path) -> None:
    script = f"""
import sys, time
from inference.sandbox.decoder import Decoder
decoder = Decoder()
with open({str(film)!r}, "rb") as file, decoder.open_video(file.fileno()):
    print(decoder._zygote.pid, flush=True)
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        process = psutil.Process(int(worker.stdout.readline()))
        family = [process, *process.children()]
        assert len(family) == 2
        worker.kill()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []


def test_a_sandbox_that_does_not_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SandboxError, match=r"the decoders' sandbox does not start: .* \(exit code 1\)"):
        Decoder().check()


def test_what_a_child_used_is_told(film: Path) -> None:
    ends: list[Exited] = []
    with closing(Decoder(on_end=ends.append)) as decoder:
        decoder.decode_photo(picture())
        with film.open("rb") as file, decoder.open_video(file.fileno()) as video:
            list(video.samples())
    assert len(ends) == 2
    assert all(30 * 2**20 < end.max_rss_bytes < MAX_MEMORY_BYTES and end.cpu_seconds > 0 for end in ends)


# A child that was taken over says what it likes.


@pytest.fixture
def taken_over() -> Iterator[tuple[_Decoding, socket.socket]]:
    """A worker's view of a child, and the socket that the child would have."""
    work, childs_work = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    life, zygotes_life = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with work, childs_work, life, zygotes_life:
        yield _Decoding(Child(work, life), "picture", Limits(photo_seconds=5, stall_seconds=5)), childs_work


OPENED = VideoOpened(duration_s=1, frame_rate=25, width=64, height=48, rotation_deg=0, codec="h264")


@pytest.mark.parametrize(
    "packet",
    [
        b"\xff",
        b"[]",
        b"{}",
        b'{"kind": "photo_decoded"}',
        b'{"kind": "photo_decoded", "width": 1, "height": 1, "pixel_width": -1, "pixel_height": -1}',
        b'{"kind": "photo_decoded", "width": 1, "height": 1, "pixel_width": 1e9, "pixel_height": 1}',
        b'{"kind": "photo_decoded", "width": 1, "height": 1, "pixel_width": "1", "pixel_height": 1}',
        PhotoDecoded(width=1, height=1, pixel_width=30_000, pixel_height=30_000).model_dump_json().encode(),
        OPENED.model_dump_json().encode(),
        Raised(traceback="ZeroDivisionError").model_dump_json().encode(),
        Refused(reason=failure_pb2.FAILURE_REASON_CONTENT_MISSING, message="Mine.").model_dump_json().encode(),
        b"x" * 8192,
    ],
)
def test_nonsense_about_a_picture_is_a_crash(taken_over: tuple[_Decoding, socket.socket], packet: bytes) -> None:
    decoding, child = taken_over
    child.send(packet)
    with pytest.raises(DecoderCrashedError):
        decoding.photo(picture())


@pytest.mark.parametrize(
    "opened",
    [
        OPENED.model_copy(update={"width": 100_000, "height": 100_000}),
        OPENED.model_copy(update={"duration_s": float("inf")}),
        OPENED.model_copy(update={"frame_rate": 0.0}),
        OPENED.model_copy(update={"rotation_deg": 45}),
    ],
)
def test_nonsense_about_a_video_is_a_crash(
    taken_over: tuple[_Decoding, socket.socket], opened: VideoOpened, film: Path
) -> None:
    decoding, child = taken_over
    child.send(opened.model_dump_json(warnings=False).encode())
    with film.open("rb") as file, pytest.raises(DecoderCrashedError):
        decoding.video(file.fileno(), file.fileno())


def test_samples_that_run_backwards_are_a_crash(taken_over: tuple[_Decoding, socket.socket]) -> None:
    decoding, child = taken_over
    child.send(OPENED.model_dump_json().encode())
    for start_s in (1.0, 0.5):
        child.send(FrameSampled(start_s=start_s, end_s=2, starts_scene=True).model_dump_json().encode())
    with opened_area(VIDEO_AREA_BYTES) as area:
        samples = SandboxedVideo(decoding, decoding.video(area, area), area).samples()
        assert next(samples).start_s == 1
        with pytest.raises(DecoderCrashedError):
            next(samples)
