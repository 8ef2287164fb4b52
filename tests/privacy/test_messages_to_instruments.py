"""What was sent to an analyser names the patient too: kept as long as a rule says, told to him, gone with him."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import text

from lis_core.services import personal_data, retention
from lis_core.storage.database import Actor, Database
from tests.api.conftest import Clinic, clinic, person  # noqa: F401 - the fixture
from tests.services import steps

OML = b"MSH|^~\\&|NUMUNE|LAB\rPID|||H1||Unutulan^Serife\rOBR|1|N1.1\r"


async def sent(clinic: Clinic, *, state: str, finished: bool = True) -> int:  # noqa: F811
    """A glucose whose work went to an analyser in a message; the patient."""
    placed = await clinic.place("GLU", by="hekim", patient=person(given_name="Şerife", family_name="Unutulan"))
    await clinic.receive(placed)
    if finished:
        await clinic.measure(placed["specimens"][0]["barcode"], GLU="93")
        await clinic.release(placed["number"], "GLU")
    [(patient, row)] = await clinic.sql(
        "select i.hasta_kodu, t.istem_tetkik_kodu from tetkik_istem i join istem_tetkik t using (tetkik_istem_kodu) "
        "where numune_numarasi = :n", n=placed["number"],
    )  # fmt: skip
    await clinic.sql(
        "with c as (select cihaz_kodu from cihaz order by 1 limit 1), a as (insert into is_adimi (adim_numarasi, "
        "istem_tetkik_kodu, cihaz_kodu, cihaz_test_kodu, durum) select 'S' || :row, cast(:row as bigint), cihaz_kodu, 'GLU', "
        "'tamam' from c returning is_adimi_kodu, cihaz_kodu) insert into is_iletisi (kontrol_numarasi, cihaz_kodu, "
        "hat, tur, icerik, adimlar, durum, yanit_icerik, yanit_aciklama) select 'K' || :row, cihaz_kodu, 'law', 'NW', "
        ":oml, array[is_adimi_kodu], :state, :oml, 'Unutulan' from a",
        row=str(row), oml=OML, state=state,
    )  # fmt: skip
    return int(patient)


async def kept(clinic: Clinic) -> list[tuple[bytes, str, bytes | None, str]]:  # noqa: F811
    return [
        tuple(row)
        for row in await clinic.sql("select icerik, durum, yanit_icerik, yanit_aciklama from is_iletisi order by 1")
    ]


async def manager_of(database: Database) -> Actor:
    return await steps.user(database, "yonetici")


async def test_a_forgotten_patient_is_in_no_message_to_an_analyser(clinic: Clinic) -> None:  # noqa: F811
    patient = await sent(clinic, state="yanitlandi")
    await clinic.sql(
        "insert into baglanti_trafigi (baglanti_kodu, zaman, yon, icerik) "
        "select baglanti_kodu, now(), 'giden', :oml from baglanti limit 1",
        oml=OML,
    )
    async with clinic.database.reading() as session:
        told = await personal_data.personal_data(session, patient)
    assert [row["tur"] for row in told["cihaz_iletileri"]] == ["NW"]
    async with clinic.database.work(await manager_of(clinic.database)) as work:
        await retention.erase_identity(work, patient, "ilgilinin başvurusu")
    assert await kept(clinic) == [(b"", "yanitlandi", None, "")]
    assert await clinic.sql("select 1 from baglanti_trafigi") == []


async def test_a_message_that_was_never_answered_is_not_sent_empty(clinic: Clinic) -> None:  # noqa: F811
    patient = await sent(clinic, state="gonderildi")
    async with clinic.database.work(await manager_of(clinic.database)) as work:
        await retention.erase_identity(work, patient, "ilgilinin başvurusu")
    assert await kept(clinic) == [(b"", "vazgecildi", None, "")]


@pytest.mark.parametrize(("state", "emptied"), [("yanitlandi", 1), ("bekliyor", 0)])
@pytest.mark.administrator("rules of retention are the owner's, `numune privacy` is given his address")
async def test_old_messages_are_emptied_by_rule_and_waiting_ones_are_not(
    clinic: Clinic,  # noqa: F811
    state: str,
    emptied: int,
) -> None:
    await sent(clinic, state=state, finished=False)
    async with clinic.database.engine.begin() as connection:
        await connection.execute(text("update is_iletisi set kayit_zamani = kayit_zamani - interval '40 days'"))
    async with clinic.database.work(await manager_of(clinic.database)) as work:
        await retention.save_rule(work, "is_iletisi", 30, "kurul kararı 8", date.today())
        [one] = await retention.due(work.session, datetime.now(UTC))
        assert (one.caption, one.rows) == ("Cihazlara gönderilen iş iletilerinin içeriği", emptied)
        assert await retention.apply_rule(work, one) == emptied
    assert (await kept(clinic))[0][0] == (b"" if emptied else OML)
