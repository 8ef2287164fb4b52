"""The server's part of watching what is done without the program (5.3.5, 5.3.6): its own log, read by SQL.

Applied by the server's administrator: the embedded server does it at each start, on a real one `numune db watch` does
it with an administrator's URL. The log itself is the server's (`LOGGING`): all statements but the program's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

LOGGING = """logging_collector = on
log_destination = 'jsonlog'
log_directory = 'gunluk'
log_filename = 'numune-%m-%d.log'
log_rotation_age = 1d
log_rotation_size = 0
log_truncate_on_rotation = on
log_connections = on
"""
"""Settings of the server (postgresql.conf, a restart): a file a day, each kept for a year, every connection."""

_STATIC = Path(__file__).parent / "server_watch.sql"
_LOCK = 7_301_947
"""Two programs that start at once do not both apply it."""
_MARK = "izleme "
"""Comment of the schema `izleme`: what is applied, so that a start that changes nothing touches nothing."""


def apply(
    connection: psycopg.Connection[Any], *, program_role: str, owner: str, readers: Sequence[str], force: bool = False
) -> bool:
    """Everything that only an administrator may do, in the database of this connection. False = it was so already.

    program_role: whose statements are not logged (what people do through it is in the audit; its errors are logged
    without values). owner: puts the rows into the audit chain. readers: may ask for the log by SQL. Roles that do not
    exist are passed over. force: also where the mark says that all is there.
    Raises psycopg.errors.InsufficientPrivilege for whoever is no administrator.
    """
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
        roles = {str(row[0]) for row in connection.execute("select rolname from pg_roles").fetchall()}
        wanted = _statements(connection, roles, program_role, owner, readers)
        mark = (
            _MARK + hashlib.sha256("\n".join([_STATIC.read_text(encoding="utf-8"), *wanted]).encode()).hexdigest()[:20]
        )
        standing = connection.execute("select obj_description(to_regnamespace('izleme'))").fetchone()
        if not force and standing is not None and standing[0] == mark:
            return False
        connection.execute(_STATIC.read_bytes())
        for statement in wanted:
            connection.execute(statement.encode())
        connection.execute(sql.SQL("comment on schema izleme is {}").format(sql.Literal(mark)))
    return True


def _statements(
    connection: psycopg.Connection[Any], roles: set[str], program_role: str, owner: str, readers: Sequence[str]
) -> list[str]:
    """Settings of the log and rights, for the roles that are there."""
    row = connection.execute("select quote_ident(current_database())").fetchone()
    database = row[0] if row else ""
    made = [f"alter database {database} set log_statement = 'all'"]
    for role in roles.intersection([program_role]):
        made += [
            f"alter role {role} in database {database} set log_statement = 'none'",
            f"alter role {role} in database {database} set log_error_verbosity = 'terse'",
        ]
    for role in roles.intersection([owner]):
        made += [
            f"grant usage on schema izleme to {role}",
            f"grant select, update (zincire_alinma_zamani) on izleme.sema_gunlugu to {role}",
            f"grant execute on function izleme.gunlugu_al() to {role}",
        ]
    for role in sorted(roles.intersection(readers)):
        made += [
            f"grant usage on schema izleme to {role}",
            f"grant select on izleme.sema_gunlugu to {role}",
            f"grant execute on function izleme.erisimler(timestamptz, timestamptz, bigint) to {role}",
        ]
    return made
