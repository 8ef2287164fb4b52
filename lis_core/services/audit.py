"""Who saw what, and who was refused: the part of the audit that no change of a row brings along.

A page shows values of patients: what it showed is gathered while it is made (`viewed`) and written as one row before
the page leaves, whatever the number of values on it. Requests that end at the same moment share one transaction. Chain
`erisim`, so that nobody who approves waits for somebody who reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

from lis_core.storage.database import Actor, Database, audit_row, program

CHAIN = "erisim"
VIEWED = "goruntuledi"
REFUSED = "reddedildi"


@dataclass(slots=True)
class Viewed:
    """What one page or answer showed so far."""

    actor: Actor | None = None
    patients: set[int] = field(default_factory=set)
    orders: set[str] = field(default_factory=set)
    results: set[int] = field(default_factory=set)
    others: dict[str, set[int]] = field(default_factory=dict)
    emergency: set[int] = field(default_factory=set)
    """Emergency accesses (`acil_erisim`) that opened a part of it."""

    def facts(self, method: str) -> dict[str, Any]:
        """What stands in the row; ids only, never a value or a name."""
        found: dict[str, Any] = {"istek": method, "istemler": sorted(self.orders), "sonuclar": sorted(self.results)}
        found |= {kind: sorted(ids) for kind, ids in sorted(self.others.items())}
        if self.emergency:
            found["acil_erisim"] = sorted(self.emergency)
        return found


_current: ContextVar[Viewed | None] = ContextVar("viewed", default=None)


def begin() -> tuple[Viewed, Token[Viewed | None]]:
    """Start to gather what this request shows; give the token to `end`."""
    seen = Viewed()
    return seen, _current.set(seen)


def end(token: Token[Viewed | None]) -> None:
    _current.reset(token)


def viewed(
    actor: Actor,
    *,
    patients: Collection[int] = (),
    orders: Collection[str] = (),
    results: Collection[int] = (),
    emergency: int | None = None,
    **others: Collection[int],
) -> None:
    """These were shown to this person. Views call it where they hand out values; costs no journey.

    others: ids of what is neither, by table (`ham_mesaj=[4711]`). Outside of a request (the program's own work) it is
    not kept: what the program sends has rows of its own.
    """
    seen = _current.get()
    if seen is None or not (patients or orders or results or any(others.values())):
        return
    seen.actor = actor
    seen.patients.update(patients)
    seen.orders.update(orders)
    seen.results.update(results)
    for kind, ids in others.items():
        seen.others.setdefault(kind, set()).update(ids)
    if emergency is not None:
        seen.emergency.add(emergency)


class Ledger:
    """Writes rows of chain `erisim`; what waits at the same moment goes in one transaction (one journey, one fsync)."""

    def __init__(self) -> None:
        self._waiting: list[tuple[dict[str, Any], asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def write(self, database: Database, row: dict[str, Any]) -> None:
        """Returns when the row is committed. Raises what the database raises: then nothing was written."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all(database))
        await done

    async def _write_all(self, database: Database) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                async with database.work(program("erişim", CHAIN)) as work:
                    work.audit_rows([row for row, _ in batch])
            except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to those who wait
                for _, done in batch:
                    if not done.done():
                        done.set_exception(error)
            else:
                for _, done in batch:
                    if not done.done():  # somebody may have gone in the meantime; the row stands
                        done.set_result(None)


_ledgers: WeakKeyDictionary[Database, Ledger] = WeakKeyDictionary()


def _ledger(database: Database) -> Ledger:
    return _ledgers.setdefault(database, Ledger())


async def record_viewed(database: Database, seen: Viewed, method: str, route: str) -> None:
    """One row for everything that this page showed; nothing where it showed nothing.

    route: the pattern of the address, never the address as typed.
    """
    if seen.actor is None:
        return
    facts = seen.facts(method)
    row = audit_row(seen.actor, datetime.now(UTC), VIEWED, "ekran", route, None, facts, seen.patients)
    await _ledger(database).write(database, row)


async def record_looked(
    database: Database, actor: Actor, what: str, facts: Mapping[str, Any], patients: Collection[int] = ()
) -> None:
    """Somebody read the audit itself, or took it away as a file. facts: what he asked for."""
    row = audit_row(actor, datetime.now(UTC), what, "denetim", "", None, dict(facts), patients)
    await _ledger(database).write(database, row)


async def record_refused(
    database: Database,
    actor: Actor,
    permission: str,
    entity: str,
    entity_id: object,
    facts: Mapping[str, Any] | None = None,
    patients: Collection[int] = (),
) -> None:
    """Somebody tried what he may not: in a transaction of its own, because the refused one leaves nothing.

    permission: the one that is missing. facts: small, without values and names. Raises what the database raises.
    """
    after = {"yetki": permission, **(facts or {})}
    row = audit_row(actor, datetime.now(UTC), REFUSED, entity, entity_id, None, after, patients)
    await _ledger(database).write(database, row)
