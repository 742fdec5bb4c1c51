"""What a migration says of each table that it makes: whose rows are whose.

    protect("people")                   rows of a library, by their `library_id`
    protect("libraries", column="id")
    protect_from_libraries("staged_parts")

A session of a library sees and writes the rows of that library and no others; one that says nothing sees nothing. The
policies hold for the owner of the tables too (FORCE), but never for a superuser: nothing serves as one.

A migration that has been released says the same for ever, so what these functions do must not change: write others.
"""

from __future__ import annotations

from alembic import op

# In parentheses of their own: Postgres then reads the setting once per statement, not once per row.
_LIBRARY = "(SELECT nullif(current_setting('whodex.library_id', true), '')::uuid)"
_SYSTEM = "(SELECT current_setting('whodex.system', true) = 'on')"


def protect(table: str, *, column: str = "library_id") -> None:
    """Shows each row to the sessions of its library, and to those of the system."""
    protect_from_libraries(table)
    op.execute(f"CREATE POLICY own_library ON {table} USING ({column} = {_LIBRARY})")


def protect_from_libraries(table: str) -> None:
    """Shows the rows to the sessions of the system alone."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY system ON {table} USING ({_SYSTEM})")


def let_libraries_add(table: str) -> None:
    """Lets sessions of a library add rows that they cannot see."""
    op.execute(f"CREATE POLICY added_by_libraries ON {table} FOR INSERT WITH CHECK ({_LIBRARY} IS NOT NULL)")
