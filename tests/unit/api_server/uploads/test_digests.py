from __future__ import annotations

import hashlib
from uuid import uuid4

from api_server.uploads.digests import Digests

UPLOAD = uuid4()


def test_a_digest_goes_on_where_it_was_kept() -> None:
    digests = Digests()
    first = digests.take(UPLOAD, 0)
    first.update(b"first")
    digests.keep(UPLOAD, 5, first)
    second = digests.take(UPLOAD, 5)
    second.update(b" second")
    digests.keep(UPLOAD, 12, second)
    offset, whole = digests.take_longest(UPLOAD)
    assert (offset, whole.digest()) == (12, hashlib.sha256(b"first second").digest())


def test_what_another_process_has_written_is_not_hashed_but_what_is_known_is_kept() -> None:
    digests = Digests()
    first = digests.take(UPLOAD, 0)
    first.update(b"first")
    digests.keep(UPLOAD, 5, first)
    unknown = digests.take(UPLOAD, 9)
    unknown.update(b"unknown")
    digests.keep(UPLOAD, 16, unknown)
    offset, known = digests.take_longest(UPLOAD)
    assert (offset, known.digest()) == (5, hashlib.sha256(b"first").digest())


def test_a_digest_that_was_taken_and_not_kept_is_forgotten() -> None:
    digests = Digests()
    digests.keep(UPLOAD, 5, hashlib.sha256(b"first"))
    digests.take(UPLOAD, 5)
    assert digests.take_longest(UPLOAD)[0] == 0


def test_the_oldest_of_too_many_are_forgotten() -> None:
    digests, ids = Digests(kept=2), [uuid4() for _ in range(3)]
    for upload in ids:
        digests.keep(upload, 5, hashlib.sha256(b"first"))
    assert [digests.take_longest(upload)[0] for upload in ids] == [0, 5, 5]
