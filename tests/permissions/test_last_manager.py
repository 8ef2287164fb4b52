"""Somebody must always be there who can give permissions: no closed account, no leave, no departure ends that."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import event, text

from lis_core.domain.errors import NumuneError
from lis_core.domain.permission_templates import Job
from lis_core.domain.permissions import P
from lis_core.people_cli import user as numune_user
from lis_core.services import accounts
from lis_core.services.employment import NewAbsence, put_absence
from lis_core.services.permissions import Subject
from lis_core.services.rights import rights_of, rights_of_many, today
from lis_core.storage.database import Database
from lis_core.storage.tables.accounts import Absence
from tests.api.conftest import Clinic, clinic  # noqa: F401 - the fixture
from tests.permissions.conftest import House


@pytest.fixture
def house(lab: Database) -> House:
    return House(lab)


async def refused(house: House, new: NewAbsence, by: str = "insan-kaynaklari") -> str:
    with pytest.raises(NumuneError) as error:
        async with house.database.work(await house.actor(by)) as work:
            await put_absence(work, new)
    return error.value.code


async def test_the_last_one_who_gives_is_not_closed(house: House) -> None:
    await house.give(Subject(user_id=await house.person("insan-kaynaklari")), P.USER_MANAGE)
    last = (await house.actor("yonetici")).user_id
    assert last is not None
    with pytest.raises(NumuneError) as error:
        async with house.database.work(await house.actor("insan-kaynaklari")) as work:
            await accounts.set_active(work, last, False)
    assert error.value.code == "NUM-0053"
    second = await house.person("ikinci", Job.ADMINISTRATOR)
    async with house.database.work(await house.actor("insan-kaynaklari")) as work:
        await accounts.set_active(work, last, False)
    async with house.database.reading() as session:
        assert await session.scalar(
            text("select aktiflik_bilgisi from kullanici where kullanici_kodu = :k"), {"k": second}
        )


async def test_the_last_one_who_gives_is_not_sent_on_leave_nor_let_go(house: House) -> None:
    await house.give(Subject(user_id=await house.person("insan-kaynaklari")), P.USER_MANAGE)
    last = (await house.actor("yonetici")).user_id
    assert last is not None
    begins = today() + timedelta(days=5)
    leave = NewAbsence(last, Absence.LEAVE, begins, begins + timedelta(days=3))
    assert await refused(house, leave) == "NUM-0053"
    assert await refused(house, NewAbsence(last, Absence.DEPARTED, begins)) == "NUM-0053"
    second = await house.person("ikinci", Job.ADMINISTRATOR)
    async with house.database.work(await house.actor("insan-kaynaklari")) as work:
        await put_absence(work, leave)
    # the second one cannot go in the same days, but can before them
    assert await refused(house, NewAbsence(second, Absence.LEAVE, begins, begins)) == "NUM-0053"
    async with house.database.work(await house.actor("insan-kaynaklari")) as work:
        await put_absence(work, NewAbsence(second, Absence.LEAVE, today(), today()))


async def test_a_list_of_people_asks_the_same_few_questions_however_long_it_is(house: House) -> None:
    people = [await house.person(f"kisi-{n}", Job.CLINICIAN if n % 2 else Job.TECHNICIAN) for n in range(12)]
    asked: list[str] = []

    def count(*facts: object) -> None:
        asked.append(str(facts[2]))

    event.listen(house.database.engine.sync_engine, "before_cursor_execute", count)
    try:
        async with house.database.reading() as session:
            many = await rights_of_many(session, [*people, *people[:2]])
            first = len(asked)
            assert set(many) == set(people)
        async with house.database.reading() as session:
            assert {key: (await rights_of(session, key)).held for key in people} == {
                key: rights.held for key, rights in many.items()
            }
    finally:
        event.remove(house.database.engine.sync_engine, "before_cursor_execute", count)
    assert first < 15, asked  # the book itself and two more; never one a person


async def test_an_administrator_who_reads_is_marked_on_the_machine_too(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import asyncio

    monkeypatch.setenv("NUMUNE_DATABASE_URL", house.database.url)
    words = ["add", "cift.sapka", "--given", "Çift", "--family", "Şapka", "--group", Job.ADMINISTRATOR.value]
    assert await asyncio.to_thread(numune_user, [*words, "--group", Job.SPECIALIST.value]) == 0
    assert "hem yönetici olur hem sonuç okur" in capsys.readouterr().out
    async with house.database.reading() as session:
        rows = (await session.execute(text("select sonraki from denetim where islem = 'yonetici_sonuc_okur'"))).all()
    assert [(row[0]["neden"], "sonuc.gor" in row[0]["yetki"]) for row in rows] == [("numune user add", True)]


async def test_a_stale_page_is_not_called_a_lack_of_permission(clinic: Clinic) -> None:  # noqa: F811
    async with clinic.anonymous(accept="text/html") as browser:
        await browser.post("/giris", data={"kullanici": "kabul", "parola": "Deneme-Parola-1"})
        answer = await browser.post("/kabul/okut", data={"metin": "1", "_form": "eski"})
    assert answer.status_code == 403 and "NUM-0010" in answer.text
    assert "<h1>Sayfa eskimiş; işlem yapılmadı</h1>" in answer.text and "yetkiniz yok" not in answer.text
