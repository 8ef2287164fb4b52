"""Who may do what in the database: the schema's owner, the running program, statistics, the audit.

The program works as `numune_uygulama`, which cannot change the schema, cannot switch a trigger off and cannot touch
what is only ever appended to; so a fault in it, or somebody who speaks SQL through it, cannot either. Rights are given
by the owner after each migration (`apply`), from the lists here and `roles.sql`; what no list names is read, added and
changed, never deleted.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

log = logging.getLogger(__name__)

OWNER = "numune_sahip"
APPLICATION = "numune_uygulama"
READING = "numune_okuma"
READING_RESULTS = "numune_okuma_sonuc"
AUDIT = "numune_denetim"

ROLES: dict[str, str] = {
    OWNER: "şemanın sahibi: yalnız kurulum, güncelleme, yedek",
    APPLICATION: "çalışan program",
    READING: "istatistik: katalog, sayılar, zamanlar; sonuç ve kimlik yok",
    READING_RESULTS: "istatistik + klinik onaylı sonuçlar, kimliksiz (rapor.onayli_sonuc); ayrıca verilir",
    AUDIT: "denetim izini okur, doğrular, ekler",
}

APPENDED = frozenset({"tetkik_sonuc", "onay", "numune_hareket", "sonuc_ayrintisi", "sonuc_reaktifi"})
"""The application adds rows and never changes one."""

READ_ONLY = frozenset({"denetim", "denetim_zinciri", "saklama_kurali", "alembic_version", "veritabani_gunlugu"})
"""The application only reads: the audit grows by the function `denetim_ekle`, rules of retention are the owner's."""

COLUMNS: dict[str, frozenset[str]] = {"denetim_dogrulama": frozenset({"yeniden_sira"})}
"""Of these tables the application and the audit change the named columns only, and add nothing."""

KEPT: dict[str, frozenset[str]] = {
    "ham_mesaj": frozenset({"ham_mesaj_kodu", "anahtar", "alinma_zamani", "protokol", "kayit_zamani"})
}
"""Columns that the application never changes in tables that it otherwise may."""

DELETED = frozenset(
    {
        "baglanti_denemesi", "baglanti_izleme", "baglanti_olayi", "baglanti_trafigi", "basarisiz_giris",
        "bekleyen_dogrulama", "dis_kimlik", "erisim_belirteci", "giden_kutusu", "guvenlik_anahtari",
        "hasta_oturumu", "is_listesi_degisen", "kurtarma_kodu", "oturum", "taninan_cihaz",
    }
)  # fmt: skip
"""What ends in the course of work; all else stays, and only a rule of retention, applied by the owner, ends it."""

STATISTICS: dict[str, frozenset[str]] = {
    "birim": frozenset(), "calisma_grubu": frozenset(), "kurum": frozenset(), "numune_turu": frozenset(),
    "panel_uyesi": frozenset(), "tetkik": frozenset(), "tetkik_referans_aralik": frozenset(), "tup_turu": frozenset(),
    "cihaz": frozenset({"cihaz_kodu", "cihaz_kisa_kodu", "cihaz_adi", "cihaz_markasi", "cihaz_modeli", "birim_kodu",
                        "hizmette", "aktiflik_bilgisi"}),
    "tetkik_istem": frozenset({"tetkik_istem_kodu", "birim_kodu", "aciliyet", "kaynak", "istem_zamani"}),
    "istem_tetkik": frozenset({"istem_tetkik_kodu", "tetkik_istem_kodu", "tetkik_kodu", "panel_kodu", "calisma_grubu",
                               "tetkik_durumu", "durum_zamani", "kosu_sayisi", "calisan_cihaz_kodu",
                               "calisma_baslama_zamani"}),
    "tetkik_numune": frozenset({"tetkik_numune_kodu", "tetkik_istem_kodu", "tup_kodu", "numune_turu", "numune_durumu",
                                "numune_alma_zamani", "numune_kabul_zamani", "kayit_zamani"}),
    "numune_hareket": frozenset({"numune_hareket_kodu", "tetkik_numune_kodu", "islem", "islem_zamani", "cihaz_kodu"}),
    "onay": frozenset({"onay_kodu", "istem_tetkik_kodu", "onay_turu", "onay_zamani"}),
}  # fmt: skip
"""What statistics reads; no columns named: the whole table. No value, no name, no number of a person or tube."""

_WITH_OWNERS_RIGHTS = (
    "denetim_ekle(text, jsonb)", "denetim_bolumleri_ac(integer)", "denetim_dogrula_ilerle(text, bigint)",
    "sonraki_istem_sirasi(integer)", "gecitler_dinlensin(boolean)",
)  # fmt: skip
"""See `roles.sql`."""
_WATCHING = ("tablolari_izle()", "dis_degisiklikleri_zincire_al(integer)")
_FOR_APPLICATION = (*_WITH_OWNERS_RIGHTS, *_WATCHING, "is_bitir(jsonb, jsonb, text, jsonb)")
_FOR_AUDIT = (
    "denetim_ekle(text, jsonb)", "denetim_bolumleri_ac(integer)", "denetim_dogrula_ilerle(text, bigint)", *_WATCHING,
)  # fmt: skip
_AUDIT_TABLES = ("denetim", "denetim_zinciri", "denetim_dogrulama", "veritabani_gunlugu")

_LOCK = 7_301_946
"""The migrations' own lock: nobody migrates while rights are given."""
_MARK = "haklar "
"""Comment of the schema `bolum`: which rights stand, so that a start that changes nothing touches nothing."""
_STATIC = Path(__file__).parent / "roles.sql"


@dataclass(frozen=True, slots=True)
class Applied:
    """What `apply` found. missing: roles that do not exist and that this user may not create."""

    owner: bool
    changed: bool = False
    missing: tuple[str, ...] = ()


def apply(url: str, *, force: bool = False) -> Applied:
    """Give every role exactly its rights. Only the owner of the schema can; anybody else changes nothing.

    force: also where the mark says that they stand (a restored backup brings the mark without the rights, a migration
    may have made something anew). A function that lost the owner's rights is mended in any case.
    """
    with psycopg.connect(_plain(url), application_name="numune-roller") as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
        if not _owns(connection):
            return Applied(owner=False)
        missing = _create_missing(connection)
        there = [role for role in ROLES if role not in missing and role != OWNER]
        wanted = statements(connection, there)
        mark = _MARK + hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:20]
        standing = connection.execute("select obj_description('bolum'::regnamespace)").fetchone()
        if not force and standing is not None and standing[0] == mark and _functions_stand(connection):
            return Applied(owner=True, missing=missing)
        for statement in wanted:
            connection.execute(statement.encode())
        connection.execute(sql.SQL("comment on schema bolum is {}").format(sql.Literal(mark)))
    if missing:
        log.warning("database roles missing: %s", ", ".join(missing), extra={"action": "roles_missing"})
    return Applied(owner=True, changed=True, missing=missing)


def revision(url: str) -> str | None:
    """The revision of the schema; None where there is none. A migration may make a table or function anew, and what is
    new has no rights yet."""
    with psycopg.connect(_plain(url), application_name="numune-roller") as connection:
        known = connection.execute("select to_regclass('public.alembic_version') is not null").fetchone()
        if not (known and known[0]):
            return None
        row = connection.execute("select version_num from alembic_version").fetchone()
        return str(row[0]) if row else None


def _plain(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def _owns(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute(
        "select pg_has_role(c.relowner, 'usage') from pg_class c where c.oid = to_regclass('public.denetim')"
    ).fetchone()
    return bool(row and row[0])


def _functions_stand(connection: psycopg.Connection[Any]) -> bool:
    """Whether the functions that need the owner's rights have them: `create or replace` takes them away."""
    row = connection.execute(
        "select bool_and(p.prosecdef and p.proconfig is not null) from unnest(%s::text[]) as name "
        "join pg_proc p on p.oid = to_regprocedure(name)",
        [list(_WITH_OWNERS_RIGHTS)],
    ).fetchone()
    return bool(row and row[0])


def _create_missing(connection: psycopg.Connection[Any]) -> tuple[str, ...]:
    """Create the roles that are not there, where this user may; the names of those that still are not."""
    rows = connection.execute("select rolname from pg_roles where rolname = any(%s)", [list(ROLES)]).fetchall()
    missing = [role for role in ROLES if (role,) not in rows]
    may = connection.execute("select rolsuper or rolcreaterole from pg_roles where rolname = current_user").fetchone()
    if not missing or not (may and may[0]):
        return tuple(role for role in missing if role != OWNER)
    for role in missing:
        create_role(connection, role)
    return ()


def create_role(connection: psycopg.Connection[Any], role: str) -> None:
    """A role without rights and without a way to sign in; harmless where it exists.

    Roles belong to the whole server: another database of it may make the same one at this moment.
    """
    try:
        with connection.transaction():
            connection.execute(sql.SQL("create role {}").format(sql.Identifier(role)))
    except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
        pass  # the other one was quicker: the role is there, which is what was wanted


def make_local(connection: psycopg.Connection[Any], database: str) -> None:
    """On the embedded server: all roles, able to sign in from this machine, and the database is the owner's.

    connection: as the server's administrator, outside of a transaction.
    """
    for role in ROLES:
        create_role(connection, role)
        connection.execute(sql.SQL("alter role {} login").format(sql.Identifier(role)))
    owned = connection.execute(
        "select pg_get_userbyid(datdba) from pg_database where datname = %s", [database]
    ).fetchone()
    if owned is None or owned[0] != OWNER:
        connection.execute(
            sql.SQL("alter database {} owner to {}").format(sql.Identifier(database), sql.Identifier(OWNER))
        )


_STRANGE = """
select format('alter %s %s owner to numune_sahip', case c.relkind when 'S' then 'sequence' when 'v' then 'view'
              when 'm' then 'materialized view' else 'table' end, c.oid::regclass)
from pg_class c where c.relnamespace::regnamespace::text in ('public', 'bolum', 'rapor')
  and c.relkind in ('r', 'p', 'S', 'v', 'm') and pg_get_userbyid(c.relowner) <> 'numune_sahip'
  and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and c.relkind = 'S'
                  and d.deptype in ('a', 'i'))
union all
select format('alter %s %s owner to numune_sahip', case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate'
              else 'function' end, p.oid::regprocedure)
from pg_proc p where p.pronamespace::regnamespace::text in ('public', 'bolum', 'rapor')
  and pg_get_userbyid(p.proowner) <> 'numune_sahip'
union all
select format('alter schema %I owner to numune_sahip', n.nspname) from pg_namespace n
where n.nspname in ('bolum', 'rapor') and pg_get_userbyid(n.nspowner) <> 'numune_sahip'
"""


def hand_over(connection: psycopg.Connection[Any]) -> int:
    """Give everything in the database that somebody else made (an administrator, a restored copy) to the owner."""
    found = [str(row[0]) for row in connection.execute(_STRANGE).fetchall()]
    for statement in found:
        connection.execute(statement.encode())
    return len(found)


def url_as(url: str, role: str) -> str:
    """The same database for another role, without a password: servers that trust their own machine."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}"))


def statements(connection: psycopg.Connection[Any], roles: Sequence[str]) -> list[str]:
    """Everything that gives these roles their rights on the tables that are there, in order; each may be repeated."""
    rows = connection.execute(
        "select c.relname, array_agg(a.attname::text order by a.attnum) from pg_class c "
        "join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped "
        "where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') group by 1 order by 1"
    ).fetchall()
    tables: dict[str, list[str]] = dict(rows)
    made = [part.strip() for part in _STATIC.read_text(encoding="utf-8").split(";\n") if part.strip()]
    database = connection.execute("select quote_ident(current_database())").fetchone()
    made.append(f"revoke temporary on database {database[0] if database else ''} from public")
    if not roles:
        return made
    everyone = ", ".join(roles)
    made += [
        f"revoke all on all {kind} in schema public, bolum, rapor from {everyone}" for kind in ("tables", "sequences")
    ]
    made += [f"grant usage on schema public to {everyone}"]
    makers = {APPLICATION: _application, AUDIT: _audit, READING: _reading, READING_RESULTS: _reading_results}
    for role in roles:
        made += makers[role](tables)
    return made


def _application(tables: dict[str, list[str]]) -> list[str]:
    ordinary = [name for name in tables if name not in READ_ONLY | APPENDED | COLUMNS.keys() | KEPT.keys()]
    made = [
        f"grant select on all tables in schema public to {APPLICATION}",
        f"grant insert on {_list(ordinary, APPENDED & tables.keys(), KEPT.keys() & tables.keys())} to {APPLICATION}",
        f"grant update on {_list(ordinary)} to {APPLICATION}",
        f"grant delete on {_list(DELETED & tables.keys())} to {APPLICATION}",
        f"grant usage on all sequences in schema public to {APPLICATION}",
        f"grant execute on function {', '.join(_FOR_APPLICATION)} to {APPLICATION}",
        f"grant usage on schema bolum to {APPLICATION}",
        f"grant select on bolum.denetim_diger to {APPLICATION}",
    ]
    for name, kept in KEPT.items():
        made.append(f"grant update ({_list(set(tables[name]) - kept)}) on {name} to {APPLICATION}")
    for name, columns in COLUMNS.items():
        made.append(f"grant update ({_list(columns)}) on {name} to {APPLICATION}")
    return made


def _audit(tables: dict[str, list[str]]) -> list[str]:
    return [
        f"grant select on {', '.join(_AUDIT_TABLES)} to {AUDIT}",
        *(f"grant update ({_list(columns)}) on {name} to {AUDIT}" for name, columns in COLUMNS.items()),
        f"grant execute on function {', '.join(_FOR_AUDIT)} to {AUDIT}",
        f"grant usage on schema bolum to {AUDIT}",
        f"grant select on bolum.denetim_diger to {AUDIT}",
    ]


def _reading(tables: dict[str, list[str]], role: str = READING) -> list[str]:
    return [
        f"grant select{f' ({_list(columns)})' if columns else ''} on {name} to {role}"
        for name, columns in sorted(STATISTICS.items())
        if name in tables
    ]


def _reading_results(tables: dict[str, list[str]]) -> list[str]:
    return [
        *_reading(tables, READING_RESULTS),
        f"grant usage on schema rapor to {READING_RESULTS}",
        f"grant select on rapor.onayli_sonuc to {READING_RESULTS}",
    ]


def _list(*names: Iterable[str]) -> str:
    return ", ".join(sorted({name for some in names for name in some}))
