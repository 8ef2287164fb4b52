"""Guessing gets slow for the guesser, and only for him.

Attempts are counted before the password is looked at, so that parallel guesses count as well, in two places: per name
and address, and per address over all names. A browser in which the person has signed in before is counted on its own:
whatever others try, from wherever, he is not slowed there. There is no lock per name alone, which anybody could close.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.storage.database import Actor, Database, Work
from lis_core.storage.tables import LoginFailure

FREE_ATTEMPTS = 5
"""Wrong passwords in a row that cost nothing; each further one doubles the wait, from one second on."""
FREE_FROM_ADDRESS = 30
"""The same over all names of one address: a hospital stands behind one."""
LONGEST_WAIT = timedelta(minutes=5)
FORGOTTEN_AFTER = timedelta(minutes=15)
"""Without a further attempt the count starts anew."""

_EVERYBODY = ""
"""Stands for the name where an address is counted over all names; nobody is called that."""


def waiting_time(wrong: int, free: int = FREE_ATTEMPTS) -> timedelta:
    """How long after `wrong` wrong attempts in a row the next one must wait."""
    if wrong < free:
        return timedelta(0)
    return min(LONGEST_WAIT, timedelta(seconds=2.0 ** min(wrong - free, 20)))


def counters(name: str, address: str, device_id: int | None) -> list[tuple[str, str, int]]:
    """What an attempt counts against: name, place, free attempts."""
    if device_id is not None:
        return [(name, f"cihaz:{device_id}", FREE_ATTEMPTS)]
    return [(_EVERYBODY, address, FREE_FROM_ADDRESS), (name, address, FREE_ATTEMPTS)]


async def count_attempt(db: Database, name: str, address: str, device_id: int | None = None) -> None:
    """Count this attempt, or refuse it because too many wrong ones came before it. Raises TOO_MANY_ATTEMPTS."""
    async with db.work(Actor(name=name, address=address)) as work:
        await work.session.execute(delete(LoginFailure).where(LoginFailure.last_at < work.now - timedelta(days=1)))
        for counter in counters(name, address, device_id):
            await _count(work, *counter)


@dataclass(frozen=True, slots=True)
class Counter:
    """What a guess counts against besides passwords: a name and a place, and how long the next one waits after so many.

    Never a name without a place: nobody can shut the door before somebody else.
    """

    name: str
    place: str
    wait: Callable[[int], timedelta]
    shared: bool = False
    """Counts over many people: a success takes one attempt off, and leaves the others."""


async def count_guess(db: Database, actor: Actor, counters: Collection[Counter]) -> None:
    """Count this guess in all of these, in their order, or refuse it. Raises TOO_MANY_ATTEMPTS."""
    async with db.work(actor) as work:
        await work.session.execute(delete(LoginFailure).where(LoginFailure.last_at < work.now - timedelta(days=1)))
        for one in counters:
            await _count(work, one.name, one.place, wait=one.wait)


async def forgive_guess(work: Work, counters: Collection[Counter]) -> None:
    """The guess was right."""
    for one in counters:
        found = (LoginFailure.username == one.name, LoginFailure.address == one.place)
        if one.shared:
            await work.session.execute(
                update(LoginFailure).where(*found).values(count=func.greatest(LoginFailure.count - 1, 0))
            )
        else:
            await work.session.execute(delete(LoginFailure).where(*found))


async def _count(
    work: Work, name: str, place: str, free: int = FREE_ATTEMPTS, *, wait: Callable[[int], timedelta] | None = None
) -> None:
    waits = wait or (lambda wrong: waiting_time(wrong, free))
    session, now = work.session, work.now
    await session.execute(
        insert(LoginFailure).values(username=name, address=place, last_at=now).on_conflict_do_nothing()
    )
    row = (
        await session.scalars(
            select(LoginFailure).where(LoginFailure.username == name, LoginFailure.address == place).with_for_update()
        )
    ).one()
    if now - row.last_at > FORGOTTEN_AFTER:
        row.count = 0
    must_wait = waits(row.count)
    left = row.last_at + must_wait - now
    if must_wait and left > timedelta(0):
        raise NumuneError(errors.TOO_MANY_ATTEMPTS, seconds=int(left.total_seconds()) + 1)
    row.count += 1
    row.last_at = now
    if coming := waits(row.count):
        # kept also where the attempt turns out right: then the success stands beside it
        work.audit(
            "giris_bekletme", "kullanici", name, None, {"yer": place, "deneme": row.count, "saniye": coming.seconds}
        )


async def forgive(work: Work, name: str, address: str, device_id: int | None = None) -> None:
    """A success: its own failures are forgotten, and it does not count against its address."""
    for who, place, _ in counters(name, address, device_id):
        found = (LoginFailure.username == who, LoginFailure.address == place)
        if who == _EVERYBODY:
            await work.session.execute(
                update(LoginFailure).where(*found).values(count=func.greatest(LoginFailure.count - 1, 0))
            )
        else:
            await work.session.execute(delete(LoginFailure).where(*found))


_CODES = "ikinci asama"
"""Place under which wrong codes of a name are counted, wherever they come from: whoever sends one knew the password."""


async def count_code(db: Database, name: str, address: str) -> None:
    """As `count_attempt`, for a code of the second factor. Raises TOO_MANY_ATTEMPTS."""
    async with db.work(Actor(name=name, address=address)) as work:
        await _count(work, name, _CODES, FREE_ATTEMPTS)


async def forgive_code(work: Work, name: str) -> None:
    """The code was right."""
    await work.session.execute(
        delete(LoginFailure).where(LoginFailure.username == name, LoginFailure.address == _CODES)
    )
