"""A physician needs the results of a patient who is not his; a celebrity is in the laboratory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from api.app import create_app
from lis_core.services import privacy
from lis_core.settings import Settings
from lis_core.storage.database import Database
from tests.api.conftest import Clinic, person
from tests.services import steps

NAME = "Ünlüoğlu"


@pytest.fixture
async def clinic(lab: Database) -> AsyncIterator[Clinic]:
    made = Clinic(create_app(lab, Settings()), lab)
    yield made
    await made.close()


class Desk:
    """Somebody at his screens: a session with its cookie and form token."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.token = ""

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(path)

    async def post(self, path: str, **form: Any) -> httpx.Response:
        return await self.client.post(path, data=form, headers={"X-Form-Token": self.token})


async def released(clinic: Clinic, **who: Any) -> str:
    """An order of the family physician with one approved result; its number."""
    placed = await clinic.place("GLU", by="ailehekimi", patient=person(**who))
    await clinic.receive(placed)
    await clinic.measure(placed["specimens"][0]["barcode"], GLU="93")
    await clinic.release(placed["number"], "GLU")
    return str(placed["number"])


async def patient_of(clinic: Clinic, number: str) -> int:
    return int((await clinic.sql("select hasta_kodu from tetkik_istem where numune_numarasi = :n", n=number))[0][0])


async def hidden(clinic: Clinic) -> tuple[str, str, int]:
    """Number of the order of a hidden patient, his own number, his id."""
    number = await released(clinic, given_name="Şöhret", family_name=NAME)
    patient = await patient_of(clinic, number)
    async with clinic.database.work(await steps.user(clinic.database, "yonetici")) as work:
        shown = await privacy.hide_patient(work, patient, "taninmis", "basın ilgisi")
    return number, shown, patient


async def opened(clinic: Clinic, number: str, by: str, minutes: int = 60) -> int:
    async with clinic.database.work(await steps.user(clinic.database, by)) as work:
        patient = await privacy.patient_of(work.session, number)
        return (await privacy.open_in_emergency(work, patient, "bilinci kapalı geldi, acil serviste", minutes)).id


async def test_somebody_elses_patient_opens_only_with_a_reason_and_for_a_time(clinic: Clinic) -> None:
    number = await released(clinic)
    physician = await clinic.as_("hekim")
    assert (await physician.get(f"/api/v1/orders/{number}")).status_code == 403
    access = await opened(clinic, number, "hekim")
    seen = await physician.get(f"/api/v1/orders/{number}")
    assert seen.status_code == 200
    assert seen.json()["tests"][0]["result"]["value"] == "93"
    [(facts,)] = await clinic.sql(
        "select sonraki from denetim where islem = 'goruntuledi' and yapan = 'hekim' order by sira desc limit 1"
    )
    assert facts["acil_erisim"] == [access]
    await clinic.sql("update acil_erisim set baslama_zamani = now() - interval '2 hours', bitis_zamani = now()")
    assert (await physician.get(f"/api/v1/orders/{number}")).status_code == 403


async def test_an_emergency_access_reads_and_does_nothing_else(clinic: Clinic) -> None:
    number = await released(clinic)
    await opened(clinic, number, "hekim")
    physician = await clinic.as_("hekim")
    assert (await physician.get(f"/api/v1/orders/{number}/report.pdf")).status_code == 403
    barcode = (await clinic.order(number))["specimens"][0]["barcode"]
    assert (await physician.post(f"/api/v1/specimens/{barcode}/collect")).status_code == 403


@pytest.mark.parametrize(("reason", "minutes"), [("", 60), ("acil", 60), ("bilinci kapalı geldi", 0), ("bilinci kapalı geldi", 9999)])  # fmt: skip
async def test_a_short_reason_or_a_wrong_time_opens_nothing(clinic: Clinic, reason: str, minutes: int) -> None:
    number = await released(clinic)
    with pytest.raises(Exception, match=r"gerekçe|dakika"):
        async with clinic.database.work(await steps.user(clinic.database, "hekim")) as work:
            await privacy.open_in_emergency(work, await patient_of(clinic, number), reason, minutes)
    assert await clinic.sql("select 1 from acil_erisim") == []


async def test_whoever_has_no_such_permission_cannot_break_the_glass(clinic: Clinic) -> None:
    number = await released(clinic)
    with pytest.raises(Exception, match="yetkiniz yok"):
        await opened(clinic, number, "kabul")


async def test_the_responsible_person_closes_it_and_nobody_his_own(clinic: Clinic) -> None:
    number = await released(clinic)
    access = await opened(clinic, number, "hekim")
    await (await clinic.as_("hekim")).get(f"/api/v1/orders/{number}")
    async with clinic.database.reading() as session:
        [line] = await privacy.to_review(session)
    assert (line.id, line.username, line.views) == (access, "hekim", 1)
    chief = await steps.user(clinic.database, "yonetici")
    with pytest.raises(Exception, match="gerekçe"):
        async with clinic.database.work(chief) as work:
            await privacy.review(work, access, "uygun_degil", " ")
    async with clinic.database.work(chief) as work:
        await privacy.review(work, access, "uygun_degil", "hasta poliklinikte değildi")
    with pytest.raises(Exception, match="daha önce"):
        async with clinic.database.work(chief) as work:
            await privacy.review(work, access, "uygun", "")
    async with clinic.database.reading() as session:
        assert await privacy.to_review(session) == []
        assert [line.verdict for line in await privacy.to_review(session, waiting=False)] == ["uygun_degil"]
    deeds = await clinic.sql("select islem from denetim where nesne_turu = 'acil_erisim' order by zincir, sira")
    assert [deed for (deed,) in deeds] == ["acil_erisim", "acil_erisim_degerlendirme"]


@pytest.mark.clause("8.3.2.33")
async def test_lists_show_the_number_of_a_hidden_patient_instead_of_the_name(clinic: Clinic) -> None:
    """One special and one isolated patient: no list, board or search shows a name; the others keep theirs."""
    number, shown, _ = await hidden(clinic)
    second = await released(clinic, given_name="Yalnız", family_name="Odalı")
    async with clinic.database.work(await steps.user(clinic.database, "yonetici")) as work:
        isolated = await privacy.hide_patient(work, await patient_of(clinic, second), "izole", "temas izolasyonu")
    plain = await released(clinic, given_name="Sıradan", family_name="Kişi")
    third = await clinic.place("GLU", by="ailehekimi", patient=person(given_name="Şöhret", family_name="Adliyeci"))
    await clinic.receive(third)
    await clinic.measure(third["specimens"][0]["barcode"], GLU="88")
    async with clinic.database.work(await steps.user(clinic.database, "yonetici")) as work:
        waiting = await privacy.hide_patient(work, await patient_of(clinic, third["number"]), "adli", "adli vaka")
    for who in ("teknisyen", "uzman", "kabul", "ailehekimi", "yonetici"):
        desk = await signed_in(clinic, who)
        pages = [await desk.get(path) for path in LISTS]
        text = "".join(page.text for page in pages if page.status_code == 200)
        for name in (NAME, "Odalı", "Adliyeci"):
            assert name not in text, (who, name)
        if who in ("teknisyen", "uzman", "kabul"):
            assert shown in text
            assert isolated in text
            assert "Sıradan Kişi" in text
        if who in ("teknisyen", "uzman"):
            assert waiting in text
    found = await (await clinic.as_("kabul")).get("/api/v1/patients?q=siradan")
    assert plain and number and len(found.json()) == 1


LISTS = ("/istemler", "/teknik-onay", "/klinik-onay", "/istem", "/kabul", "/kabul/eksik", "/istemler?ara=unluoglu",
         "/api/v1/patients?q=unluoglu", "/istem/bugun", "/bildirimler", "/eslesmeyen")  # fmt: skip


async def signed_in(clinic: Clinic, username: str) -> Desk:
    from tests.conftest import DEMO_PASSWORD

    desk = Desk(clinic.anonymous())
    answer = await desk.client.post("/giris", data={"kullanici": username, "parola": DEMO_PASSWORD})
    assert answer.status_code in (200, 303), answer.text
    page = await desk.client.get("/yardim")
    assert page.status_code == 200, page.text
    desk.token = page.text.partition('name="form-token" content="')[2].partition('"')[0]
    return desk


async def test_the_laboratory_works_on_a_hidden_patient_by_number(clinic: Clinic) -> None:
    number, shown, _ = await hidden(clinic)
    seen = await clinic.order(number, by="teknisyen")
    assert seen["patient"]["family_name"] == shown
    assert seen["patient"]["tc"] is None
    assert seen["tests"][0]["result"]["value"] == "93"
    page = await (await signed_in(clinic, "uzman")).get(f"/istem/{number}")
    assert shown in page.text
    assert NAME not in page.text


async def test_label_and_report_of_a_hidden_patient_bear_the_name(clinic: Clinic) -> None:
    """They are how the result reaches the right person."""
    number, _, _ = await hidden(clinic)
    labels = await (await signed_in(clinic, "kabul")).get(f"/istem/{number}/etiket")
    assert NAME in labels.text
    report = await (await clinic.as_("teknisyen")).get(f"/api/v1/orders/{number}/report.pdf")
    assert report.status_code == 200
    import io

    from pypdf import PdfReader

    assert NAME in "".join(page.extract_text() for page in PdfReader(io.BytesIO(report.content)).pages)


async def test_his_own_physician_sees_a_hidden_patient_others_only_in_an_emergency(clinic: Clinic) -> None:
    number, shown, _ = await hidden(clinic)
    own = await clinic.order(number, by="ailehekimi")
    assert own["patient"]["family_name"] == NAME
    await clinic.sql("update tetkik_istem set birim_kodu = (select birim_kodu from personel p join birim b on "
                     "b.birim_kodu = p.calistigi_birim_kodu join kullanici k on k.personel_kodu = p.personel_kodu "
                     "where k.kullanici_adi = 'hekim') where numune_numarasi = :n", n=number)  # fmt: skip
    colleague = await clinic.as_("hekim")
    refused = await colleague.get(f"/api/v1/orders/{number}")
    assert refused.status_code == 403
    assert shown in refused.json()["message"]
    assert NAME not in refused.text
    await opened(clinic, number, "hekim")
    assert (await clinic.order(number, by="hekim"))["patient"]["family_name"] == NAME


async def test_hiding_and_showing_again_are_kept_with_their_reasons(clinic: Clinic) -> None:
    _, shown, patient = await hidden(clinic)
    manager = await steps.user(clinic.database, "yonetici")
    with pytest.raises(Exception, match="zaten"):
        async with clinic.database.work(manager) as work:
            await privacy.hide_patient(work, patient, "diger", "yine")
    async with clinic.database.work(manager) as work:
        await privacy.show_patient(work, patient, "basın gitti")
    rows = await clinic.sql("select neden, kaldirma_nedeni from gizli_hasta where hasta_kodu = :p", p=patient)
    assert rows == [("basın ilgisi", "basın gitti")]
    deeds = await clinic.sql(
        "select islem, onceki->>'gizlilik_numarasi' from denetim where hastalar @> array[cast(:p as bigint)] "
        "and islem like 'giz%' order by sira",
        p=patient,
    )
    assert [tuple(row) for row in deeds] == [("gizlendi", None), ("gizlilik_kaldirildi", shown)]
    with pytest.raises(Exception, match="izlenmiyor"):
        async with clinic.database.work(manager) as work:
            await privacy.show_patient(work, patient, "yine")
    with pytest.raises(Exception, match="yetkiniz yok"):
        async with clinic.database.work(await steps.user(clinic.database, "hekim")) as work:
            await privacy.hide_patient(work, patient, "diger", "x")


async def test_an_analyser_is_given_the_number_of_a_hidden_patient(clinic: Clinic) -> None:
    from drivers.messages import Query
    from lis_core.services.routing import answer_query

    placed = await clinic.place("GLU", by="hekim", patient=person(given_name="Şöhret", family_name=NAME))
    await clinic.receive(placed)
    async with clinic.database.work(await steps.user(clinic.database, "yonetici")) as work:
        shown = await privacy.hide_patient(work, await patient_of(clinic, placed["number"]), "taninmis", "basın")
    barcode = placed["specimens"][0]["barcode"]
    [order] = await answer_query(clinic.database, "genel", Query(specimens=[barcode]))
    assert order.patient is not None
    assert (order.patient.family_name, order.patient.given_name) == (shown, "Hasta")
