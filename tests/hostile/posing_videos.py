"""Files that pose as videos, and videos that refer to other files or to addresses."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.hostile.boxes import box, edited, full_box
from tests.hostile.files import READY, Bait, HostileFile
from tests.hostile.other_pictures import named
from tests.hostile.pictures import encoded
from tests.hostile.videos import NO_STREAM, OTHER_CODEC, UNREADABLE, video, video_file


def posing_videos() -> list[HostileFile]:
    """All of them."""
    return [*_posing(), *_references()]


# What is no MP4, and names what it would like to be read.

PLAYLISTS = {
    "HLS playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{path}\n#EXTINF:10,\nhttp://{address}/a.ts\n#EXT-X-ENDLIST\n",
    "HLS playlist with a key": b'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="http://{address}/key"\n#EXTINF:1,\n{path}\n#EXT-X-ENDLIST\n',
    "concat script": b"ffconcat version 1.0\nfile '{path}'\nfile 'http://{address}/'\n",
    "DASH manifest": b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
    b"<Period><BaseURL>http://{address}/</BaseURL><AdaptationSet>"
    b'<Representation id="1" mimeType="video/mp4"><BaseURL>{path}</BaseURL></Representation>'
    b"</AdaptationSet></Period></MPD>",
    "SDP": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    b"m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "RTSP reference": b"RTSPtext\r\nrtsp://{address}/\r\n",
    "SMIL": b'<smil><body><video src="http://{address}/"/><video src="{path}"/></body></smil>',
    "ASX": b'<asx version="3.0"><entry><ref href="http://{address}/"/></entry></asx>',
    "text": b"This is no video.\n",
    "nothing": b"",
}  # fmt: skip
OTHER_CONTAINERS = ("matroska", "avi", "mpegts", "flv")


def _posing() -> Iterator[HostileFile]:
    header = box(b"ftyp", b"mp42" + bytes(4) + b"mp42isom")
    for name, data in PLAYLISTS.items():
        yield HostileFile(f"{name} as a video", True, lambda bait, data=data: named(data, bait), [UNREADABLE])
        yield HostileFile(
            f"{name} behind the header of an mp4", True, lambda bait, d=data: header + named(d, bait), [UNREADABLE]
        )
    for container in OTHER_CONTAINERS:
        yield video_file(f"{container} as an mp4", lambda c=container: video(container=c), UNREADABLE)
    for name, image_format in (("jpeg", "JPEG"), ("gif", "GIF")):
        yield video_file(f"{name} as a video", lambda f=image_format: encoded(f), UNREADABLE)
    yield video_file("heic as a video", lambda: encoded("HEIF"), UNREADABLE, NO_STREAM, OTHER_CODEC)
    yield video_file("mp4 behind a zip archive's start", lambda: b"PK\3\4" + video(), UNREADABLE)
    yield video_file("mp4 that is a playlist, too", lambda: video() + PLAYLISTS["HLS playlist"], READY, UNREADABLE)


def _references() -> Iterator[HostileFile]:
    """MP4 files whose frames are said to be in another file."""
    for name, entry in (
        ("a path", lambda bait: full_box(b"url ", bait.path.encode() + b"\0")),
        ("a file URL", lambda bait: full_box(b"url ", f"file://{bait.path}\0".encode())),
        ("an address", lambda bait: full_box(b"url ", f"http://{bait.address}/v.mp4\0".encode())),
        ("a URN", lambda bait: full_box(b"urn ", b"x\0" + f"http://{bait.address}/\0".encode())),
        ("an alias", lambda bait: full_box(b"alis", alias(bait.path))),
    ):  # fmt: skip
        yield HostileFile(
            f"mp4 whose frames are at {name}",
            True,
            lambda bait, entry=entry: edited(video(), b"dref", lambda _: struct.pack(">II", 0, 1) + entry(bait)),
            [READY, UNREADABLE],
        )
    yield HostileFile("mp4 that is a reference to another", True, _movie_reference, [UNREADABLE, NO_STREAM])


def _movie_reference(bait: Bait) -> bytes:
    data = full_box(b"rdrf", b"url " + struct.pack(">I", len(bait.path)) + bait.path.encode())
    return box(b"ftyp", b"qt  " + bytes(4)) + box(b"moov", box(b"rmra", box(b"rmda", data)))


def alias(path: str) -> bytes:
    """An alias record of classic Mac OS with the path, as QuickTime files have it."""
    record = bytearray(150)
    record[8:10] = struct.pack(">H", 2)
    tags = struct.pack(">HH", 2, len(path)) + path.encode() + bytes(len(path) % 2)
    tags += struct.pack(">HH", 18, len(path)) + path.encode() + bytes(len(path) % 2) + struct.pack(">HH", 0xFFFF, 0)
    return bytes(record) + tags
