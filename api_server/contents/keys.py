"""Where bytes are in the object store. Nothing of a key comes from a client.

The library comes first, and then whom a blob is for: whatever an attempt has written, whether its result was ever
committed or not, is found by a prefix when its library, photo or video is erased.
"""

from __future__ import annotations

from uuid import UUID

from whodex.runtime.partial import PARTIAL_PREFIX

UPLOADS = "uploads"
# What comes in over several calls, until it is whole.
PARTIAL = PARTIAL_PREFIX.rstrip("/")
# What workers write.
WORK = "work"


def upload_key(library_id: UUID, content_id: UUID) -> str:
    """Where the bytes of an upload are."""
    return f"{UPLOADS}/{library_id}/{content_id}"


def partial_key(library_id: UUID, upload_id: UUID) -> str:
    """Where the bytes of a resumable upload are until it is finished."""
    return f"{PARTIAL}/{library_id}/{upload_id}"


def unfinished_keys(library_id: UUID, upload_id: UUID) -> list[str]:
    """Where the bytes of a resumable upload may be until it is finished: the second one while that is being done."""
    return [partial_key(library_id, upload_id), upload_key(library_id, upload_id)]


def output_prefix(library_id: UUID, owner_id: UUID, work_item_id: UUID, fencing_token: int) -> str:
    """The key below which a claim writes its blobs; of a late claim, nobody will ever read them.

    Args:
        library_id: whose work it is.
        owner_id: the photo or video that it is for; the item itself for work without one.
        work_item_id: the item.
        fencing_token: of the claim.
    """
    return f"{prefix_of_work_for(library_id, owner_id)}/{work_item_id}/{fencing_token}/"


def prefix_of_work_for(library_id: UUID, owner_id: UUID) -> str:
    """Below it is what any attempt has ever written for a photo or video."""
    return f"{WORK}/{library_id}/{owner_id}"


def prefixes_of_library(library_id: UUID) -> list[str]:
    """Below them is everything of a library."""
    return [f"{folder}/{library_id}" for folder in (UPLOADS, PARTIAL, WORK)]
