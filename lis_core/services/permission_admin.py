"""Several changes of permissions together: looked at first, saved in one transaction, a reason where they give much.

What is shown before saving and what is saved cannot disagree: both come from making the same change, and saving is
refused where the differences are no more those that were shown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TypeVar

from sqlalchemy import select

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import EVERYTHING, Change, Extent, P, Rights, Scope
from lis_core.services import permissions
from lis_core.services.permissions import ALWAYS, Period, PersonChange, Subject, compared
from lis_core.services.rights import load_book, person_of, today
from lis_core.storage.database import Actor, Database, Work
from lis_core.storage.tables import GroupMember, PermissionEntry, PermissionGroup

Part = TypeVar("Part")

READING = frozenset({P.RESULT_VIEW, P.RESULT_VIEW_UNAPPROVED})
"""What makes somebody a reader of results."""
MANAGING = frozenset({P.RIGHTS_MANAGE, P.USER_MANAGE, P.SYSTEM_MANAGE})
"""What makes somebody an administrator."""
WEIGHTY = MANAGING | {
    P.RESULT_CLINICAL,
    P.RESULT_CHANGE,
    P.AUDIT_VIEW,
    P.AUDIT_REPORT,
    P.PRIVACY_VIEW,
    P.PRIVACY_DATA,
    P.PRIVACY_REVIEW,
}
"""Whoever gains one of these gains much: a reason is asked."""
MANY_PERMISSIONS, MANY_PEOPLE = 10, 5
"""So many permissions for one person, or so many people, are much too."""
SHORTEST_REASON = 10
MOST_STEPS = 30
ADMINISTRATOR_READS = "yonetici_sonuc_okur"
"""The deed by which somebody both administers and reads results (decision 0083)."""


class Deed(StrEnum):
    """What one step does."""

    JOIN = "gruba_al"
    ADMIT = "uye_al"
    PART = "uyelik_kaldir"
    GIVE = "ver"
    FORBID = "yasakla"
    TAKE = "kaldir"
    OPEN = "ac"
    CLOSE = "kapat"


@dataclass(frozen=True, slots=True)
class Step:
    """One change to a subject.

    JOIN: the subject into `group_id`. ADMIT: `member` into the subject, a group. PART, TAKE: end the membership or
    entry `row_id`. GIVE, FORBID: `permission` within `scope`. OPEN, CLOSE: the group itself.
    """

    deed: Deed
    group_id: int | None = None
    member: Subject | None = None
    row_id: int | None = None
    permission: P | None = None
    scope: Scope = EVERYTHING
    benches: tuple[str, ...] = ()
    period: Period = ALWAYS


@dataclass(frozen=True, slots=True)
class Draft:
    """Changes to one person or one group, in the order in which they are made."""

    subject: Subject
    steps: tuple[Step, ...]

    @property
    def days(self) -> tuple[date, ...]:
        """Days on which the differences are looked at: today, and each day on which something of it begins."""
        begins = {step.period.valid_from for step in self.steps if step.period.valid_from is not None}
        return (today(), *sorted(day for day in begins if day > today()))


@dataclass(frozen=True, slots=True)
class DayChanges:
    """Differences on one day."""

    day: date
    people: tuple[PersonChange, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a draft does. `weights`: why a reason is asked, in words; `seal`: stands for exactly these differences.

    administrators: who would both administer and read results because of it.
    """

    days: tuple[DayChanges, ...]
    weights: tuple[str, ...] = ()
    administrators: tuple[PersonChange, ...] = ()
    seal: str = ""

    @property
    def people(self) -> tuple[PersonChange, ...]:
        return tuple(person for day in self.days for person in day.people)


class _Undone(Exception):
    """The trial is over; its transaction is rolled back."""


async def preview(db: Database, actor: Actor, draft: Draft) -> Outcome:
    """Make the draft, compare, undo it. Raises what making it raises (GROUP_CIRCLE, NOT_ALLOWED ...)."""
    found = Outcome(())
    try:
        async with db.work(actor) as work:
            found = await _made(work, draft)
            raise _Undone
    except _Undone:
        return found


async def save(db: Database, actor: Actor, draft: Draft, reason: str, seal: str) -> Outcome:
    """Make the draft for good, in one transaction with its audit.

    seal: of the preview that the person looked at. Raises RIGHTS_MOVED where the differences are others by now,
    REASON_NEEDED where it gives much and `reason` is shorter than ten letters, and what making it raises.
    """
    reason = reason.strip()
    async with db.work(actor) as work:
        outcome = await _made(work, draft)
        if outcome.seal != seal:
            raise NumuneError(errors.RIGHTS_MOVED)
        if outcome.weights and len(reason) < SHORTEST_REASON:
            raise NumuneError(errors.REASON_NEEDED)
        _write_down(work, draft, outcome, reason)
    return outcome


async def copy_group(work: Work, group_id: int, code: str, name: str) -> int:
    """A new group with the entries of this one and inside the same groups, without its members. Returns its id.

    Raises NOT_ALLOWED, NOT_FOUND, GROUP_CODE_TAKEN, INVALID_INPUT.
    """
    source = await work.session.get(PermissionGroup, group_id)
    if source is None:
        raise NumuneError(errors.NOT_FOUND, what="Yetki grubu")
    made = await new_group(work, code, name, source.description)
    entries = await work.session.scalars(
        select(PermissionEntry)
        .where(PermissionEntry.group_id == group_id, PermissionEntry.ended_at.is_(None))
        .order_by(PermissionEntry.id)
    )
    known = {permission.value: permission for permission in P}
    for entry in entries.all():
        if entry.permission in known:
            scope, period = Scope(entry.scope_kind, entry.scope_value), Period(entry.valid_from, entry.valid_until)
            permission = known[entry.permission]
            await permissions.give(
                work, Subject(group_id=made), permission, scope, prohibits=entry.prohibits, period=period
            )
    inside = await work.session.scalars(
        select(GroupMember).where(GroupMember.member_group_id == group_id, GroupMember.ended_at.is_(None))
    )
    for row in inside.all():
        period = Period(row.valid_from, row.valid_until)
        await permissions.add_member(work, row.group_id, Subject(group_id=made), row.benches, period)
    work.audit("grup_kopyala", "yetki_grubu", made, {"kaynak": source.code}, {"kod": code.strip().upper(), "ad": name})
    return made


async def new_group(work: Work, code: str, name: str, description: str = "") -> int:
    """A group that gives nothing yet. Returns its id. Raises NOT_ALLOWED, GROUP_CODE_TAKEN, INVALID_INPUT."""
    code = code.strip().upper()
    if await work.session.scalar(select(PermissionGroup.id).where(PermissionGroup.code == code)) is not None:
        raise NumuneError(errors.GROUP_CODE_TAKEN, group=code)
    return await permissions.save_group(work, code, name, description)


async def record_trial(db: Database, actor: Actor, user_id: int, username: str) -> None:
    """Keep that somebody looked at what another person's screens would be ("dene")."""
    async with db.work(actor) as work:
        work.audit("yetki_dene", "kullanici", user_id, None, {"kullanici": username})


# --- making it -----------------------------------------------------------------------------------------------------


async def _made(work: Work, draft: Draft) -> Outcome:
    work.actor.must(P.RIGHTS_MANAGE)
    if not draft.steps or len(draft.steps) > MOST_STEPS:
        raise NumuneError(errors.INVALID_INPUT, problem=f"1 - {MOST_STEPS} değişiklik olmalı")

    async def all_steps(work: Work) -> None:
        for step in draft.steps:
            await _apply(work, draft.subject, step)

    found = await compared(work, all_steps, draft.days)
    days = tuple(DayChanges(day, tuple(people)) for day, people in zip(draft.days, found, strict=True))
    administrators = await _administrators(work, days)
    return Outcome(days, tuple(_weights(days, administrators)), administrators, _seal(draft, days))


async def _apply(work: Work, subject: Subject, step: Step) -> None:
    """One step, by the services that check and audit it. Raises what they raise; NOT_FOUND for another's row."""
    match step.deed:
        case Deed.JOIN:
            await permissions.add_member(work, _needed(step.group_id), subject, step.benches, step.period)
        case Deed.ADMIT:
            member = _needed(step.member)
            await permissions.add_member(work, _needed(subject.group_id), member, step.benches, step.period)
        case Deed.PART:
            await _belongs(work, subject, await work.session.get(GroupMember, _needed(step.row_id)))
            await permissions.remove_member(work, _needed(step.row_id))
        case Deed.GIVE | Deed.FORBID:
            permission, prohibits = _needed(step.permission), step.deed is Deed.FORBID
            await permissions.give(work, subject, permission, step.scope, prohibits=prohibits, period=step.period)
        case Deed.TAKE:
            await _belongs(work, subject, await work.session.get(PermissionEntry, _needed(step.row_id)))
            await permissions.take(work, _needed(step.row_id))
        case Deed.OPEN | Deed.CLOSE:
            row = await work.session.get(PermissionGroup, _needed(subject.group_id))
            if row is None:
                raise NumuneError(errors.NOT_FOUND, what="Yetki grubu")
            await permissions.save_group(work, row.code, row.name, row.description, step.deed is Deed.OPEN)


def _needed(part: Part | None) -> Part:
    if part is None:
        raise NumuneError(errors.BAD_PERMISSION_ENTRY, problem="değişiklik eksik yazılmış")
    return part


async def _belongs(work: Work, subject: Subject, row: GroupMember | PermissionEntry | None) -> None:
    """The row is the subject's own: a page ends nothing that it does not show. Raises NOT_FOUND."""
    if isinstance(row, GroupMember):
        own = row.user_id == subject.user_id and row.member_group_id == subject.group_id
        own = own or (subject.group_id is not None and row.group_id == subject.group_id)
    else:
        own = row is not None and row.user_id == subject.user_id and row.group_id == subject.group_id
    if not own:
        raise NumuneError(errors.NOT_FOUND, what="Kayıt")


# --- what it amounts to --------------------------------------------------------------------------------------------


def gained(change: Change) -> bool:
    """True where a permission is new or reaches something that it did not reach (a narrower reach is none)."""
    if not change.after.somewhere:
        return False
    if not change.before.somewhere:
        return True
    before, after = change.before, change.after
    wider = after.given.everywhere and not before.given.everywhere
    wider = wider or bool(not before.given.everywhere and after.given.groups - before.given.groups)
    wider = wider or bool(not before.given.everywhere and after.given.units - before.given.units)
    wider = wider or (after.given.own and not before.given.own and not before.given.everywhere)
    lifted = before.forbidden != after.forbidden and not _covers(after, before)
    return wider or lifted


def _covers(after: Extent, before: Extent) -> bool:
    """True where everything that was forbidden before is forbidden still."""
    now, was = after.forbidden, before.forbidden
    if now.everywhere:
        return True
    return not was.everywhere and was.groups <= now.groups and was.units <= now.units and (now.own or not was.own)


def _weights(days: Sequence[DayChanges], administrators: Sequence[PersonChange]) -> Iterable[str]:
    """Why this is much, one sentence each; nothing where it is not."""
    people = {person.user_id: person for day in days for person in day.people}
    raised = {change.permission for day in days for one in day.people for change in one.changes if gained(change)}
    for person in administrators:
        yield f"{person.full_name} hem yönetici olur hem sonuç okur"
    if strong := sorted(WEIGHTY & raised):
        yield "güçlü yetki: " + ", ".join(permission.caption for permission in strong)
    if any(sum(map(gained, one.changes)) >= MANY_PERMISSIONS for day in days for one in day.people):
        yield f"bir kişiye {MANY_PERMISSIONS} ya da daha çok yetki"
    if len(people) >= MANY_PEOPLE:
        yield f"{len(people)} kişiyi etkiliyor"


async def _administrators(work: Work, days: Sequence[DayChanges]) -> tuple[PersonChange, ...]:
    """Whom this makes an administrator who reads results, or lets read more."""
    found: dict[int, PersonChange] = {}
    for day in days:
        touched = [one for one in day.people if any(_matters(change) for change in one.changes)]
        if not touched:
            continue
        book = await load_book(work.session, 0, day.day)
        for one in touched:
            rights = book.rights_of(await person_of(work.session, one.user_id, day.day))
            if administers_and_reads(rights):
                found.setdefault(one.user_id, one)
    return tuple(found.values())


def _matters(change: Change) -> bool:
    return change.permission in READING | MANAGING and gained(change)


def administers_and_reads(rights: Rights) -> bool:
    """True for somebody who gives permissions, opens accounts or sets the system up, and also reads results."""
    return rights.may_any(*MANAGING) and rights.may_any(*READING)


async def mark_administrator_who_reads(work: Work, user_id: int, reason: str) -> bool:
    """For changes that come from no screen: where this person now both administers and reads results, the audit says
    so with its own deed (decision 0083). True where he does."""
    await work.session.flush()
    rights = (await load_book(work.session, 0, today())).rights_of(await person_of(work.session, user_id, today()))
    if not administers_and_reads(rights):
        return False
    held = ", ".join(sorted(one.value for one in MANAGING | READING if rights.may(one)))
    facts = {"kendisine": user_id == work.actor.user_id, "yetki": held, "neden": reason}
    work.audit(ADMINISTRATOR_READS, "kullanici", user_id, None, facts)
    return True


def _seal(draft: Draft, days: Sequence[DayChanges]) -> str:
    """A short word that stands for exactly this draft with exactly these differences."""
    facts = [repr(draft)]
    for day in days:
        facts.append(day.day.isoformat())
        for person in day.people:
            facts += [f"{person.user_id} {_extents(change)}" for change in person.changes]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:24]


def _extents(change: Change) -> str:
    """Both extents in a fixed order (sets have none)."""
    sides = [
        (reach.everywhere, sorted(reach.groups), sorted(reach.units), reach.own)
        for extent in (change.before, change.after)
        for reach in extent
    ]
    return f"{change.permission.value} {sides}"


# --- what stands in the audit --------------------------------------------------------------------------------------


def _write_down(work: Work, draft: Draft, outcome: Outcome, reason: str) -> None:
    """The change as a whole: for each person what he had and has, and why; the steps have rows of their own."""
    entity = ("kullanici", draft.subject.user_id) if draft.subject.user_id is not None else _group_of(draft)
    before: dict[str, object] = {}
    after: dict[str, object] = {"neden": reason}
    for day in outcome.days:
        for person in day.people:
            name = person.username if day is outcome.days[0] else f"{person.username} {day.day.isoformat()}"
            before[name] = {one.permission.value: _reached(one.before) for one in person.changes}
            after[name] = {one.permission.value: _reached(one.after) for one in person.changes}
    work.audit("yetki_degisikligi", *entity, before, after)
    for person in outcome.administrators:
        facts = {
            "kendisine": person.user_id == work.actor.user_id,
            "yetki": ", ".join(sorted(one.permission.value for one in person.changes if _matters(one))),
            "neden": reason,
        }
        work.audit(ADMINISTRATOR_READS, "kullanici", person.user_id, None, facts)


def _group_of(draft: Draft) -> tuple[str, int | None]:
    return "yetki_grubu", draft.subject.group_id


def _reached(extent: Extent) -> str:
    """An extent in codes, for the audit: "tum", "BIYOKIMYA", "birim 4", "kendi"; "-" in front = forbidden."""
    words: list[str] = []
    for sign, reach in zip(("", "-"), extent, strict=True):
        words += [f"{sign}tum"] if reach.everywhere else []
        words += [f"{sign}{group}" for group in sorted(reach.groups)]
        words += [f"{sign}birim {unit}" for unit in sorted(reach.units)]
        words += [f"{sign}kendi"] if reach.own else []
    return " ".join(words)
