"""What the tender's clauses on security and audit ask, checked the way their own `check` says."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import DBAPIError

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P, Scope
from lis_core.services import permissions, personal_data, privacy, retention
from lis_core.services.permissions import Subject, add_member, give, remove_member, save_group
from lis_core.services.users import actor_of_user
from lis_core.storage.tables import GroupMember, User
from tests.accounts.conftest import CHROME, FIREFOX, House
from tests.api.conftest import Clinic, person
from tests.services import steps


async def released(clinic: Clinic, *tests: str, **order: object) -> str:
    """An order whose tests are clinically approved; its number."""
    placed = await clinic.place(*tests, **order)  # type: ignore[arg-type]
    await clinic.receive(placed)
    await clinic.measure(placed["number"], **dict.fromkeys(tests, "93"))
    await clinic.release(placed["number"], *tests)
    return str(placed["number"])


@pytest.mark.clause("4.8.10a")
async def test_one_forbidden_case_at_the_level_of_user_operation_and_record(clinic: Clinic) -> None:
    number = await released(clinic, "GLU", by="ailehekimi")
    async with clinic.anonymous() as nobody:
        wrong = {"username": "uzman", "password": "yanlış parola"}
        assert (await nobody.post("/api/v1/auth/token", json=wrong)).status_code == 401
        assert (await nobody.get(f"/api/v1/orders/{number}")).status_code == 401
    waiting = await clinic.place("UREA")
    await clinic.receive(waiting)
    await clinic.measure(waiting["number"], UREA="30")
    result = await clinic.result_id(waiting["number"], "UREA")
    assert (await clinic.decide("technical-approval", result, "kabul")).status_code == 403
    foreign = await (await clinic.as_("hekim")).get(f"/api/v1/orders/{number}")
    assert (foreign.status_code, foreign.json()["code"]) == (403, errors.NOT_ALLOWED.code)


@pytest.mark.clause("4.4.3a")
async def test_a_verified_result_is_changed_only_by_whom_it_is_allowed_and_deleted_by_nobody(clinic: Clinic) -> None:
    number = await released(clinic, "GLU")
    result = await clinic.result_id(number, "GLU")
    for who in ("kabul", "hekim", "ailehekimi", "yonetici"):
        assert (await clinic.decide("withdraw", result, who, reason="deneme")).status_code == 403, who
        assert (await clinic.decide("repeat", result, who, reason="deneme")).status_code == 403, who
    assert (await clinic.line(number, "GLU"))["state"] == "clinically_approved"
    for statement in ("delete from tetkik_sonuc", "update tetkik_sonuc set tetkik_sonucu = '1'"):
        with pytest.raises(DBAPIError, match="silinemez"):
            await clinic.sql(statement)
    assert (await clinic.decide("withdraw", result, "uzman", reason="numune karıştı")).status_code == 200
    assert (await clinic.line(number, "GLU"))["state"] != "clinically_approved"


@pytest.mark.clause("4.8.3a")
async def test_the_administrator_makes_a_group_and_moves_a_person_and_nobody_else_can(clinic: Clinic) -> None:
    database = clinic.database
    async with database.reading() as session:
        person_id = (await session.execute(User.__table__.select().where(User.username == "kabul"))).one()[0]
    specialist = await steps.user(database, "uzman")
    for forbidden in (
        lambda work: save_group(work, "DEPO", "Depo"),
        lambda work: give(work, Subject(user_id=person_id), P.AUDIT_VIEW, Scope()),
    ):
        with pytest.raises(NumuneError) as refused:
            async with database.work(specialist) as work:
                await forbidden(work)
        assert refused.value.kind is errors.NOT_ALLOWED
    async with database.work(await steps.user(database, "yonetici")) as work:
        outer = await save_group(work, "DEPO", "Depo")
        inner = await save_group(work, "DEPO-SORUMLU", "Depo sorumlusu")
        await add_member(work, outer, Subject(group_id=inner))
        await give(work, Subject(group_id=inner), P.AUDIT_VIEW, Scope())
        membership = await add_member(work, inner, Subject(user_id=person_id))

    async def may() -> bool:
        async with database.reading() as session:
            return (await actor_of_user(session, await session.get_one(User, person_id), "")).may(P.AUDIT_VIEW)

    assert await may()
    async with database.work(await steps.user(database, "yonetici")) as work:
        await remove_member(work, membership)
        await add_member(work, outer, Subject(user_id=person_id))
    assert not await may()
    async with database.reading() as session:
        assert (await session.get_one(GroupMember, membership)).ended_at is not None
        assert await permissions.try_as(session, person_id) is not None


@pytest.mark.clause("4.8.14b")
async def test_personal_data_leave_only_with_their_own_right_and_a_stated_purpose(clinic: Clinic, house: House) -> None:
    number = await released(clinic, "GLU")
    specialist = await house.signed_in("uzman")
    await specialist.get("/")
    refused = await specialist.send("/gizlilik/dokum", hasta=number, neden="merak ettim")
    assert refused.status_code == 403
    [(_, facts)] = [row for row in await house.audit("yetki_ret") if row[0] == "uzman"]
    assert facts["yetki"] == [P.PRIVACY_DATA]
    keeper = await house.signed_in("yonetici")
    await keeper.get("/gizlilik")
    silent = await keeper.send("/gizlilik/dokum", hasta=number, neden="  ")
    assert "gerekçe" in silent.text.lower() and silent.headers["content-type"].startswith("text/html")
    given = await keeper.send("/gizlilik/dokum", hasta=number, neden="ilgilinin dilekçesi 2026/14")
    assert given.headers["content-type"] == "application/zip"
    [(who, facts)] = await house.audit("veri_dokumu")
    assert who == "yonetici" and "2026/14" in str(facts)


@pytest.mark.clause("4.8.14c")
async def test_a_patient_in_ones_care_needs_no_further_step_and_another_one_a_reason(
    house: House, clinic: Clinic
) -> None:
    mine = await released(clinic, "GLU", by="hekim")
    others = await released(clinic, "GLU", by="ailehekimi")
    physician = await house.signed_in("hekim")
    assert (await physician.get(f"/istem/{mine}")).status_code == 200
    refused = await physician.client.get(f"/istem/{others}", headers={"accept": "text/html"})
    assert refused.status_code == 403 and f"/gizlilik/acil/{others}" in refused.text
    await physician.get(f"/gizlilik/acil/{others}")
    reason = "bilinci kapalı, acil serviste"
    await physician.post(f"/gizlilik/acil/{others}", gerekce=reason, dakika="15")
    assert (await physician.get(f"/istem/{others}")).status_code == 200 and "93" in physician.page
    opened = await house.audit("acil_erisim")
    assert [who for who, _ in opened] == ["hekim"] and reason in str(opened)


@pytest.mark.clause("EK1.2c")
async def test_every_kind_of_processing_of_personal_data_is_in_the_audit(clinic: Clinic) -> None:
    """Collecting, consulting, changing, handing out, hiding, printing, erasing: each leaves a row about this person."""
    who = person(given_name="Ömür", family_name="Veri")
    number = await released(clinic, "GLU", patient=who)
    [(patient,)] = await clinic.sql("select hasta_kodu from tetkik_istem where numune_numarasi = :n", n=number)
    await clinic.order(number, "uzman")
    assert (await (await clinic.as_("uzman")).get(f"/api/v1/orders/{number}/report.pdf")).status_code == 200
    keeper = await steps.user(clinic.database, "yonetici")
    async with clinic.database.work(keeper) as work:
        await privacy.hide_patient(work, patient, "izole", "salgın izlemi")
    async with clinic.database.work(keeper) as work:
        await personal_data.take_away(work, patient, "ilgilinin dilekçesi")
    async with clinic.database.work(keeper) as work:
        await privacy.show_patient(work, patient, "izlem bitti")
    async with clinic.database.work(keeper) as work:
        await retention.erase_identity(work, patient, "ilgilinin başvurusu")
    rows = await clinic.sql(
        "select distinct islem, nesne_turu from denetim where hastalar @> array[cast(:p as bigint)] "
        "or (nesne_turu = 'hasta' and nesne_kodu = :c)",
        p=patient,
        c=str(patient),
    )
    deeds = {deed for deed, _ in rows}
    assert {"kaydet", "goruntuledi", "gizlendi", "gizlilik_kaldirildi", "veri_dokumu", "kimlik_silindi"} <= deeds, deeds
    assert ("kaydet", "hasta") in set(rows)
    views = await clinic.sql("select nesne_kodu from denetim where islem = 'goruntuledi' and yapan = 'uzman'")
    assert any("report.pdf" in page for (page,) in views)


@pytest.mark.clause("9.7.10a")
@pytest.mark.clause("9.7.12")
async def test_clinical_approval_from_two_computers_that_were_never_seen_before(house: House, clinic: Clinic) -> None:
    """One in the laboratory, one at home: nothing is registered, both approvals name their address."""
    for address, agent, code in (("10.20.1.7", FIREFOX, "GLU"), ("85.105.9.9", CHROME, "UREA")):
        placed = await clinic.place(code)
        await clinic.receive(placed)
        await clinic.measure(placed["number"], **{code: "93"})
        result = await clinic.result_id(placed["number"], code)
        assert (await clinic.decide("technical-approval", result, "teknisyen")).status_code == 200
        specialist = await house.signed_in("uzman", address=address, agent=agent)
        await specialist.get(f"/klinik-onay/{placed['number']}")
        done = await specialist.client.post(
            f"/klinik-onay/{placed['number']}/onayla",
            data={"sonuc": str(result)},
            headers={"X-Form-Token": specialist.token, "HX-Request": "true"},
        )
        assert "1 sonuç klinik onay aldı" in done.text
        assert (await clinic.line(placed["number"], code))["state"] == "clinically_approved"
    rows = await house.sql("select adres from denetim where islem = 'klinik_onay' order by zaman")
    assert [address for (address,) in rows] == ["10.20.1.7", "85.105.9.9"]
