"""`numune db roles`: what each role may do, and making the roles on a server of one's own."""

from __future__ import annotations

import secrets
import sys
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from lis_core.storage import roles

_STATE = """
select r.rolname, r.rolcanlogin,
    (select count(*) from information_schema.role_table_grants g
     where g.grantee = r.rolname and g.privilege_type = 'SELECT' and g.table_schema = 'public'),
    (select count(*) from information_schema.role_table_grants g
     where g.grantee = r.rolname and g.privilege_type = 'INSERT' and g.table_schema = 'public'),
    (select count(*) from information_schema.role_table_grants g
     where g.grantee = r.rolname and g.privilege_type = 'DELETE' and g.table_schema = 'public')
from pg_roles r where r.rolname = any(%s)
"""


def show(url: str) -> int:
    """Say which roles there are and what they may do; 1 where one is missing."""
    with psycopg.connect(url, application_name="numune-roller") as connection:
        found = {row[0]: row[1:] for row in connection.execute(_STATE, [list(roles.ROLES)]).fetchall()}
    for role, words in roles.ROLES.items():
        if role not in found:
            print(f"{role:<20} YOK      {words}")
            continue
        signs_in, reads, adds, deletes = found[role]
        entry = "giriş var" if signs_in else "giriş yok"
        print(f"{role:<20} {entry:<9} {words}; okur {reads}, ekler {adds}, siler {deletes} tablo")
    missing = [role for role in roles.ROLES if role not in found]
    if missing:
        print("\nSunucunun yöneticisi 'numune db roles --create' çalıştırır ya da elle:")
        for role in missing:
            print(f"  create role {role} login password '...';")
    return 1 if missing else 0


def create(url: str) -> int:
    """Make the roles that are missing, each with a password that is shown once, and give all their rights."""
    with psycopg.connect(url, autocommit=True, application_name="numune-roller") as connection:
        may = connection.execute(
            "select rolsuper or rolcreaterole from pg_roles where rolname = current_user"
        ).fetchone()
        if not (may and may[0]):
            print("Bu rol başka rol oluşturamaz: sunucunun yöneticisi olarak çalıştırın.", file=sys.stderr)
            return 1
        rows = connection.execute(
            "select rolname from pg_roles where rolname = any(%s)", [list(roles.ROLES)]
        ).fetchall()
        known = {str(row[0]) for row in rows}
        for role in roles.ROLES:
            if role in known:
                print(f"{role}: vardı, parolası değişmedi")
                continue
            password = secrets.token_urlsafe(24)
            roles.create_role(connection, role)
            connection.execute(
                sql.SQL("alter role {} login password {}").format(sql.Identifier(role), sql.Literal(password))
            )
            print(f"{role}: {_with_password(url, role, password)}")
    roles.apply(url, force=True)
    return 0


def _with_password(url: str, role: str, password: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{role}:{quote(password)}@{parts.netloc.rpartition('@')[2]}"))
