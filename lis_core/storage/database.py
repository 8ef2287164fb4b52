"""The database handle and the unit of work.

One `Work` is one transaction of one use case: facts, audit and follow-ups commit together or not at all. Make a
fresh one for each call; two tasks never share one.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import psycopg
from sqlalchemy import Engine, ExceptionContext, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from lis_core.domain.permissions import NO_RIGHTS, About, P, Rights, program_rights

EVENTS_CHANNEL = "numune_olay"
"""Channel of the small notes that tell screens what changed (`LISTEN`); a note is a hint, never a fact."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does it: a user from an address, or a part of the program."""

    name: str
    user_id: int | None = None
    address: str = ""
    rights: Rights = NO_RIGHTS
    """What he may do, as of this request; without any, nothing."""
    physician_id: int | None = None
    unit_id: int | None = None
    full_name: str = ""
    chain: str = "ekran"
    """Audit chain that this actor's deeds are appended to."""

    def may(self, permission: P, about: About | None = None) -> bool:
        """True where this is allowed; without `about`: allowed anywhere at all."""
        return self.rights.may(permission, about)

    def must(self, permission: P, about: About | None = None) -> None:
        """Raises NOT_ALLOWED, which says what is missing and who can give it."""
        self.rights.must(permission, about)


def program(part: str, chain: str = "sistem", *, may: Iterable[P] = ()) -> Actor:
    """The program itself, acting as one of its parts: it may do what it declares here, and nothing else."""
    return Actor(name=part, rights=program_rights(*may), chain=chain)


def as_psycopg_url(url: str) -> str:
    """SQLAlchemy's spelling of a PostgreSQL URL for psycopg 3."""
    for prefix in ("postgresql://", "postgres://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    return url


class Database:
    """One pool of connections, shared by everything in the process."""

    def __init__(self, url: str, *, pool_size: int = 10, met: Callable[[int], None] | None = None) -> None:
        """met: told the server's process number of each new connection."""
        self.url = url
        self.engine: AsyncEngine = create_async_engine(
            as_psycopg_url(url),
            pool_size=pool_size,
            max_overflow=10,
            hide_parameters=True,  # a logged traceback must not hold a patient's data
            json_serializer=lambda value: orjson.dumps(value).decode(),
            json_deserializer=orjson.loads,
            connect_args={"application_name": "numune"},
        )
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        _prove_idle_connections(self.engine.sync_engine)
        event.listen(self.engine.sync_engine, "handle_error", _without_rows)
        if met is not None:
            event.listen(
                self.engine.sync_engine, "connect", lambda made, _: met(made.driver_connection.info.backend_pid)
            )

    @asynccontextmanager
    async def work(self, actor: Actor) -> AsyncIterator[Work]:
        """A unit of work: commits when the block ends well, undoes everything when it does not."""
        async with self._sessions() as session:
            work = Work(session, actor)
            yield work
            await work._commit()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session for questions only; nothing is committed."""
        async with self._sessions() as session:
            yield session

    async def close(self) -> None:
        await self.engine.dispose()


class Work:
    """One transaction: the session, who acts, and what must be written with it."""

    def __init__(self, session: AsyncSession, actor: Actor) -> None:
        self.session = session
        self.actor = actor
        self.now = datetime.now(UTC)
        self._audit: list[dict[str, Any]] = []
        self._outbox: list[dict[str, Any]] = []
        self._events: list[dict[str, Any]] = []
        self._last: list[tuple[str, Sequence[Any]]] = []

    def audit(
        self,
        action: str,
        entity: str,
        entity_id: object,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        patients: Collection[int] = (),
    ) -> None:
        """Keep who did what, before and after, in this transaction (invariant 5).

        patients: whom it is about, so that "who saw or changed this patient" finds it by its index.
        """
        self._audit.append(audit_row(self.actor, self.now, action, entity, entity_id, before, after, patients))

    def audit_rows(self, rows: Sequence[dict[str, Any]]) -> None:
        """Entries made by `audit_row`, each with its own actor and time."""
        self._audit.extend(rows)

    def later(self, topic: str, payload: Mapping[str, Any], order_key: str = "") -> None:
        """Do this after the commit, as surely as the fact itself (outbox)."""
        self._outbox.append({"konu": topic, "icerik": dict(payload), "sira_anahtari": order_key})

    def tell_screens(self, kind: str, **facts: Any) -> None:
        """A note to open screens, sent with the commit. Facts are small: ids and codes, never values or names."""
        self._events.append({"tur": kind, **facts})

    def last(self, statement: str, parameters: Sequence[Any]) -> None:
        """A statement (psycopg's placeholders) whose result nobody needs: it travels with the commit."""
        self._last.append((statement, parameters))

    async def driver(self) -> psycopg.AsyncConnection[Any]:
        """The driver's connection of this transaction: for COPY, pipelines and plain tuples."""
        connection = await (await self.session.connection()).get_raw_connection()
        driver = connection.driver_connection
        assert isinstance(driver, psycopg.AsyncConnection)
        return driver

    async def _commit(self) -> None:
        """Everything that goes with the facts (`is_bitir` in guards.sql) and the commit, in one journey.

        Raises psycopg's errors for what the database refuses here; nothing is written then.
        """
        await self.session.flush()
        if not (self._last or self._outbox or self._events or self._audit):
            await self.session.commit()
            return
        raw = await self.driver()
        async with raw.pipeline():
            for statement, parameters in self._last:
                await raw.execute(statement, parameters)
            if self._outbox or self._events or self._audit:
                audit = _json(self._audit)
                await raw.execute(_SEAL, (_json(self._outbox), _json(self._events), self.actor.chain, audit))
            await raw.commit()
        await (
            self.session.commit()
        )  # nothing is left to commit: the connection goes back to the pool, out of its pipeline


_SEAL = "select is_bitir(%s::jsonb, %s::jsonb, %s, %s::jsonb)"
IDLE_SECONDS = 2.0
"""A connection that rested longer is asked whether it still lives before it is used."""


def _prove_idle_connections(engine: Engine) -> None:
    """Ask a connection for a sign of life only after a pause: a busy one has just given it, and an analyser waits."""

    @event.listens_for(engine, "checkin")
    def _rests(connection: Any, record: Any) -> None:
        record.info["rests_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _asked(connection: Any, record: Any, proxy: Any) -> None:
        since = record.info.get("rests_since")
        if since is None or time.monotonic() - since < IDLE_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except Exception as error:  # whatever it says: SQLAlchemy makes a new connection, or fails with its own error
            raise DisconnectionError from error


def audit_row(
    actor: Actor,
    at: datetime,
    action: str,
    entity: str,
    entity_id: object,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    patients: Collection[int] = (),
) -> dict[str, Any]:
    """One entry as the database function `denetim_ekle` takes it."""
    row: dict[str, Any] = {
        "zaman": at.isoformat(),
        "kullanici_kodu": actor.user_id,
        "yapan": actor.name,
        "adres": actor.address,
        "islem": action,
        "nesne_turu": entity,
        "nesne_kodu": str(entity_id),
        "onceki": before,
        "sonraki": after,
    }
    if patients:
        row["hastalar"] = sorted(set(patients))
    return row


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _without_rows(context: ExceptionContext) -> None:
    """Only the first line of what the server said: the lines below it quote the row ("Failing row contains ...", "Key
    (tc_kimlik_numarasi)=(...)"), and an error ends in the log. `diag` keeps them for whoever asks in the program."""
    for error in (context.original_exception, context.sqlalchemy_exception):
        if error is not None and error.args and isinstance(error.args[0], str):
            kept = [line for line in error.args[0].splitlines() if not line.startswith(_QUOTING)]
            error.args = ("\n".join(kept), *error.args[1:])


_QUOTING = ("DETAIL:", "CONTEXT:", "HINT:", "QUERY:")
