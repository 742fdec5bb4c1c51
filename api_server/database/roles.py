"""Two roles of Postgres: the owner makes the tables, the application's role only uses them.

Row-level security does not hold for superusers and roles with BYPASSRLS, and an owner can turn it off. So nothing
serves as one of them.
"""

from __future__ import annotations

from psycopg import sql
from sqlalchemy import URL, Connection, text

_EXISTS = text("SELECT 1 FROM pg_roles WHERE rolname = :role")
_MAY_CREATE = text("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user")
_IS_SUPERUSER = text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
_GRANTS = (
    "GRANT USAGE ON SCHEMA public TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}",
    "REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {role}",
    # What is in the audit log stays as it was written.
    "REVOKE UPDATE, DELETE ON audit_entries FROM {role}",
    # What an erasure takes: tables are written anew, and the log is cut off behind that.
    "GRANT MAINTAIN ON ALL TABLES IN SCHEMA public TO {role}",
)
# A superuser's to give. Without them an erasure is not complete, and says what it waits for.
_GRANTS_OF_A_SUPERUSER = (
    "GRANT pg_checkpoint, pg_monitor TO {role}",
    "GRANT EXECUTE ON FUNCTION pg_switch_wal() TO {role}",
)
_RIGHTS = text("""
SELECT rolname, rolsuper, rolbypassrls,
    coalesce(bool_or(pg_has_role(relowner, 'MEMBER')), false) AS owns,
    coalesce(bool_and(has_table_privilege(pg_class.oid, 'SELECT')), true) AS reads
FROM pg_roles LEFT JOIN pg_class ON relnamespace = 'public'::regnamespace AND relkind = 'r'
WHERE rolname = current_user GROUP BY rolname, rolsuper, rolbypassrls
""")


class UnfitRoleError(Exception):
    """A role can do more than it should, or cannot be made; the message says which and what to do."""


def admit(connection: Connection, serving: URL) -> None:
    """Lets the application's role use every table; makes the role if there is none.

    Args:
        connection: the owner's, in a transaction.
        serving: the URL that the services connect by; it names the role and its password.

    Raises:
        UnfitRoleError: the URL names no role, or there is none and the owner may make none.
    """
    if not serving.username:
        raise UnfitRoleError("WHODEX_DATABASE_URL names no role: write it as postgresql+psycopg://ROLE:PASSWORD@...")
    role = sql.Identifier(serving.username)
    if connection.scalar(_EXISTS, {"role": serving.username}) is None:
        if not connection.scalar(_MAY_CREATE):
            raise UnfitRoleError(
                f"there is no role {serving.username} and the owner may make none: "
                f"run `CREATE ROLE {serving.username} LOGIN PASSWORD '...'` as a superuser"
            )
        password = sql.Literal(str(serving.password or ""))
        _execute(
            connection, sql.SQL("CREATE ROLE {role} LOGIN PASSWORD {password}").format(role=role, password=password)
        )
    for grant in _GRANTS:
        _execute(connection, sql.SQL(grant).format(role=role))
    if connection.scalar(_IS_SUPERUSER):
        for grant in _GRANTS_OF_A_SUPERUSER:
            _execute(connection, sql.SQL(grant).format(role=role))


def check(connection: Connection) -> None:
    """Makes sure that this connection's role may use the tables, and that row-level security holds for it.

    Raises:
        UnfitRoleError: it is a superuser, has BYPASSRLS, owns tables, or may not read them.
    """
    role = connection.execute(_RIGHTS).one()
    power = "is a superuser" if role.rolsuper else "has BYPASSRLS" if role.rolbypassrls else "owns the tables"
    if role.rolsuper or role.rolbypassrls or role.owns:
        raise UnfitRoleError(
            f"the role {role.rolname} {power}, so that Postgres would not keep libraries apart: "
            "let WHODEX_DATABASE_URL name another, and run `python -m api_server.database upgrade`, which makes it"
        )
    if not role.reads:
        raise UnfitRoleError(
            f"the role {role.rolname} may not read the tables: run `python -m api_server.database upgrade`"
        )


def _execute(connection: Connection, statement: sql.Composed) -> None:
    driver_connection = connection.connection.driver_connection
    if driver_connection is None:
        raise TypeError("the connection is closed")
    driver_connection.execute(statement)
