"""Orders, labels, acceptance and search, read as pages."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update

from lis_core.domain.identity import synthetic_tc
from lis_core.domain.states import Priority
from lis_core.settings import ISTANBUL
from lis_core.storage.tables import Patient, Test
from tests.screens.conftest import Site
from tests.screens.scenario import Lab, person


@pytest.mark.clause("9.2.8")
async def test_tests_stand_under_the_tube_they_go_into(site: Site) -> None:
    page = (await (await site.as_("ailehekimi")).get("/istem/yeni")).text
    columns = dict(re.findall(r'data-tube-head="(\d\d)"><span class="tube[^>]*>([^<]+)<', page))
    assert list(columns.values())[:4] == ["Biyokimya", "Hemogram", "Hormon-ELISA", "TİT"]
    tubes = dict(re.findall(r'name="tetkik" value="([^"]+)"[^>]*data-tube="(\d\d)"', page))
    assert (tubes["GLU"], tubes["CBC"], tubes["TSH"], tubes["TIT"], tubes["ESR"]) == ("01", "02", "03", "04", "05")

    # What is chosen shows its tube: the answer to the order names each tube with its tests.
    answer = await (await site.as_("ailehekimi")).post("/istem", **form(tetkik=["GLU", "TSH"]))
    text = re.sub(r"<[^>]+>", " ", answer.text)
    assert re.search(r"Biyokimya\s+GLU", text) and re.search(r"Hormon-ELISA\s+TSH", text)


def form(**wanted: str | list[str]) -> dict[str, str | list[str]]:
    """The fields of the order form for a new person."""
    people = form.__dict__.setdefault("people", iter(range(860_000, 870_000)))
    said: dict[str, str | list[str]] = {
        "tc": synthetic_tc(next(people)),
        "ad": "Gülşen",
        "soyad": "Öğütçü",
        "dogum": "01.02.1990",
        "cinsiyet": "F",
        "tetkik": ["GLU"],
        "aciliyet": "rutin",
    }
    return said | wanted


@pytest.mark.clause("9.1.2a")
async def test_who_ordered_and_when_is_kept_and_shown(site: Site, story: Lab) -> None:
    physician = await site.as_("hekim")
    answer = await physician.post("/istem", **form())
    number = re.search(r"İstem kaydedildi: <b>(\d+)</b>", answer.text)
    assert number
    page = (await physician.get(f"/istem/{number[1]}")).text
    row = re.search(r'data-row="(\d+)"', page)
    assert row
    history = re.sub(r"<[^>]+>", " ", (await physician.get(f"/istem/{number[1]}/tetkik/{row[1]}")).text)
    assert re.search(r"\d\d:\d\d\s+İstem yapıldı\s+Çağla Özışık", history)


@pytest.mark.clause("9.2.4b")
async def test_a_preprinted_number_tells_who_registered_it_where_and_when(site: Site) -> None:
    """The bars hold no code of a physician or a unit; the record does."""
    physician = await site.as_("ailehekimi")
    assert "İstem kaydedildi: <b>1501</b>" in (await physician.post("/istem", **form(numara="1501"))).text
    page = (await physician.get("/istem/1501")).text
    assert "1 No&#39;lu Aile Hekimliği Birimi" in page
    row = re.search(r'data-row="(\d+)"', page)
    assert row
    history = re.sub(r"<[^>]+>", " ", (await physician.get(f"/istem/1501/tetkik/{row[1]}")).text)
    assert re.search(r"\d\d:\d\d\s+İstem yapıldı\s+İpek Güneş", history)


@pytest.mark.clause("9.2.5b")
async def test_a_number_of_somebody_elses_range_names_its_owner_and_warns(site: Site) -> None:
    physician = await site.as_("ailehekimi")
    said = (await physician.get("/istem/numara?metin=2150", part=True)).text
    assert "Şükrü Ünal" in said and "2001–2999" in said
    answer = await physician.post("/istem", **form(numara="2150"))
    assert "İstem kaydedildi" in answer.text and "Şükrü Ünal" in answer.text and "said warn" in answer.text


@pytest.mark.clause("9.2.2b")
async def test_all_four_groups_of_one_number_are_on_one_screen(site: Site, story: Lab) -> None:
    placed = await story.order(["GLU", "HGB", "TSH", "U-PH"], by="ailehekimi", number="1601")
    await story.receive(placed)
    await story.measure("1601", {"GLU": "92", "HGB": "13.9", "TSH": "1.87", "U-PH": "6.5"})
    await story.approve("1601")
    page = (await (await site.as_("ailehekimi")).get("/istem/1601")).text
    for value in ("92", "13.9", "1.87", "6.5"):
        assert f">{value}</span>" in page
    for group in ("Biyokimya", "Hematoloji", "Hormon", "İdrar"):
        assert f">{group}</th>" in page


@pytest.mark.clause("9.2.6b")
async def test_a_lost_tube_is_on_record(site: Site, story: Lab) -> None:
    placed = await story.order(["GLU", "CBC"], by="ailehekimi", number="1701")
    desk = await site.as_("kabul")
    answer = await desk.post("/kabul/okut", metin="170101", is_="kabul")
    assert 'data-outcome="good"' in answer.text
    assert await story.state("1701", "GLU") == "kabul"
    assert await story.state("1701", "WBC") == "istendi"
    missing = re.sub(r"<[^>]+>", " ", (await desk.get("/kabul/eksik", part=True)).text)
    assert re.search(r"1701\s.*?Hemogram\s.*?bekleniyor.*?diğer tüpü geldi", missing, re.S)
    assert placed.number == "1701"


@pytest.mark.clause("9.4.1a")
@pytest.mark.clause("9.2.6a")
async def test_one_scan_a_tube_is_all_that_acceptance_needs(site: Site, story: Lab) -> None:
    """Ten scans, ten acceptances; a haemogram label accepts the haemogram tube and nothing else."""
    desk = await site.as_("kabul")
    for n in range(10):
        await story.order(["GLU", "CBC"], by="ailehekimi", number=str(1800 + n))
    for n in range(10):
        answer = await desk.post("/kabul/okut", metin=f"{1800 + n}02", is_="kabul")
        assert 'data-outcome="good"' in answer.text and "Hemogram" in answer.text
    for n in range(10):
        assert await story.state(str(1800 + n), "PLT") == "kabul"
        assert await story.state(str(1800 + n), "GLU") == "istendi"


@pytest.mark.clause("9.4.1b")
async def test_who_accepted_a_tube_and_when_stands_in_the_orders_history(site: Site, story: Lab) -> None:
    await story.order(["GLU"], by="ailehekimi", number="1901")
    await (await site.as_("kabul")).post("/kabul/okut", metin="190101", is_="kabul")
    physician = await site.as_("ailehekimi")
    row = re.search(r'data-row="(\d+)"', (await physician.get("/istem/1901")).text)
    assert row
    history = re.sub(r"<[^>]+>", " ", (await physician.get(f"/istem/1901/tetkik/{row[1]}")).text)
    assert re.search(r"\d\d:\d\d\s+Kabul edildi\s+Biyokimya\s+Kâmil Şahin", history)


async def test_conditional_acceptance_needs_the_talk_with_the_physician(site: Site, story: Lab) -> None:
    placed = await story.order(["K"])
    barcode = placed.specimens[0].barcode
    desk = await site.as_("kabul")
    refused = await desk.post("/kabul/sartli", barkod=barcode, hekim="Dr. Özışık")
    assert 'data-outcome="bad"' in refused.text and "gerekçe" in refused.text
    taken = await desk.post(
        "/kabul/sartli", barkod=barcode, hekim="Dr. Özışık", saat="10:05", konusma="hemoliz hafif", israr="1"
    )
    assert 'data-outcome="warn"' in taken.text
    order = (await (await site.as_("hekim")).get(f"/istem/{placed.number}")).text
    assert "Dr. Özışık ile 10:05 görüşüldü: hemoliz hafif; hekimin ısrarı ile çalışıldı" in order
    assert await story.state(placed.number, "K") == "kabul"


async def test_a_clinician_moves_no_tube_of_somebody_elses_order(site: Site, story: Lab) -> None:
    placed = await story.order(["GLU"], by="hekim")
    answer = await (await site.as_("ailehekimi")).post("/kabul/okut", metin=placed.specimens[0].barcode, is_="alindi")
    assert 'data-outcome="bad"' in answer.text
    assert await story.state(placed.number, "GLU") == "istendi"
    accepting = await (await site.as_("hekim")).post("/kabul/okut", metin=placed.specimens[0].barcode, is_="kabul")
    assert accepting.status_code == 403


@pytest.mark.clause("9.1.1b")
async def test_orders_are_found_by_name_number_barcode_physician_and_date(site: Site, story: Lab) -> None:
    wanted = await story.order(
        ["GLU"], by="ailehekimi", number="1950", patient=person(given_name="Işıl", family_name="Şığırcıoğlu")
    )
    old = await story.order(["GLU"], by="hekim", ordered_at=datetime.now(ISTANBUL) - timedelta(days=40))
    for _ in range(28):
        await story.order(["GLU"], by="hekim")
    desk = await site.as_("kabul")

    async def found(query: str) -> set[str]:
        answer = await desk.get(f"/istemler?{query}")
        if answer.status_code == 303:
            return {answer.headers["location"].rsplit("/", 1)[1]}
        return set(re.findall(r'data-href="/istem/(\d+)"', answer.text))

    async with story.database.reading() as session:
        tc = await session.scalar(select(Patient.tc).where(Patient.family_name == "Şığırcıoğlu"))
    assert tc not in (await desk.get("/istemler?ara=sigircioglu")).text  # a list shows a part of it
    assert await found("ara=sigircioglu") == {wanted.number}
    assert await found("ara=I%C5%9F%C4%B1l+%C5%9Fi%C4%9Firci") == {wanted.number}
    assert await found(f"ara={tc}") == {wanted.number}
    assert await found("ara=1950") == {wanted.number}
    assert await found("ara=195001") == {wanted.number}
    assert await found("hekim=ipek") == {wanted.number}
    day = (datetime.now(ISTANBUL) - timedelta(days=40)).strftime("%d.%m.%Y")
    assert await found(f"ilk={day}&son={day}") == {old.number}
    assert (await desk.get(f"/istem/{wanted.number}")).status_code == 200
    assert "Takvimde" in (await desk.get("/istemler?ilk=31.02.2026")).text


@pytest.mark.clause("9.1.5a")
async def test_the_grades_of_urgency_look_different_in_lists(site: Site, story: Lab) -> None:
    for priority in Priority:
        number = (await story.order(["GLU"], priority=priority)).number
        await story.measure(number, {"GLU": "92"})
    orders = (await (await site.as_("hekim")).get("/istem")).text
    work = (await (await site.as_("teknisyen")).get("/teknik-onay")).text
    assert all(f"priority-{priority.value}" in orders for priority in Priority)
    assert "priority-acil" in work and "priority-oncelikli" in work and "priority-rutin" not in work


async def test_a_passive_test_is_shown_with_its_reason_and_cannot_be_chosen(site: Site, story: Lab) -> None:
    async with story.database.work(await story.actor("yonetici")) as work:
        await work.session.execute(update(Test).where(Test.code == "TSH").values(passive_reason="kit bekleniyor"))
    physician = await site.as_("hekim")
    page = (await physician.get("/istem/yeni")).text
    box = re.search(r'<input[^>]*value="TSH"[^>]*>', page)
    assert box and "disabled" in box[0] and "kit bekleniyor" in page
    assert "kit bekleniyor" in (await physician.post("/istem", **form(tetkik=["TSH"]))).text


async def test_a_known_number_with_another_name_is_refused_and_nothing_is_stored(site: Site, story: Lab) -> None:
    patient = person(given_name="Işıl", family_name="Şahin")
    await story.order(["GLU"], patient=patient)
    assert patient.tc
    physician = await site.as_("hekim")
    known = (await physician.get(f"/istem/hasta?tc={patient.tc}", part=True)).text
    assert "Kayıtlı hasta" in known and "Şahin" in known
    answer = await physician.post("/istem", **form(tc=patient.tc, ad="Başka", soyad="Biri"))
    assert answer.status_code == 409 and "başka bir kişiye ait" in answer.text
    assert answer.headers["hx-retarget"] == "#said"


async def test_an_order_is_cancelled_only_with_a_reason_and_only_by_those_it_belongs_to(site: Site, story: Lab) -> None:
    placed = await story.order(["GLU", "UREA"], by="hekim")
    other = await site.as_("ailehekimi")
    assert (await other.post(f"/istem/{placed.number}/iptal", kod="GLU", neden="x")).status_code == 403
    physician = await site.as_("hekim")
    assert (await physician.post(f"/istem/{placed.number}/iptal", kod="GLU")).status_code == 422
    answer = await physician.post(f"/istem/{placed.number}/iptal", kod="GLU", neden="yanlış istem")
    assert "İptal edildi: GLU." in answer.text
    assert await story.state(placed.number, "UREA") == "istendi"


async def test_labels_hold_what_the_tender_wants(site: Site, story: Lab) -> None:
    """Test group, patient, number, sender, bars: one label for each tube."""
    placed = await story.order(["GLU", "CBC"], by="ailehekimi", number="1990", patient=person(family_name="Öztürk"))
    page = (await (await site.as_("ailehekimi")).get("/istem/1990/etiket")).text
    assert page.count('<figure class="label">') == len(placed.specimens) == 2
    for words in ("Biyokimya", "Hemogram", "Öztürk", "199001", "199002", "İpek Güneş"):
        assert words in page
