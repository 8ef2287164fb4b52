"""Clauses on the database server, asked of the server that this run works with."""

from __future__ import annotations

import pwd
from collections.abc import Iterator

import psycopg
import pytest

from lis_core.storage import roles
from tests.conftest import _sibling

NAME = "maddeler_deneme"


@pytest.fixture(scope="module")
def server(pg_server: str) -> Iterator[str]:
    """An empty database of its own, with the roles of an installation; the administrator's URL."""
    with psycopg.connect(pg_server, autocommit=True) as connection:
        connection.execute(f"drop database if exists {NAME} with (force)")
        connection.execute(f"create database {NAME} template template0")
        for role in roles.ROLES:
            roles.create_role(connection, role)
            connection.execute(f"alter role {role} login")
    yield _sibling(pg_server, NAME)
    with psycopg.connect(pg_server, autocommit=True) as connection:
        connection.execute(f"drop database if exists {NAME} with (force)")


@pytest.mark.clause("4.8.12")
def test_users_of_the_database_are_not_users_of_the_operating_system(server: str) -> None:
    """The program's role has no account on the machine and connects; an account of the machine alone does not."""
    with pytest.raises(KeyError):
        pwd.getpwnam(roles.APPLICATION)
    with psycopg.connect(roles.url_as(server, roles.APPLICATION)) as connection:
        assert connection.execute("select current_user").fetchone() == (roles.APPLICATION,)
    assert pwd.getpwnam("daemon")
    with pytest.raises(psycopg.OperationalError, match='role "daemon" does not exist'):
        psycopg.connect(roles.url_as(server, "daemon"))


@pytest.mark.clause("5.3.1")
def test_a_doubled_key_and_an_orphan_are_refused(server: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            "create table anne (kod int primary key); create table cocuk (anne_kodu int references anne)"
        )
        connection.execute("insert into anne values (1)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("insert into anne values (1)")
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.execute("insert into cocuk values (2)")


@pytest.mark.clause("5.3.2")
def test_triggers_fire_before_and_after_each_of_the_three_operations(server: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("create table olay (n int); create table tetik (ne text)")
        connection.execute(
            "create function yaz() returns trigger language plpgsql as $$ begin insert into tetik values "
            "(tg_when || ' ' || tg_op); return coalesce(new, old); end $$"
        )
        for when in ("before", "after"):
            connection.execute(
                f"create trigger t_{when} {when} insert or update or delete on olay for each row execute function yaz()"
            )
        connection.execute("insert into olay values (1)")
        connection.execute("update olay set n = 2")
        connection.execute("delete from olay")
        fired = [row[0] for row in connection.execute("select ne from tetik").fetchall()]
    assert fired == [f"{when} {what}" for what in ("INSERT", "UPDATE", "DELETE") for when in ("BEFORE", "AFTER")]


@pytest.mark.clause("5.3.7")
def test_a_view_that_may_be_written_and_one_that_may_only_be_read(server: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("create table deger (n int); insert into deger values (1)")
        connection.execute("create view yazilir as select n from deger")
        connection.execute("create view okunur as select sum(n) as n from deger")
        connection.execute("update yazilir set n = 5")
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
            connection.execute("update okunur set n = 6")
        assert connection.execute("select n from okunur").fetchone() == (5,)


@pytest.mark.clause("5.3.8")
def test_three_accounts_with_one_right_each(server: str) -> None:
    """Connect only; read the objects of somebody else; make objects of one's own."""
    accounts = ("deneme_baglanan", "deneme_okuyan", "deneme_kuran")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("create table liste (n int); insert into liste values (1)")
        connection.execute("revoke create on schema public from public")
        for account in accounts:
            connection.execute(f"create role {account} login")
        connection.execute("grant select on liste to deneme_okuyan; grant create on schema public to deneme_kuran")
    may: dict[str, list[bool]] = {}
    for account in accounts:
        may[account] = []
        with psycopg.connect(roles.url_as(server, account), autocommit=True) as connection:
            for statement in ("select 1", "select n from liste", "create table benim (n int)"):
                try:
                    connection.execute(statement.encode())
                    may[account].append(True)
                except psycopg.errors.InsufficientPrivilege:
                    may[account].append(False)
    with psycopg.connect(server, autocommit=True) as connection:
        for account in accounts:
            connection.execute(f"drop owned by {account}")
            connection.execute(f"drop role {account}")
    assert may == dict(zip(accounts, ([True, False, False], [True, True, False], [True, False, True]), strict=True))
