"""The running program, statistics and the audit each reach what they need in the database, and nothing else."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import text

from lis_core.demo import load_demo
from lis_core.demo_orders import load_demo_orders
from lis_core.doctor import _rights
from lis_core.domain.permissions import P
from lis_core.services import audit_chain
from lis_core.storage import roles, roles_cli
from lis_core.storage.database import Database, program
from lis_core.storage.migrate import upgrade
from lis_core.storage.roles_check import reached_by_everybody, too_many, unprotected
from lis_core.storage.tables import Base
from tests.conftest import DEMO_PASSWORD, _sibling

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def owned(pg_server: str) -> Iterator[str]:
    """A database as an installation has it: the roles own and reach it, nobody else; migrated by the owner."""
    name = f"rol_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(pg_server, autocommit=True) as admin:
        admin.execute(f"create database {name} encoding 'UTF8' template template0")
        roles.make_local(admin, name)
    url = _sibling(pg_server, name)
    try:
        psycopg.connect(roles.url_as(url, roles.APPLICATION)).close()
    except psycopg.OperationalError:
        pytest.skip("this server asks its own machine for passwords")
    upgrade(roles.url_as(url, roles.OWNER))
    yield url
    with psycopg.connect(pg_server, autocommit=True) as admin:
        admin.execute(f"drop database {name} with (force)")


@pytest.fixture(scope="module")
async def laboratory(owned: str) -> str:
    """The demonstration laboratory with its orders, loaded by the program with the program's own rights."""
    database = Database(roles.url_as(owned, roles.APPLICATION), pool_size=4)
    try:
        await load_demo(database, password=DEMO_PASSWORD, port_base=4000)
        await load_demo_orders(database)
    finally:
        await database.close()
    return owned


@pytest.fixture
def as_role(owned: str) -> Any:
    """Sign in as a role; every statement stands alone."""

    def connect(role: str) -> psycopg.Connection[Any]:
        return psycopg.connect(roles.url_as(owned, role), autocommit=True)

    return connect


def _tables(connection: psycopg.Connection[Any]) -> list[str]:
    rows = connection.execute(
        "select c.oid::regclass::text from pg_class c where c.relkind in ('r', 'p') "
        "and c.relnamespace::regnamespace::text in ('public', 'bolum') order by 1"
    ).fetchall()
    return [str(row[0]) for row in rows]


def test_the_program_can_neither_change_nor_empty_nor_unguard_any_table(as_role: Any, laboratory: str) -> None:
    """Attack: SQL through the program, against every table that there is."""
    with as_role(roles.APPLICATION) as session:
        tables = _tables(session)
        assert len(tables) > 60
        for table in tables:
            for statement in (
                f"alter table {table} disable trigger all",
                f"alter table {table} add column kapi text",
                f"drop table {table}",
                f"truncate {table} cascade",
                f"create trigger kapi before insert on {table} for each row execute function degistirilemez()",
                f"alter table {table} owner to numune_uygulama",
            ):
                with pytest.raises(InsufficientPrivilege):
                    session.execute(statement)
        session.execute("grant select on hasta, tetkik_sonuc to public")  # the server warns and gives nothing
        to_all = session.execute(
            "select count(*) from information_schema.role_table_grants "
            "where grantee = 'PUBLIC' and table_schema in ('public', 'bolum', 'rapor')"
        ).fetchone()
        assert to_all == (0,), "a grant of the program's gives nobody anything"


def test_what_is_only_appended_is_only_appended(as_role: Any, laboratory: str) -> None:
    with as_role(roles.APPLICATION) as session:
        for table in sorted({*roles.APPENDED, *roles.READ_ONLY} & set(_tables(session))):
            column = session.execute(
                "select attname from pg_attribute where attrelid = %s::regclass and attnum = 2", [table]
            ).fetchone()
            name = column[0] if column else "version_num"
            for statement in (f"update {table} set {name} = {name}", f"delete from {table}"):
                with pytest.raises(InsufficientPrivilege):
                    session.execute(statement)
            if table in roles.READ_ONLY:
                with pytest.raises(InsufficientPrivilege):
                    session.execute(f"insert into {table} default values")


def test_only_what_ends_in_the_course_of_work_is_deleted(as_role: Any, owned: str) -> None:
    with as_role(roles.APPLICATION) as session:
        rows = session.execute(
            "select c.relname from pg_class c where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace "
            "and has_table_privilege(c.oid, 'delete')"
        ).fetchall()
        there = {table for table in roles.DELETED if table in _tables(session)}
    assert {row[0] for row in rows} == there


@pytest.mark.parametrize(
    "statement",
    [
        "set session_replication_role = replica",
        "set role numune_sahip",
        "set session authorization numune_sahip",
        "create table kapi (a int)",
        "create temporary table denetim (a int)",
        "create function kapi() returns int language sql as 'select 1'",
        "create or replace function degistirilemez() returns trigger language plpgsql as 'begin return new; end'",
        "drop trigger denetim_degismez on denetim",
        "copy (select 1) to program 'true'",
        "select pg_read_file('postgresql.conf')",
        "alter system set fsync = off",
        "update denetim_zinciri set son_sira = 0",
        "update denetim_dogrulama set sira = 999999",
        "update ham_mesaj set anahtar = 'baska'",
        "update ham_mesaj set alinma_zamani = '2001-01-01'",
        "insert into saklama_kurali default values",
        "select setval('yetki_surumu_sirasi', 1)",
        "alter role numune_uygulama createrole",
    ],
)
def test_no_way_around_the_rights(statement: str, as_role: Any, owned: str) -> None:
    with as_role(roles.APPLICATION) as session, pytest.raises(InsufficientPrivilege):
        session.execute(statement)


async def test_the_audit_grows_and_proves_itself_without_the_right_to_write_it(laboratory: str) -> None:
    """What the program did while it loaded the laboratory is in the chains, and they hold."""
    database = Database(roles.url_as(laboratory, roles.APPLICATION), pool_size=2)
    try:
        async with database.work(program("deneme", may=(P.RESULT_VIEW,))) as work:
            work.audit("denendi", "deneme", 1)
        async with database.reading() as session:
            assert await session.scalar(text("select count(*) from denetim where islem = 'denendi'")) == 1
            assert await audit_chain.verify_whole(session) == []
        assert await audit_chain.verify_new(database) == []
        assert await audit_chain.verify_old(database) == []
        assert await audit_chain.open_partitions(database, 14) > 0, (
            "the months to come are made with the owner's rights"
        )
    finally:
        await database.close()


def test_a_new_year_has_its_numbers_and_a_partition_its_guard(as_role: Any, owned: str) -> None:
    with as_role(roles.APPLICATION) as session:
        assert session.execute("select sonraki_istem_sirasi(2071)").fetchone() == (1,)
        assert session.execute("select sonraki_istem_sirasi(2071)").fetchone() == (2,)
        session.execute("select denetim_bolumleri_ac(20)")
        with pytest.raises(InsufficientPrivilege):
            session.execute("select denetim_bolum_ac('2090-01-01')")
        newest = _tables(session)[-1] if _tables(session)[-1].startswith("bolum.") else "bolum.denetim_diger"
        for statement in (f"delete from {newest}", f"insert into {newest} default values", f"select * from {newest}"):
            if newest == "bolum.denetim_diger" and statement.startswith("select"):
                continue
            with pytest.raises(InsufficientPrivilege):
                session.execute(statement)


def test_functions_with_the_owners_rights_are_few_and_find_only_our_tables(as_role: Any, owned: str) -> None:
    """Attack: a table of one's own with the name of one of ours, to be written with the owner's rights."""
    with as_role(roles.OWNER) as session:
        rows = session.execute(
            "select proname, proconfig, pg_get_userbyid(proowner) from pg_proc where prosecdef "
            "and pronamespace = 'public'::regnamespace"
        ).fetchall()
    assert {"denetim_ekle", "denetim_bolumleri_ac", "sonraki_istem_sirasi"} <= {row[0] for row in rows}
    for name, settings, owner in rows:
        assert any("pg_temp" in setting and setting.startswith("search_path=public") for setting in settings or ()), (
            name
        )
        assert owner == roles.OWNER


def test_statistics_reads_counts_and_times_but_no_result_and_nobody(as_role: Any, laboratory: str) -> None:
    with as_role(roles.READING) as session:
        assert session.execute("select count(*) from istem_tetkik where tetkik_durumu is not null").fetchone()[0] > 0
        assert session.execute("select count(*) from tetkik").fetchone()[0] > 50
        for statement in (
            "select * from tetkik_sonuc",
            "select * from hasta",
            "select hasta_kodu from tetkik_istem",
            "select numune_numarasi from tetkik_istem",
            "select barkod from tetkik_numune",
            "select * from ham_mesaj",
            "select * from denetim",
            "select * from kullanici",
            "select * from rapor.onayli_sonuc",
            "select denetim_ekle('sistem', '[]')",
            "select dis_degisiklikleri_zincire_al(1)",
            "select tablolari_izle()",
            "insert into tetkik default values",
        ):
            with pytest.raises(InsufficientPrivilege):
                session.execute(statement)


def test_results_are_given_apart_only_approved_ones_and_without_the_person(as_role: Any, laboratory: str) -> None:
    """9.7.8 holds for statistics too."""
    with as_role(roles.OWNER) as session:
        approved = session.execute("select count(*) from istem_tetkik where tetkik_durumu = 'klinik_onayli'").fetchone()
        every = session.execute("select count(*) from tetkik_sonuc").fetchone()
    with as_role(roles.READING_RESULTS) as session:
        found = session.execute("select count(*) from rapor.onayli_sonuc").fetchone()
        columns = {
            row[0]
            for row in session.execute(
                "select attname from pg_attribute where attrelid = 'rapor.onayli_sonuc'::regclass and attnum > 0"
            ).fetchall()
        }
        with pytest.raises(InsufficientPrivilege):
            session.execute("select * from tetkik_sonuc")
    assert 0 < found[0] == approved[0] < every[0]
    assert not columns & {"hasta_kodu", "ad", "soyadi", "tc_kimlik_numarasi", "dogum_tarihi", "numune_numarasi"}


def test_the_audits_own_role_verifies_and_reads_nothing_else(as_role: Any, laboratory: str) -> None:
    with as_role(roles.AUDIT) as session:
        assert session.execute("select * from denetim_dogrula()").fetchall() == []
        assert session.execute("select count(*) from denetim").fetchone()[0] > 0
        for statement in (
            "select * from hasta",
            "select * from tetkik_sonuc",
            "delete from denetim",
            "select * from onay",
        ):
            with pytest.raises(InsufficientPrivilege):
                session.execute(statement)


async def test_the_doctor_says_when_the_program_may_too_much(laboratory: str) -> None:
    words = {}
    for role in (None, roles.OWNER, roles.APPLICATION):
        database = Database(roles.url_as(laboratory, role) if role else laboratory, pool_size=1)
        async with database.reading() as session:
            words[role] = _rights(await too_many(session))
        await database.close()
    assert words[roles.APPLICATION].mark == "tamam"
    assert words[None].mark == words[roles.OWNER].mark == "uyarı"
    assert "superuser" in words[None].words
    assert "sahibi" in words[roles.OWNER].words


@pytest.mark.parametrize(
    ("url", "protected"),
    [
        ("postgresql://u@127.0.0.1/n", True),
        ("postgresql://u@/n?host=/run/pg", True),
        ("postgresql://u@db.hastane/n", False),
        ("postgresql://u@db.hastane/n?sslmode=require", False),
        ("postgresql://u@db.hastane/n?sslmode=verify-full&sslrootcert=/ca.pem", True),
        ("postgresql://u@10.0.0.5,10.0.0.6/n?sslmode=disable", False),
    ],
)
def test_the_doctor_says_when_the_line_to_the_database_is_open(url: str, protected: bool) -> None:
    assert (unprotected(url) is None) == protected


def test_the_doctor_says_when_everybody_on_the_machine_reaches_the_embedded_server(tmp_path: Path) -> None:
    """It asks nobody for a password: the folder of its socket is its only door."""
    url = f"postgresql://postgres:@/numune?host={tmp_path}"
    tmp_path.chmod(0o700)
    assert reached_by_everybody(url) is None
    tmp_path.chmod(0o777)
    assert reached_by_everybody(url) == str(tmp_path)
    tmp_path.chmod(0o700)


def test_the_operator_sees_the_roles_and_only_an_administrator_makes_them(
    owned: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert roles_cli.show(roles.url_as(owned, roles.OWNER)) == 0
    said = capsys.readouterr().out
    assert all(role in said for role in roles.ROLES)
    assert "siler 0 tablo" in said
    assert roles_cli.create(roles.url_as(owned, roles.APPLICATION)) == 1
    assert roles_cli.create(owned) == 0
    assert "numune_sahip: vardı, parolası değişmedi" in capsys.readouterr().out


def test_a_role_made_for_another_server_signs_in_with_its_password(
    pg_server: str, owned: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"numune_deneme_{uuid.uuid4().hex[:8]}"
    monkeypatch.setattr(roles, "ROLES", {**roles.ROLES, name: "deneme"})
    monkeypatch.setattr(roles_cli.roles, "apply", lambda url, force: None)  # this role has no rights to be given
    try:
        assert roles_cli.create(owned) == 0
        [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith(name)]
        made = line.partition(": ")[2]
        assert made.startswith(f"postgresql://{name}:")
        with psycopg.connect(made) as connection:
            assert connection.execute("select current_user").fetchone() == (name,)
    finally:
        with psycopg.connect(pg_server, autocommit=True) as admin:
            admin.execute(f"drop role if exists {name}")


def test_rights_that_stand_are_not_given_again_and_only_the_owner_gives_them(owned: str) -> None:
    assert roles.apply(roles.url_as(owned, roles.OWNER)) == roles.Applied(owner=True, changed=False)
    assert roles.apply(roles.url_as(owned, roles.OWNER), force=True).changed
    assert roles.apply(roles.url_as(owned, roles.APPLICATION)) == roles.Applied(owner=False)


def test_a_function_that_was_made_anew_gets_its_rights_back(owned: str) -> None:
    """`create or replace` in a later migration takes them away without a word."""
    with psycopg.connect(roles.url_as(owned, roles.OWNER), autocommit=True) as owner:
        owner.execute("alter function denetim_ekle(text, jsonb) security invoker reset all")
    assert roles.apply(roles.url_as(owned, roles.OWNER)).changed
    with psycopg.connect(roles.url_as(owned, roles.APPLICATION), autocommit=True) as session:
        session.execute("select denetim_ekle('sistem', '[]')")
    assert not roles.apply(roles.url_as(owned, roles.OWNER)).changed


def test_a_program_without_the_owners_rights_says_what_to_do_with_an_old_schema(pg_server: str, owned: str) -> None:
    name = f"bos_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(pg_server, autocommit=True) as admin:
        admin.execute(f"create database {name} encoding 'UTF8' template template0")
    try:
        with pytest.raises(PermissionError, match="NUMUNE_DATABASE_OWNER_URL"):
            upgrade(roles.url_as(_sibling(pg_server, name), roles.APPLICATION))
    finally:
        with psycopg.connect(pg_server, autocommit=True) as admin:
            admin.execute(f"drop database {name} with (force)")


def test_what_an_administrator_made_is_handed_over_to_the_owner(pg_server: str, owned: str) -> None:
    """A database from before the roles, or one that was repaired by hand."""
    with psycopg.connect(owned, autocommit=True) as admin:
        admin.execute("alter table tetkik owner to postgres")
        admin.execute("alter function denetim_ekle(text, jsonb) owner to postgres")
        assert roles.hand_over(admin) == 2
        assert roles.hand_over(admin) == 0


def test_the_code_deletes_only_where_the_program_may() -> None:
    """A new `delete` in the code must be thought about here first: it would fail in every installation."""
    of_model = {mapper.class_.__name__: mapper.local_table.name for mapper in Base.registry.mappers}  # type: ignore[attr-defined]
    found: dict[str, str] = {}
    for folder in ("lis_core", "api", "hbys_bridge"):
        for file in (ROOT / folder).rglob("*.py"):
            if file.name in ("retention.py", "anonymise.py", "store.py"):
                continue  # by the owner, into a copy, in a gateway's own file
            source = file.read_text(encoding="utf-8")
            for model in re.findall(r"(?<![.\w])delete\(([A-Z]\w+)\)", source):
                found[of_model[model]] = str(file.relative_to(ROOT))
            for table in re.findall(r"[\"'\s(]delete from ([a-z_]+)", source):
                found[table] = str(file.relative_to(ROOT))
    assert len(found) > 8
    assert {table: file for table, file in found.items() if table not in roles.DELETED} == {}
