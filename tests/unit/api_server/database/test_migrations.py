from __future__ import annotations

import re
from pathlib import Path

from alembic.script import ScriptDirectory

from api_server.database import migrations

FOLDER = Path(next(iter(migrations.__path__)))


def test_migrations_follow_one_another_by_number() -> None:
    """Two that were written side by side are both valid, and a database cannot tell which comes first."""
    scripts = ScriptDirectory(str(FOLDER))
    revisions = [script.revision for script in scripts.walk_revisions()][::-1]
    assert revisions == [f"{number:04d}" for number in range(1, len(revisions) + 1)]
    files = sorted(path.name for path in (FOLDER / "versions").glob("v*.py"))
    assert [re.sub(r"\D*(\d+).*", r"\1", name) for name in files] == revisions
