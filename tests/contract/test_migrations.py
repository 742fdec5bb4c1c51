"""Migrations follow each other one by one: two that were made at the same time must not take the same place."""

from __future__ import annotations

from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

import api_server.database.migrations

FOLDER = Path(api_server.database.migrations.__file__).parent


def test_each_migration_follows_the_one_before_it_and_is_named_by_its_number() -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    found = list(reversed(list(ScriptDirectory.from_config(config).walk_revisions())))
    numbers = [f"{number:04}" for number in range(1, len(found) + 1)]
    assert [one.revision for one in found] == numbers
    assert [one.down_revision for one in found] == [None, *numbers[:-1]]
    files = sorted(path.name for path in (FOLDER / "versions").glob("v*.py"))
    assert [name.split("_")[0] for name in files] == [f"v{number}" for number in numbers]
