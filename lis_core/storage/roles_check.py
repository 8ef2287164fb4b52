"""Does the program run with no more rights than it needs, and does what it says to the server stay between them?"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.storage.roles import APPENDED

_RIGHTS = text(
    """
    select r.rolsuper as super, r.rolcreaterole as roles, r.rolbypassrls as bypass,
        pg_has_role(c.relowner, 'usage') as owner,
        has_schema_privilege('public', 'create') as creates,
        has_table_privilege('denetim', 'insert, update, delete, truncate, trigger') as audit,
        (select array_agg(name) from unnest(cast(:appended as text[])) as name
         where has_table_privilege(name, 'update, delete, truncate, trigger')) as appended
    from pg_roles r, pg_class c where r.rolname = current_user and c.oid = to_regclass('denetim')
    """
)


async def too_many(session: AsyncSession) -> list[str]:
    """What the signed-in role may do beyond the program's needs, in Turkish words; empty where nothing."""
    row = (await session.execute(_RIGHTS, {"appended": sorted(APPENDED)})).one()
    if row.super:
        return ["sunucunun yöneticisi (superuser): her kuralı kapatabilir"]
    found = [
        words
        for has, words in (
            (row.roles, "rol oluşturabiliyor"),
            (row.bypass, "satır kurallarını atlıyor"),
            (row.owner, "şemanın sahibi: tetikleyicileri kapatabilir, tabloları silebilir"),
            (row.creates and not row.owner, "şemada nesne oluşturabiliyor"),
            (row.audit and not row.owner, "denetim izini doğrudan değiştirebiliyor"),
        )
        if has
    ]
    if row.appended and not row.owner:
        found.append(f"yalnız eklenen tabloları değiştirebiliyor ({', '.join(row.appended)})")
    return found


def unprotected(url: str) -> str | None:
    """Why the line to the database server could be listened to; None where not, or where it stays on the machine."""
    parts = urlsplit(url)
    wanted = parse_qs(parts.query)
    hosts = [host for text in (parts.hostname, *wanted.get("host", ())) if text for host in text.split(",")]
    if all(_is_here(host) for host in hosts):
        return None
    mode = wanted.get("sslmode", ["prefer"])[-1]
    if mode in ("verify-full", "verify-ca"):
        return None
    if mode == "require":
        return "sslmode=require şifreler ama sunucunun kim olduğuna bakmaz; sslmode=verify-full ve sslrootcert yazın"
    return f"sslmode={mode}: hat şifresiz kalabilir; adrese sslmode=verify-full ve sslrootcert yazın"


def reached_by_everybody(url: str) -> str | None:
    """The folder of a local server's socket where every user of this machine gets at it; None where not.

    For the embedded server, which asks nobody for a password: the folder is its only door.
    """
    for folder in parse_qs(urlsplit(url).query).get("host", ()):
        if folder.startswith("/") and Path(folder).is_dir() and Path(folder).stat().st_mode & 0o007:
            return folder
    return None


def _is_here(host: str) -> bool:
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
