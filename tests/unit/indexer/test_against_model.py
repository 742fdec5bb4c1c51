"""Whatever happens to the indexer on the way, what it serves in the end is what a dictionary would hold."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.index import VectorIndex
from indexer.replica import CatchUp, Replica
from indexer.snapshots import SnapshotStore

IDS = [UUID(int=number) for number in range(8)]
LIBRARIES = [UUID(int=100), UUID(int=101)]
AXES = np.eye(8, dtype=np.float32)


class Life:
    """An indexer without its network: each method is something that happens to it."""

    def __init__(self, history: Any, directory: Path) -> None:
        self.history = history
        self.directory = directory
        self.model: dict[UUID, tuple[UUID, int]] = {}
        self.replica = Replica(None)
        self._after = 0
        self._restart = True
        self.connection_lost()

    def put(self, number: int, axis: int) -> None:
        """A person gets a vector; each has one library for life."""
        self.history.library = LIBRARIES[number % 2]
        self.history.put(IDS[number], AXES[axis])
        self.model[IDS[number]] = (self.history.library, axis)

    def remove(self, number: int, _: int) -> None:
        """A person is deleted."""
        self.history.library = LIBRARIES[number % 2]
        self.history.remove(IDS[number])
        self.model.pop(IDS[number], None)

    def message_arrives(self, *_: int) -> None:
        """The next message of the stream."""
        message = self.history.message(self._after, restart=self._restart)
        self.replica.apply(message)
        self._after, self._restart = message.watermark.sequence, False

    def connection_lost(self, *_: int) -> None:
        """The stream is opened again."""
        request = self.replica.begin_stream(from_start=False)
        self._after = request.after.sequence
        self._restart = self._after == 0

    def deletions_forgotten(self, *_: int) -> None:
        """The stream has to start from nothing."""
        self.replica.begin_stream(from_start=True)
        self._after, self._restart = 0, True

    def rebuilt(self, *_: int) -> None:
        """The whole feed is read aside."""
        rebuilt = CatchUp(None)
        for message in self.history.messages():
            rebuilt.apply(message)
        assert self.replica.adopt(rebuilt)

    def process_restarted(self, *_: int) -> None:
        """A snapshot is written and loaded."""
        if self.replica.current is None:
            return
        with SnapshotStore.opened(self.directory) as snapshots:
            snapshots.write(self.replica.current.image())
            image = snapshots.load_newest()
        assert image is not None
        self.replica = Replica(VectorIndex.from_image(image))
        self.connection_lost()

    def everything_arrives(self) -> None:
        """Nothing more happens, and the feed is read to its end."""
        self.message_arrives()
        while self.replica.current is None or self.replica.current.sequence < self.history.sequence:
            self.message_arrives()

    def served(self) -> dict[UUID, tuple[UUID, int]]:
        """What the index holds, in the model's form."""
        return {
            UUID(bytes=view.ids[row].tobytes()): (key.library, int(view.vectors[row].argmax()))
            for key, view in self.replica.serving().image().collections.items()
            for row in np.flatnonzero(view.live)
        }


HAPPENINGS = [
    Life.put,
    Life.remove,
    Life.message_arrives,
    Life.connection_lost,
    Life.deletions_forgotten,
    Life.rebuilt,
    Life.process_restarted,
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(happenings=st.lists(st.tuples(st.sampled_from(HAPPENINGS), st.integers(0, 7), st.integers(0, 7)), max_size=60))
def test_the_index_ends_up_with_what_a_dictionary_holds(
    new_history: Callable[[], Any], happenings: list[tuple[Callable[..., None], int, int]]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        life = Life(new_history(), Path(directory))
        for happening, number, axis in happenings:
            happening(life, number, axis)
        life.everything_arrives()
        assert life.served() == life.model
