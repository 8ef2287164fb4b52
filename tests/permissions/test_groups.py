"""Groups, inheritance, prohibitions, days, refusals: as an administrator and his people live them (4.8.3-4.8.6)."""

from __future__ import annotations

import json
from datetime import timedelta

import psycopg.errors
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permission_templates import TEMPLATES, Job
from lis_core.domain.permissions import About, P, Scope, ScopeKind
from lis_core.services import permissions
from lis_core.services.permissions import Period, Subject, preview, remove_member, take, try_as
from lis_core.services.rights import rights_of, today
from lis_core.storage.database import Database
from lis_core.storage.tables import GroupMember, PermissionEntry
from lis_core.views.permissions import entries_of, memberships, permission_groups, what_may, who_may
from tests.api.conftest import Clinic
from tests.permissions.conftest import House
from tests.services import steps


@pytest.fixture
def house(lab: Database) -> House:
    return House(lab)


async def may(house: House, user_id: int, permission: P, about: About | None = None) -> bool:
    async with house.database.reading() as session:
        return (await rights_of(session, user_id)).may(permission, about)


async def test_a_new_installation_has_the_groups_of_the_usual_jobs(database: Database) -> None:
    async with database.reading() as session:
        lines = {line.code: line for line in await permission_groups(session)}
    assert set(lines) == {template.code.value for template in TEMPLATES}
    assert lines[Job.CHIEF].inside == ("Laboratuvar uzmanı",)
    assert all(line.entries for line in lines.values())


@pytest.mark.clause("4.8.6a")
async def test_three_levels_and_what_each_gives(house: House) -> None:
    """Sorumlu is in Uzman, Uzman in Teknisyen: at each level the screen says what holds and where from."""
    expected = {Job.TECHNICIAN: P.RESULT_TECHNICAL, Job.SPECIALIST: P.RESULT_CLINICAL, Job.CHIEF: P.CATALOGUE_MANAGE}
    held: list[set[P]] = []
    for job, gained in expected.items():
        user_id = await house.person(f"kisi-{job.value.lower()}", job)
        async with house.database.reading() as session:
            explained = {one.permission: one for one in await what_may(session, user_id)}
        assert explained[gained].allowed
        held.append({permission for permission, one in explained.items() if one.allowed})
    assert held[0] < held[1] < held[2]
    assert explained[P.RESULT_TECHNICAL].grants[0].path == (
        "Laboratuvar sorumlusu",
        "Laboratuvar uzmanı",
        "Laboratuvar teknisyeni",
    )


@pytest.mark.clause("4.8.6b")
async def test_a_group_in_a_group_and_never_in_a_circle(house: House) -> None:
    a, b, c = [await house.new_group(code) for code in ("A", "B", "C")]
    await house.put(a, Subject(group_id=b))
    await house.put(b, Subject(group_id=c))
    for outer, inner in ((c, a), (b, a), (a, a)):
        with pytest.raises(NumuneError) as refused:
            await house.put(outer, Subject(group_id=inner))
        assert refused.value.kind is errors.GROUP_CIRCLE
    with pytest.raises(IntegrityError):  # the database itself refuses too
        async with house.database.work(await house.actor("yonetici")) as work:
            work.session.add(GroupMember(group_id=c, member_group_id=a))
            await work.session.flush()


@pytest.mark.clause("4.8.6c")
async def test_what_a_group_gets_its_members_have(house: House) -> None:
    a, b = await house.new_group("A"), await house.new_group("B")
    await house.put(a, Subject(group_id=b))
    user_id = await house.person("uye")
    await house.put(b, Subject(user_id=user_id))
    assert not await may(house, user_id, P.AUDIT_VIEW)
    await house.give(Subject(group_id=a), P.AUDIT_VIEW)
    assert await may(house, user_id, P.AUDIT_VIEW)


@pytest.mark.clause("4.8.6d")
@pytest.mark.parametrize("whose", ["user", "group"])
async def test_a_prohibition_wins_and_lifting_it_restores(house: House, whose: str) -> None:
    a, b = await house.new_group("A", P.AUDIT_VIEW), await house.new_group("B")
    await house.put(a, Subject(group_id=b))
    user_id = await house.person("uye")
    await house.put(b, Subject(user_id=user_id))
    assert await may(house, user_id, P.AUDIT_VIEW)
    subject = Subject(user_id=user_id) if whose == "user" else Subject(group_id=b)
    entry = await house.give(subject, P.AUDIT_VIEW, prohibits=True)
    assert not await may(house, user_id, P.AUDIT_VIEW)
    async with house.database.reading() as session:
        why = (await rights_of(session, user_id)).why(P.AUDIT_VIEW)
    assert not why.allowed
    assert why.grants[0].source == "B → A"
    assert why.prohibitions[0].source == ("kişiye özel" if whose == "user" else "B")
    async with house.database.work(await house.actor("yonetici")) as work:
        await take(work, entry)
    assert await may(house, user_id, P.AUDIT_VIEW)


async def test_a_narrow_prohibition_takes_only_what_it_covers(house: House) -> None:
    user_id = await house.person("uye", Job.SPECIALIST)
    await house.give(Subject(user_id=user_id), P.RESULT_CLINICAL, Scope(ScopeKind.BENCH, "HORMON"), prohibits=True)
    assert await may(house, user_id, P.RESULT_CLINICAL, About("BIYOKIMYA"))
    assert not await may(house, user_id, P.RESULT_CLINICAL, About("HORMON"))


async def test_days_begin_and_end_an_entry(house: House) -> None:
    user_id = await house.person("gecici")
    day = today()
    group = await house.new_group("GECICI", P.AUDIT_VIEW)
    await house.put(group, Subject(user_id=user_id), period=Period(day + timedelta(days=1), None))
    assert not await may(house, user_id, P.AUDIT_VIEW)
    other = await house.new_group("BUGUN", P.QC_VIEW)
    await house.put(other, Subject(user_id=user_id), period=Period(day, day))
    assert await may(house, user_id, P.QC_VIEW)
    past = await house.new_group("DUN", P.USER_VIEW)
    await house.put(past, Subject(user_id=user_id), period=Period(None, day - timedelta(days=1)))
    assert not await may(house, user_id, P.USER_VIEW)


async def test_only_who_may_give_gives(house: House) -> None:
    teknisyen = await house.actor("teknisyen")
    assert teknisyen.user_id is not None
    with pytest.raises(NumuneError) as refused:
        async with house.database.work(teknisyen) as work:
            await permissions.give(work, Subject(user_id=teknisyen.user_id), P.RESULT_CLINICAL, Scope())
    assert refused.value.details["codes"] == ["yetki.yonet"]


async def test_somebody_can_always_give(house: House) -> None:
    """The last who may give permissions cannot be taken out, not even by himself."""
    admin = await house.actor("yonetici")
    async with house.database.reading() as session:
        [membership] = await memberships(session, user_id=admin.user_id)
    with pytest.raises(NumuneError) as refused:
        async with house.database.work(admin) as work:
            await remove_member(work, membership.id)
    assert refused.value.kind is errors.LAST_MANAGER
    assert await may(house, admin.user_id or 0, P.RIGHTS_MANAGE)


@pytest.mark.parametrize(
    ("permission", "scope"),
    [
        (P.AUDIT_VIEW, Scope(ScopeKind.BENCH, "BIYOKIMYA")),
        (P.RESULT_CLINICAL, Scope(ScopeKind.BENCH, "YOK")),
        (P.RESULT_CLINICAL, Scope(ScopeKind.UNIT, "DAHILIYE")),
        (P.ORDER_VIEW, Scope(ScopeKind.UNIT, "YOK")),
        (P.ORDER_VIEW, Scope(ScopeKind.OWN, "7")),
    ],
)
async def test_a_scope_must_make_sense(house: House, permission: P, scope: Scope) -> None:
    admin = await house.actor("yonetici")
    with pytest.raises(NumuneError) as refused:
        await house.give(Subject(user_id=admin.user_id), permission, scope)
    assert refused.value.kind is errors.BAD_PERMISSION_ENTRY


async def test_every_change_is_in_the_audit_with_before_and_after(house: House) -> None:
    user_id = await house.person("uye")
    entry = await house.give(Subject(user_id=user_id), P.AUDIT_VIEW)
    async with house.database.work(await house.actor("yonetici")) as work:
        await take(work, entry)
    given, taken = await steps.audit_of(house.database, "yetki_kaydi", entry)
    assert (given.action, given.actor, given.before) == ("yetki_ver", "yonetici", None)
    assert given.after == taken.before
    assert given.after is not None
    assert given.after["yetki"] == "denetim.gor"
    assert (taken.action, taken.after) == ("yetki_al", None)
    assert await steps.chain_problems(house.database) == []


@pytest.mark.administrator("the trigger refuses even whoever has the right")
async def test_nothing_of_it_can_be_deleted(house: House) -> None:
    for table in ("yetki_kaydi", "grup_uyeligi"):
        with pytest.raises(IntegrityError) as refused:
            async with house.database.work(await house.actor("yonetici")) as work:
                await work.session.execute(text(f"delete from {table}"))
        assert isinstance(refused.value.orig, psycopg.errors.IntegrityError)


async def test_the_screen_lists_entries_and_who_ended_them(house: House) -> None:
    user_id = await house.person("uye", Job.TECHNICIAN)
    entry = await house.give(Subject(user_id=user_id), P.AUDIT_VIEW)
    async with house.database.work(await house.actor("yonetici")) as work:
        await take(work, entry)
    async with house.database.reading() as session:
        assert await entries_of(session, user_id=user_id) == []
        [line] = await entries_of(session, user_id=user_id, ended=True)
        [member] = await memberships(session, user_id=user_id)
        inner = await memberships(session, members_of=await house.group(Job.TECHNICIAN))
    assert (line.given_by, line.ended_by, line.permission) == ("Yasemin Öztürk", "Yasemin Öztürk", P.AUDIT_VIEW)
    assert member.group == "Laboratuvar teknisyeni"
    assert "Laboratuvar uzmanı" in [one.member for one in inner]


async def test_who_may_and_why_an_administrator_reads_results(house: House) -> None:
    """Administering gives no result; where somebody gives it to him, the screen shows it, with its giver."""
    admin = await house.actor("yonetici")
    assert admin.user_id is not None
    assert not await may(house, admin.user_id, P.RESULT_VIEW)
    await house.give(Subject(user_id=admin.user_id), P.RESULT_VIEW)
    async with house.database.reading() as session:
        holders = {holder.username: holder for holder in await who_may(session, P.RESULT_VIEW)}
        clinical = {holder.username for holder in await who_may(session, P.RESULT_CLINICAL)}
    assert {"teknisyen", "uzman", "hekim", "ailehekimi", "yonetici"} == set(holders)
    own = holders["yonetici"].explanation
    assert (own.allowed, own.grants[0].source, own.grants[0].given_by) == (True, "kişiye özel", "Yasemin Öztürk")
    assert clinical == {"uzman"}


async def test_the_difference_before_saving_is_what_saving_does(house: House) -> None:
    admin, uzman = await house.actor("yonetici"), await house.actor("uzman")

    async def change(work: permissions.Work) -> None:
        await permissions.give(
            work, Subject(group_id=await house.group(Job.TECHNICIAN)), P.RESULT_TECHNICAL, Scope(), prohibits=True
        )

    seen = await preview(house.database, admin, change)
    assert {one.username: [(c.permission, c.words) for c in one.changes] for one in seen} == {
        "teknisyen": [(P.RESULT_TECHNICAL, "kaybeder")],
        "uzman": [(P.RESULT_TECHNICAL, "kaybeder")],
    }
    assert await may(house, uzman.user_id or 0, P.RESULT_TECHNICAL)  # nothing was saved
    async with house.database.reading() as session:
        assert (await session.scalars(select(PermissionEntry).where(PermissionEntry.prohibits))).all() == []
    async with house.database.work(admin) as work:
        await change(work)
    assert not await may(house, uzman.user_id or 0, P.RESULT_TECHNICAL)


async def test_try_as_shows_what_he_sees(house: House) -> None:
    hekim = await house.actor("hekim")
    async with house.database.reading() as session:
        seen = await try_as(session, hekim.user_id or 0)
    assert seen.held == hekim.rights.held
    assert seen.may(P.ORDER_VIEW, About(physician_id=hekim.physician_id))


# --- at the door ---------------------------------------------------------------------------------------------------


@pytest.mark.clause("4.8.4c")
@pytest.mark.clause("4.8.4d")
async def test_a_change_holds_at_the_next_request_and_says_who_took_it(clinic: Clinic) -> None:
    house = House(clinic.database)
    uzman = await clinic.as_("uzman")
    assert (await uzman.get("/api/v1/unmatched")).status_code == 200
    entry = await house.give(Subject(user_id=(await house.actor("uzman")).user_id), P.UNMATCHED_VIEW, prohibits=True)
    refused = await uzman.get("/api/v1/unmatched")
    assert (refused.status_code, refused.json()["code"]) == (403, "NUM-0004")
    said = refused.json()["message"]
    assert "eşleşmeyen sonuçları görme" in said
    assert "itibarıyla Yasemin Öztürk tarafından yasaklandı" in said
    assert said.endswith("Yetkiyi verebilen: Sistem yöneticisi (Yasemin Öztürk).")
    async with house.database.work(await house.actor("yonetici")) as work:
        await take(work, entry)
    assert (await uzman.get("/api/v1/unmatched")).status_code == 200


@pytest.mark.clause("4.8.4d")
async def test_who_was_taken_out_of_his_group_is_told(clinic: Clinic) -> None:
    house = House(clinic.database)
    teknisyen = await clinic.as_("teknisyen")
    async with house.database.reading() as session:
        [membership] = await memberships(session, user_id=(await house.actor("teknisyen")).user_id)
    async with house.database.work(await house.actor("yonetici")) as work:
        await remove_member(work, membership.id)
    refused = (await teknisyen.get("/api/v1/tests")).json()
    assert "Laboratuvar teknisyeni grubundan" in refused["message"]
    assert "Yasemin Öztürk tarafından çıkarıldınız" in refused["message"]


@pytest.mark.clause("2.8.11b")
async def test_a_screen_by_its_address_is_refused_and_kept(clinic: Clinic) -> None:
    """Reception opens clinical approval by its address: 403 in words, and the attempt is in the audit."""
    kabul = await clinic.as_("kabul")
    page = await kabul.get("/klinik-onay/26000001", headers={"accept": "text/html"})
    assert page.status_code == 403
    assert "klinik onay" in page.text
    assert "Yasemin Öztürk" in page.text
    rows = await clinic.sql("select yapan, islem, sonraki from denetim where zincir = 'ret'")
    assert [(who, what, facts) for who, what, facts in rows] == [
        ("kabul", "yetki_ret", {"kapi": "GET /klinik-onay/{number}", "yetki": ["sonuc.klinik_onay"]})
    ]
    assert "26000001" not in json.dumps([facts for *_, facts in rows])


@pytest.mark.clause("4.8.5")
@pytest.mark.clause("4.8.4b")
async def test_seeing_entering_changing_and_reporting_are_apart(clinic: Clinic) -> None:
    """Who may see an order can neither enter, nor cancel, nor print; each comes with its own permission."""
    house = House(clinic.database)
    placed = await clinic.place("GLU")
    user_id = await house.person("okur")
    from lis_core.services.users import set_password

    async with house.database.work(await house.actor("yonetici")) as work:
        await set_password(work, user_id, "Okur-Parolasi-17")
    okur = await clinic.as_("okur", "Okur-Parolasi-17")
    number = placed["number"]
    doors = {
        P.ORDER_VIEW: lambda: okur.get(f"/api/v1/orders/{number}"),
        P.SPECIMEN_COLLECT: lambda: okur.post(f"/api/v1/specimens/{placed['specimens'][0]['barcode']}/collect"),
        P.REPORT_TAKE: lambda: okur.get(f"/api/v1/orders/{number}/report.pdf"),
        P.PATIENT_VIEW: lambda: okur.get("/api/v1/patients?q=isil"),
    }
    open_now: set[P] = set()
    for permission in doors:
        for other, call in doors.items():
            assert ((await call()).status_code == 403) is (other not in open_now), (permission, other)
        await house.give(Subject(user_id=user_id), permission)
        if permission is P.SPECIMEN_COLLECT:
            await house.give(Subject(user_id=user_id), P.SPECIMEN_VIEW)
        if permission is P.REPORT_TAKE:
            await house.give(Subject(user_id=user_id), P.RESULT_VIEW)
        open_now.add(permission)
