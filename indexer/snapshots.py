"""The directory of snapshots: a cache that saves the start from reading the whole feed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from indexer.index import IndexImage
from indexer.snapshot_files import SnapshotInvalidError, read_snapshot, write_snapshot
from whodex.runtime.log import get_logger

KEPT_SNAPSHOTS = 2
_SNAPSHOT_NAME = re.compile(r"snapshot-([0-9]{8,})")
_CORRUPT_NAME = re.compile(r"snapshot-([0-9]{8,})\.corrupt")
_UNFINISHED_SUFFIX = ".unfinished"
_LOCK = "lock"
_log = get_logger()


class SnapshotDirectoryInUseError(Exception):
    """Another process has the directory."""


class SnapshotStore:
    """Numbered snapshots in one directory, of which the newest `KEPT_SNAPSHOTS` are kept.

    A snapshot appears under its name only when all of it is durable, and is never written again. Use `opened`, which
    makes sure that no other process uses the directory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._writing = threading.Lock()

    @classmethod
    @contextlib.contextmanager
    def opened(cls, directory: Path) -> Iterator[SnapshotStore]:
        """Makes the directory if need be, holds its lock, and clears away what an interrupted write left.

        Raises:
            SnapshotDirectoryInUseError: another process holds the lock.
        """
        directory.mkdir(parents=True, exist_ok=True)
        with (directory / _LOCK).open("wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise SnapshotDirectoryInUseError(f"another indexer uses {directory}") from error
            store = cls(directory)
            store._remove(directory.glob(f"*{_UNFINISHED_SUFFIX}"))
            yield store

    def write(self, image: IndexImage) -> Path:
        """Writes a snapshot; returns its path when it is durable. Safe to call from several threads.

        Raises:
            OSError: the disk is full or fails; the snapshots before stay as they are.
        """
        with self._writing:
            path = self._write(image)
            self._remove(self._named(_SNAPSHOT_NAME)[KEPT_SNAPSHOTS:])
        return path

    def purge(self, image: IndexImage) -> None:
        """Leaves no vector on disk that the image does not hold: it replaces every snapshot, set-aside ones included.

        Where there is none, none is written. When the image cannot be written, there is none afterwards: the next
        start reads more of the feed.

        Args:
            image: no image that was made before this one may be written after it.
        """
        with self._writing:
            outdated = [*self._named(_SNAPSHOT_NAME), *self._named(_CORRUPT_NAME)]
            if not outdated:
                return
            try:
                self._write(image)
            except OSError as error:
                _log.error("no snapshot written", why=str(error))
            self._remove(outdated)
            _sync_directory(self._directory)
        _log.info("older snapshots purged", snapshots=len(outdated), sequence=image.sequence)

    def load_newest(self) -> IndexImage | None:
        """Reads the newest valid snapshot and sets aside the ones that are not; None if there is none."""
        for path in self._named(_SNAPSHOT_NAME):
            try:
                image = read_snapshot(path)
            except SnapshotInvalidError as error:
                self._set_aside(path, error)
                continue
            _log.info("snapshot loaded", snapshot=path.name, epoch=str(image.epoch), sequence=image.sequence)
            return image
        return None

    def _write(self, image: IndexImage) -> Path:
        path = self._directory / f"snapshot-{self._newest_number() + 1:08d}"
        unfinished = path.with_name(path.name + _UNFINISHED_SUFFIX)
        try:
            unfinished.mkdir()
            write_snapshot(unfinished, image)
            _sync_directory(unfinished)
            unfinished.rename(path)
        except OSError:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        _sync_directory(self._directory)
        _log.info("snapshot written", snapshot=path.name, epoch=str(image.epoch), sequence=image.sequence)
        return path

    def _set_aside(self, path: Path, why: SnapshotInvalidError) -> None:
        aside = path.with_name(f"{path.name}.corrupt")
        path.rename(aside)
        # One is enough to find out what happened; more would fill the disk.
        self._remove(one for one in self._named(_CORRUPT_NAME) if one != aside)
        _log.error("snapshot set aside", snapshot=path.name, why=str(why), kept_as=str(aside))

    def _named(self, pattern: re.Pattern[str]) -> list[Path]:
        """The directory's entries of such a name, the newest first."""
        found = [(int(match[1]), path) for path in self._directory.iterdir() if (match := pattern.fullmatch(path.name))]
        return [path for _, path in sorted(found, reverse=True)]

    def _newest_number(self) -> int:
        paths = self._named(_SNAPSHOT_NAME)[:1] + self._named(_CORRUPT_NAME)[:1]
        return max((int(path.stem.removeprefix("snapshot-")) for path in paths), default=0)

    @staticmethod
    def _remove(paths: Iterable[Path]) -> None:
        for path in paths:
            shutil.rmtree(path)


def _sync_directory(path: Path) -> None:
    """Makes the entries of a directory durable, see fsync(2)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
