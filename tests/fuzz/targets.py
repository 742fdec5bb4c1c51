"""The parsers: what each is given, what it may raise, and what it begins with."""

from __future__ import annotations

import asyncio
import hashlib
import struct
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import numpy as np
from google.protobuf.message import DecodeError

from api_server import names
from api_server.feed.position import FeedPosition, make_consistency_token, parse_consistency_token
from api_server.limits.usage import UNLIMITED
from api_server.paging import make_token, read_place, uuid_place
from api_server.uploads.body import UploadBody
from api_server.uploads.signatures import image_media_type, video_media_type
from indexer.collection import CollectionKey, CollectionView
from indexer.index import IndexImage
from indexer.snapshot_files import SnapshotInvalidError, read_snapshot, write_snapshot
from inference.errors import MediaError
from inference.faces.decode import decode_image
from inference.sandbox.memory import opened_bytes
from inference.sandbox.messages import FROM_CHILD, PhotoDecoded, Refused, VideoOpened
from inference.video.decode import open_video
from inference.video.sampling import VideoSampler
from tests.hostile.pictures import FORMATS, encoded
from tests.hostile.videos import video
from whodex.errors import InvalidArgumentError
from whodex.runtime.embedding import from_proto, to_proto
from whodex.v1 import people_service_pb2
from whodex.v1.embedding_feed_service_pb2 import COLLECTION_KIND_PEOPLE
from whodex.v1.embedding_pb2 import Embedding

ID = UUID(int=2**127 + 7)
MAX_SAMPLES = 20
MAX_UPLOAD_BYTES = 4096


@dataclass(frozen=True)
class Target:
    """A parser.

    Attributes:
        parse: is given any bytes.
        refuses: what it raises at those that are wrong; anything else is a finding.
        seeds: bytes that are right.
        max_bytes: longer inputs find no more.
    """

    parse: Callable[[bytes], object]
    refuses: tuple[type[Exception], ...]
    seeds: Callable[[], Sequence[bytes]]
    max_bytes: int = 4096


def _video(data: bytes) -> None:
    with opened_bytes(data) as descriptor, open_video(descriptor) as opened:
        for _ in zip(range(MAX_SAMPLES), VideoSampler(opened).samples(), strict=False):
            pass


def _signature(data: bytes) -> None:
    for media_type_of in (image_media_type, video_media_type):
        try:
            media_type_of(data)
        except InvalidArgumentError:
            continue


def _upload(data: bytes) -> None:
    """The first byte says how the rest is cut into chunks, the second what size was announced."""
    step, announced, rest = 1 + sum(data[:1]) % 64, sum(data[1:2]), data[2:]

    async def requests() -> AsyncIterator[people_service_pb2.UploadReferencePhotoRequest]:
        for start in range(0, len(rest), step):
            yield people_service_pb2.UploadReferencePhotoRequest(chunk=rest[start : start + step])

    async def read() -> bytes:
        body = UploadBody(
            requests(),
            announced_bytes=announced,
            max_bytes=MAX_UPLOAD_BYTES,
            room=UNLIMITED,
            media_type_of=image_media_type,
        )
        return b"".join([chunk async for chunk in body])

    assert asyncio.run(read()) == rest


def _name(data: bytes) -> None:
    text = data.decode(errors="surrogateescape")
    for collections in (names.LIBRARY, names.PERSON, names.PHOTO, names.APPEARANCE):
        try:
            ids = names.parse(text, collections)
        except InvalidArgumentError:
            continue
        assert names.parse(names.name(collections, *ids), collections) == ids


def _page_token(data: bytes) -> None:
    request = people_service_pb2.ListPeopleRequest(parent=names.name(names.LIBRARY, ID))
    request.page_token = data.decode("latin-1")
    place = read_place(request, uuid_place)
    # The digest is no secret, but nobody guesses it.
    assert place in (None, ID)


def _page_token_seeds() -> list[bytes]:
    request = people_service_pb2.ListPeopleRequest(parent=names.name(names.LIBRARY, ID))
    return [make_token(request, ID.bytes).encode(), make_token(request, b"short").encode(), b"AAAA"]


def _embedding(data: bytes) -> None:
    vector = from_proto(Embedding.FromString(data))
    assert np.isfinite(vector).all()


def _embedding_seeds() -> list[bytes]:
    unit = np.eye(1, 8, dtype=np.float32)[0]
    return [to_proto(unit, "space").SerializeToString()]


def _snapshot(data: bytes) -> None:
    """The files one after the other, each with its length before it; the checksums are made right."""
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for name in ("vectors.bin", "ids.bin", "manifest.json"):
            size = int.from_bytes(data[:2], "little")
            files[name], data = data[2 : 2 + size], data[2 + size :]
            (Path(folder) / name).write_bytes(files[name])
        sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items())
        (Path(folder) / "SHA256SUMS").write_text(sums)
        read_snapshot(Path(folder))


def _snapshot_seeds() -> list[bytes]:
    view = CollectionView(np.ones((2, 4), np.float32), np.ones((2, 16), np.uint8), np.ones(2, np.bool_), 2)
    image = IndexImage(ID, 3, {CollectionKey(ID, COLLECTION_KIND_PEOPLE, "space"): view})
    with tempfile.TemporaryDirectory() as folder:
        write_snapshot(Path(folder), image)
        contents = [(Path(folder) / name).read_bytes() for name in ("vectors.bin", "ids.bin", "manifest.json")]
    return [b"".join(struct.pack("<H", len(content)) + content for content in contents)]


def _messages() -> list[bytes]:
    messages = (
        PhotoDecoded(width=1, height=1, pixel_width=1, pixel_height=1),
        VideoOpened(duration_s=1, frame_rate=25, width=64, height=48, rotation_deg=0, codec="h264"),
        Refused(reason=6, message="No."),
    )
    return [message.model_dump_json().encode() for message in messages]


TARGETS = {
    "pictures": Target(
        decode_image, (MediaError, MemoryError), lambda: [encoded(one, (24, 16)) for one in FORMATS.values()], 16_384
    ),
    "videos": Target(_video, (MediaError, MemoryError), lambda: [video(3, (16, 16))], 16_384),
    "signatures": Target(_signature, (), lambda: [encoded(one, (24, 16))[:128] for one in FORMATS.values()], 256),
    "uploads": Target(_upload, (InvalidArgumentError,), lambda: [b"\x07\0" + encoded("PNG", (4, 4))]),
    "names": Target(_name, (), lambda: [names.name(names.PHOTO, ID, ID, ID).encode()], 256),
    "page_tokens": Target(_page_token, (InvalidArgumentError,), _page_token_seeds, 256),
    "consistency_tokens": Target(
        lambda data: parse_consistency_token(data.decode("latin-1"), epoch=ID),
        (InvalidArgumentError,),
        lambda: [make_consistency_token(FeedPosition(ID, 5)).encode()],
        256,
    ),
    "embeddings": Target(_embedding, (InvalidArgumentError, DecodeError), _embedding_seeds),
    "snapshots": Target(_snapshot, (SnapshotInvalidError,), _snapshot_seeds),
    "decoder_messages": Target(FROM_CHILD.validate_json, (ValueError,), _messages, 1024),
}
