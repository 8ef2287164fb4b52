"""Signing in: one answer for every wrong pair, slower for who keeps guessing, nothing readable in the tables."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select, text, update

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.services import sessions, signing_in, throttle, users
from lis_core.storage.database import Database
from lis_core.storage.tables import ApiToken, AuditEntry, LoginFailure, User, WebSession
from tests.conftest import DEMO_PASSWORD

HERE = "10.0.0.5"


async def attempt(lab: Database, username: str, password: str, address: str = HERE) -> str:
    """The code of the refusal, or "" where it succeeds."""
    try:
        await signing_in.sign_in(lab, username, password, address)
    except NumuneError as refusal:
        return refusal.code
    return ""


async def test_a_session_knows_who_works(lab: Database) -> None:
    actor, secret, form_token = await signing_in.sign_in(lab, " AileHekimi ", DEMO_PASSWORD, HERE)
    assert (actor.name, actor.full_name, actor.address) == ("ailehekimi", "İpek Güneş", HERE)
    assert actor.rights.groups == ("Aile hekimi",)
    assert actor.physician_id is not None
    assert actor.unit_id is not None
    found = await users.actor_of_session(lab, secret)
    assert found is not None
    assert (found[0].user_id, found[1]) == (actor.user_id, form_token)
    await users.sign_out(lab, secret)
    assert await users.actor_of_session(lab, secret) is None
    await users.sign_out(lab, secret)  # twice is harmless


async def test_a_token_knows_who_asks(lab: Database) -> None:
    token = await signing_in.issue_token(lab, "uzman", DEMO_PASSWORD, HERE)
    actor = await users.actor_of_token(lab, token)
    assert actor is not None
    assert actor.name == "uzman"
    assert await users.actor_of_token(lab, token + "x") is None


async def test_a_token_does_not_open_a_page(lab: Database) -> None:
    token = await signing_in.issue_token(lab, "uzman", DEMO_PASSWORD, HERE)
    await users.actor_of_token(lab, token)  # now it is in the cache
    assert await users.actor_of_session(lab, token) is None


async def test_wrong_name_wrong_password_and_closed_user_get_one_answer(lab: Database) -> None:
    async with lab.reading() as session:
        await session.execute(update(User).where(User.username == "kabul").values(active=False))
        await session.commit()
    answers = {
        await attempt(lab, "teknisyen", "yanlış"),
        await attempt(lab, "boyle-biri-yok", DEMO_PASSWORD),
        await attempt(lab, "kabul", DEMO_PASSWORD),
        await attempt(lab, "teknisyen", ""),
    }
    assert answers == {errors.BAD_CREDENTIALS.code}


async def test_who_keeps_guessing_waits_and_nobody_else_does(lab: Database) -> None:
    for _ in range(throttle.FREE_ATTEMPTS):
        assert await attempt(lab, "teknisyen", "yanlış") == errors.BAD_CREDENTIALS.code
    async with lab.reading() as session:  # some more, so that the wait outlasts a busy machine
        await session.execute(update(LoginFailure).values(count=LoginFailure.count + 8))
        await session.commit()
    assert await attempt(lab, "teknisyen", DEMO_PASSWORD) == errors.TOO_MANY_ATTEMPTS.code  # even with the right one
    assert await attempt(lab, "teknisyen", DEMO_PASSWORD, "10.0.0.6") == ""
    assert await attempt(lab, "uzman", DEMO_PASSWORD) == ""


async def test_guessing_in_parallel_gains_nothing(lab: Database) -> None:
    answers = await asyncio.gather(*(attempt(lab, "teknisyen", f"deneme{n}") for n in range(12)))
    assert answers.count(errors.BAD_CREDENTIALS.code) == throttle.FREE_ATTEMPTS
    assert answers.count(errors.TOO_MANY_ATTEMPTS.code) == 12 - throttle.FREE_ATTEMPTS


async def test_a_success_forgets_the_failures_before_it(lab: Database) -> None:
    for _ in range(throttle.FREE_ATTEMPTS - 1):
        await attempt(lab, "teknisyen", "yanlış")
    assert await attempt(lab, "teknisyen", DEMO_PASSWORD) == ""
    for _ in range(throttle.FREE_ATTEMPTS - 1):
        assert await attempt(lab, "teknisyen", "yanlış") == errors.BAD_CREDENTIALS.code
    assert await attempt(lab, "teknisyen", DEMO_PASSWORD) == ""


def test_the_wait_doubles_to_five_minutes() -> None:
    assert [throttle.waiting_time(n).total_seconds() for n in (4, 5, 6, 7, 13, 14, 1000)] == [0, 1, 2, 4, 256, 300, 300]


async def test_attempts_are_in_the_audit_without_the_password(lab: Database) -> None:
    await attempt(lab, "teknisyen", "gizli-parola-denemesi")
    _, secret, form_token = await signing_in.sign_in(lab, "teknisyen", DEMO_PASSWORD, HERE)
    await users.sign_out(lab, secret)
    async with lab.reading() as session:
        rows = list(
            await session.scalars(select(AuditEntry).where(AuditEntry.chain == "ekran").order_by(AuditEntry.number))
        )
        everything = (await session.execute(text("select string_agg(d::text, ' ') from denetim d"))).scalar_one()
    assert [(row.action, row.actor, row.address) for row in rows] == [
        ("giris_basarisiz", "teknisyen", HERE),
        ("giris", "teknisyen", HERE),
        ("cikis", "teknisyen", HERE),
    ]
    for hidden in ("gizli-parola-denemesi", DEMO_PASSWORD, secret, form_token):
        assert hidden not in everything


async def test_tables_hold_nothing_that_opens_a_door(lab: Database) -> None:
    _, secret, _ = await signing_in.sign_in(lab, "teknisyen", DEMO_PASSWORD, HERE)
    token = await signing_in.issue_token(lab, "teknisyen", DEMO_PASSWORD, HERE)
    async with lab.reading() as session:
        stored = [
            *(await session.scalars(select(WebSession.secret_hash))),
            *(await session.scalars(select(ApiToken.secret_hash))),
        ]
        passwords = list(await session.scalars(select(User.password_hash)))
    assert all(len(digest) == 32 for digest in stored)
    assert secret.encode() not in stored
    assert token.encode() not in stored
    assert all(digest.startswith("$argon2id$") for digest in passwords)


async def test_an_ended_session_and_a_passive_user_open_nothing(lab: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "CACHE_SECONDS", 0.0)
    _, secret, _ = await signing_in.sign_in(lab, "teknisyen", DEMO_PASSWORD, HERE)
    _, other, _ = await signing_in.sign_in(lab, "hekim", DEMO_PASSWORD, HERE)
    async with lab.reading() as session:
        await session.execute(
            update(WebSession)
            .where(WebSession.secret_hash == sessions.digest(secret))
            .values(expires_at=WebSession.created_at - timedelta(seconds=1))
        )
        await session.execute(update(User).where(User.username == "hekim").values(active=False))
        await session.commit()
    assert await users.actor_of_session(lab, secret) is None
    assert await users.actor_of_session(lab, other) is None


async def test_a_new_password_ends_every_session(lab: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "CACHE_SECONDS", 0.0)
    actor, secret, _ = await signing_in.sign_in(lab, "teknisyen", DEMO_PASSWORD, HERE)
    assert actor.user_id is not None
    async with lab.work(actor) as work:
        await users.set_password(work, actor.user_id, "Baska-Parola-2")
    assert await users.actor_of_session(lab, secret) is None
    assert await attempt(lab, "teknisyen", DEMO_PASSWORD) == errors.BAD_CREDENTIALS.code
    assert await attempt(lab, "teknisyen", "Baska-Parola-2") == ""
