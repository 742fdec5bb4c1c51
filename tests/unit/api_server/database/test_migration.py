from __future__ import annotations

from pathlib import Path

from api_server.database import migration


def test_the_migrations_are_one_line_and_their_files_are_called_by_their_numbers() -> None:
    """Two that were made at the same time take the same number: the later one has to take the next."""
    files = sorted((Path(migration.__file__).parent / "migrations" / "versions").glob("v*.py"))
    numbers = [file.name[1:5] for file in files]
    assert numbers == [f"{number:04}" for number in range(1, len(files) + 1)]
    assert migration.expected_version() == numbers[-1]
