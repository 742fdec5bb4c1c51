"""New photos are compared with other people; what is found is tested with the whole stack, in test_enrolment.py."""

from __future__ import annotations

import pytest

from api_server.scheduler.look_alikes import LookAlikes
from api_server.search.peers import Index
from whodex.errors import UnavailableError
from whodex.runtime.channel import internal_channel
from whodex.v1.index_service_pb2_grpc import IndexServiceStub

LOOK = "SELECT state, look_alikes_checked, look_alike_id, look_alike_similarity FROM reference_photos ORDER BY id"


@pytest.fixture
async def without_an_index(database, free_port):
    async with internal_channel(f"127.0.0.1:{free_port}", "the-internal-token-of-the-tests") as channel:
        yield LookAlikes(database, Index(IndexServiceStub(channel)))


@pytest.fixture
async def ready_photo(rows, worker, samples):
    """A READY photo of a person; returns its id."""
    await rows.space()
    library = await rows.library()
    photo = await rows.photo(library, await rows.person(library))
    (item,) = await worker.claim(worker.photos)
    await worker.complete((item, samples.photo_result(1)))
    return photo


@pytest.mark.usefixtures("ready_photo")
async def test_while_the_index_is_away_a_photo_is_ready_and_says_that_it_was_not_compared(rows, without_an_index):
    with pytest.raises(UnavailableError):
        await without_an_index.check_due()
    assert await rows.all(LOOK) == [("ready", False, None, None)]


async def test_without_new_photos_nobody_is_asked(rows, without_an_index, worker):
    await rows.space()
    library = await rows.library()
    await rows.photo(library, await rows.person(library))
    await without_an_index.check_due()
    assert await worker.claim(worker.photos)


@pytest.mark.usefixtures("ready_photo")
async def test_a_person_who_is_deleted_is_nobodys_look_alike(rows, without_an_index):
    library = (await rows.one("SELECT library_id FROM people")).library_id
    eve, bo = await rows.person(library), await rows.person(library)
    known = "UPDATE reference_photos SET look_alikes_checked = true, look_alike_id = :eve, look_alike_similarity = 0.5"
    await rows.do(known, eve=eve)
    await rows.do("DELETE FROM people WHERE id = :bo", bo=bo)
    await without_an_index.check_due()
    assert await rows.all(LOOK) == [("ready", True, eve, 0.5)]
    await rows.do("DELETE FROM people WHERE id = :eve", eve=eve)
    await without_an_index.check_due()
    assert await rows.all(LOOK) == [("ready", True, None, None)]
