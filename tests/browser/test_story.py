"""The whole story in a browser: one order, one number, four analysers on real sockets, two approvals, one report."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Page, expect

from lis_core.domain.identity import synthetic_tc
from simulators.cable import tcp_client
from simulators.hospital import Hospital, Person
from simulators.measuring import measure
from simulators.models import model_named
from tests.browser.people import (
    HAND,
    WAIT,
    Desks,
    Invented,
    api,
    approves_technically,
    as_text,
    asks,
    bars,
    chooses,
    opens_order,
    picture,
    saves,
    types_person,
    values_on,
)
from tests.browser.running import Running
from tests.screens.conftest import scan

pytestmark = pytest.mark.browser

ORDERED = ("GLU", "K", "CBC", "TSH", "ESR")
TESTS = 30  # the panel has 26 members
INSTRUMENTS = {"GLU": "biyokimya", "K": "biyokimya", "HGB": "hemogram", "TSH": "hormon", "ESR": "sedim"}
AYSEL = Invented(synthetic_tc(910_001), "Aysel", "Işıkçı", "14.03.1980")


@pytest.mark.clause("INTRO.14")
@pytest.mark.clause("INTRO.28")
@pytest.mark.clause("9.6.11a")
@pytest.mark.clause("9.7.8a")
@pytest.mark.clause("9.7.9")
async def test_one_order_one_number_four_analysers_two_approvals_one_report(desks: Desks) -> None:
    physician = await desks.sign_in("hekim")
    number, tubes = await _orders_by_keyboard(physician)
    labels = await _reads_one_number_on_every_label(desks, physician, number, tubes)

    await physician.goto(f"{desks.address}/istem/{number}")
    await physician.evaluate("window.neverLeft = true")
    technician, specialist, reception = await asyncio.gather(
        *(desks.sign_in(name) for name in ("teknisyen", "uzman", "kabul"))
    )
    for page in (technician, specialist):
        await page.evaluate("window.neverLeft = true")

    await _accepts_every_tube(reception, labels)
    values = await _order_comes_to_the_technician(technician, number)
    await _physician_sees_no_value(physician, number, values)

    values = (await approves_technically(technician, number)).values
    assert len(values) == TESTS
    await picture(technician, "10-teknik-onaylandi")
    await _nothing_is_printed(physician, technician, specialist, number)
    await _physician_sees_no_value(physician, number, values)

    await _specialist_releases(specialist, number, values)
    await _physician_reads_and_prints(physician, number, values)
    await _instruments_show_their_traffic(await desks.sign_in("teknisyen", "/cihazlar"), number, values)
    for page in (physician, technician, specialist):
        assert await page.evaluate("window.neverLeft"), "a page was loaded anew; it should have renewed itself"


async def _orders_by_keyboard(page: Page) -> tuple[str, dict[str, str]]:
    """Number of the order, barcode of each tube by its caption."""
    await picture(page, "01-hekim-istemler")
    await page.keyboard.press("n")
    await types_person(page, AYSEL, urgent=True)
    await chooses(page, *ORDERED)
    await expect(page.locator("#chosen .chosen-tube")).to_have_text(["Biyokimya", "Hemogram", "Hormon-ELISA", "Sedim"])
    await picture(page, "02-yeni-istem")
    number = await saves(page)
    lines = page.locator("#said .placed li")
    await expect(lines).to_have_count(4)
    await picture(page, "03-istem-kaydedildi")
    tubes = dict(
        zip(
            await lines.locator(".tube").all_inner_texts(),
            await lines.locator("b.mono").all_inner_texts(),
            strict=True,
        )
    )
    return number, tubes


async def _reads_one_number_on_every_label(
    desks: Desks, page: Page, number: str, tubes: dict[str, str]
) -> dict[str, str]:
    """Print the labels and read their bars back: what the reader says, by caption."""
    await page.keyboard.press("e")
    await expect(page.locator(".label")).to_have_count(4)
    await picture(page, "04-etiketler")
    faces = await page.locator(".label-face").all_inner_texts()
    assert all(number in face for face in faces), faces
    captions = [text.split()[1] for text in await page.locator(".label figcaption").all_inner_texts()]
    read = [bars(png) for png in await desks.as_printed(page, ".label-face svg")]
    assert read == [[tubes[caption]] for caption in captions]
    assert {code[: len(number)] for [code] in read} == {number}
    return {caption: code for caption, [code] in zip(captions, read, strict=True)}


async def _accepts_every_tube(page: Page, labels: dict[str, str]) -> None:
    for place, barcode in enumerate(labels.values(), 1):
        await scan(page, barcode)
        await expect(page.locator("#scans tr.good")).to_have_count(place)
    await expect(page.locator("#last")).to_contain_text(AYSEL.family)
    await picture(page, "05-kabul")


async def _order_comes_to_the_technician(page: Page, number: str) -> dict[str, str]:
    """The four analysers have asked and reported; nobody has touched the technician's page. Values by code."""
    await expect(page.locator(f'#waiting li[data-row="{number}"]')).to_be_visible(timeout=WAIT)
    rows = await opens_order(page, number)
    await expect(rows).to_have_count(TESTS)
    await expect(page.locator("#rows tr[data-code]:not(.done)")).to_have_count(TESTS, timeout=WAIT)
    await picture(page, "07-teknik-onay")
    for code, instrument in INSTRUMENTS.items():
        await expect(page.locator(f'#rows tr[data-code="{code}"] .where')).to_contain_text(instrument)
    values = await values_on(rows)
    assert len(values) == TESTS
    return values


async def _physician_sees_no_value(page: Page, number: str, values: dict[str, str]) -> None:
    rows = page.locator("#rows tr[data-code]")
    await expect(rows.locator("td:nth-child(2)")).to_have_text(["çalışılıyor"] * TESTS)
    await expect(page.locator("#order .value")).to_have_count(0)
    html = await page.content()
    status, order = await api(page, f"/api/v1/orders/{number}")
    assert status == 200
    assert [line["result"] for line in order["tests"]] == [None] * TESTS
    for code, value in values.items():
        if re.search(r"\d\.\d", value):  # whole numbers also stand in times and ages
            assert f">{value}<" not in html, f"{code} {value} is in the physician's page"
    await picture(page, "08-hekim-calisiliyor")


async def _nothing_is_printed(physician: Page, technician: Page, specialist: Page, number: str) -> None:
    """Only technically approved: no report for anybody."""
    for page in (physician, technician, specialist):
        status, refusal = await api(page, f"/api/v1/orders/{number}/report.pdf")
        assert status >= 400, page.url
        assert refusal["code"].startswith("NUM-")


async def _specialist_releases(page: Page, number: str, values: dict[str, str]) -> None:
    line = page.locator(f'#waiting li[data-row="{number}"]')
    await expect(line).to_be_visible()
    rows = await opens_order(page, number)
    await expect(page.locator("#rows tr[data-code]:not(.done)")).to_have_count(TESTS)
    assert await values_on(rows) == values
    await expect(page.locator('#rows tr[data-code="GLU"]')).to_contain_text(re.compile(r"Tuğba Işıklı .*\d\d:\d\d"))
    await picture(page, "11-klinik-onay")
    await page.keyboard.press("h")
    await expect(line).to_have_class(re.compile("done"))
    await expect(line).to_contain_text("siz")
    await picture(page, "12-klinik-onaylandi")


async def _physician_reads_and_prints(page: Page, number: str, values: dict[str, str]) -> None:
    rows = page.locator("#rows tr[data-code]")
    await expect(page.locator("#rows .value")).to_have_count(TESTS)
    assert await values_on(rows) == values
    await expect(page.locator("#rows .state-klinik_onayli")).to_have_count(TESTS)
    await page.locator('#rows tr[data-code="TSH"]').click()
    await expect(page.locator("#detail h2")).to_have_text("TSH")
    history = page.locator("#detail")
    await expect(history).to_contain_text(re.compile(r"Teknik onay.*Tuğba Işıklı, .*\d\d:\d\d", re.S | re.I))
    await expect(history).to_contain_text(re.compile(r"Klinik onay.*Ufuk Çınar, .*\d\d:\d\d", re.S | re.I))
    await picture(page, "13-hekim-sonuclar")

    report = page.locator("a[data-key=y]")
    await expect(report).to_be_visible()
    answer = await asks(page, str(await report.get_attribute("href")))
    assert (answer.status, answer.headers["content-type"]) == (200, "application/pdf")
    text = as_text(await answer.body(), "story-14-rapor")
    for code, value in values.items():
        assert value in text, f"{code} {value} is not in the report"
    for words in (number, AYSEL.given, AYSEL.family, "Tuğba Işıklı", "Ufuk Çınar", "Biyokimya", "Sedim"):
        assert words in text, words


async def _instruments_show_their_traffic(page: Page, number: str, values: dict[str, str]) -> None:
    """Four lines with messages; a raw message with its control characters, beside what was read from it."""
    for code in ("hemogram", "biyokimya", "hormon", "sedim"):
        line = page.locator(f'#instruments tr[data-row="{code}"]')
        await expect(line).to_contain_text(re.compile(r"son mesaj (bugün )?\d\d:\d\d"))
        await expect(line).to_contain_text(re.compile(r"bugün [1-9]\d* mesaj, [1-9]\d* sonuç"))
    await page.locator('#instruments tr[data-row="hemogram"]').click()
    await expect(page.locator("#detail h2")).to_have_text("Kan sayım cihazı")
    message = page.locator("#messages tr").filter(has=page.locator("td:nth-child(4)", has_text="26")).first
    await message.click()
    raw = page.locator("#message pre")
    await expect(raw).to_contain_text("<STX>")
    for words in ("<CR>", "<ETX>", f"^^^^HGB^1|{values['HGB']}|g/dL", number):
        await expect(raw).to_contain_text(words)
    await expect(page.locator("#message tr.read-sonuc")).to_have_count(26)
    await picture(page, "15-cihazlar")


KERIM = Invented(synthetic_tc(910_002), "Kerim", "Çağlayan", "02.09.1971", "Erkek")
PRINTED = next(
    number
    for number in map(str, range(1001, 2000))
    if float(found.value if (found := measure(model_named("roche-cobas-c311"), "990", 1, f"{number}01")) else 0) > 6.5
)
"""A number printed for the family physician, in whose biochemistry tube the simulated analyser finds a panic potassium."""


@pytest.mark.clause("INTRO.21")
@pytest.mark.clause("9.2.2a")
@pytest.mark.clause("9.2.2b")
@pytest.mark.clause("9.2.6a")
@pytest.mark.clause("9.2.8")
async def test_a_family_physician_uses_a_printed_number_for_four_groups(numune: Running, desks: Desks) -> None:
    physician = await desks.sign_in("ailehekimi", "/istem/yeni")
    heads = await physician.locator(".tube-column legend .tube").all_inner_texts()
    assert heads[:4] == ["Biyokimya", "Hemogram", "Hormon-ELISA", "TİT"]
    await types_person(physician, KERIM)
    await scan(physician, f"{PRINTED}01")
    await expect(physician.locator("#number")).to_have_value(PRINTED)
    await chooses(physician, "GLU", "K", "CBC", "TSH", "TIT")
    await expect(physician.locator("#chosen .chosen-tube")).to_have_text(
        ["Biyokimya", "Hemogram", "Hormon-ELISA", "TİT"]
    )
    await picture(physician, "20-hazir-numara")
    assert await saves(physician) == PRINTED

    reception = await desks.sign_in("kabul")
    await scan(reception, f"{PRINTED}02")
    await expect(reception.locator("#scans tr.good")).to_have_count(1)
    states = reception.locator("#last tr")
    await expect(states.filter(has_text="kabul edildi")).to_have_count(1)
    await expect(states.filter(has_text="kabul edildi")).to_contain_text("Hemogram")
    await picture(reception, "21-yalniz-hemogram")

    for tube in ("01", "04"):
        await scan(reception, PRINTED + tube)
    urine = asyncio.create_task(numune.simulates("generic-astm", 0, "--barcodes", f"{PRINTED}04", "--query"))
    technician = await desks.sign_in("teknisyen")
    rows = await opens_order(technician, PRINTED)
    await expect(technician.locator('#rows tr[data-code="K"]')).to_contain_text("P!", timeout=WAIT)
    await scan(reception, f"{PRINTED}03")
    await expect(reception.locator("#scans tr.good")).to_have_count(4)
    assert "sonuç onaylandı" in await urine

    await expect(technician.locator("#rows tr[data-code]:not(.done)")).to_have_count(await rows.count(), timeout=WAIT)
    approved = await approves_technically(technician, PRINTED, told="Dr. İpek Güneş")
    assert "K" in approved.panics
    specialist = await desks.sign_in("uzman")
    await opens_order(specialist, PRINTED)
    await expect(specialist.locator("#rows")).to_contain_text("P!")
    await specialist.keyboard.press("h")
    await expect(specialist.locator(f'#waiting li.done[data-row="{PRINTED}"]')).to_be_visible()

    await physician.goto(f"{desks.address}/istem/{PRINTED}")
    groups = await physician.locator("#rows tr.group").all_inner_texts()
    assert groups == ["Biyokimya", "Hematoloji", "Hormon", "İdrar"]
    assert await values_on(physician.locator("#rows tr[data-code]")) == approved.values
    await expect(physician.locator('#rows tr[data-code="K"]')).to_contain_text("P!")
    await picture(physician, "22-dort-grup-tek-ekran")
    await technician.goto(f"{desks.address}/istem/{PRINTED}")
    await technician.locator('#rows tr[data-code="K"]').click()
    await expect(technician.locator("#detail")).to_contain_text("Arama kaydı: Dr. İpek Güneş")
    await picture(technician, "23-arama-kaydi-gecmiste")


async def test_a_result_with_an_unknown_number_waits_for_a_person(numune: Running, desks: Desks) -> None:
    number = (await desks.places("GLU"))["number"]
    page = await desks.sign_in("teknisyen", "/eslesmeyen")
    stray = page.locator("#unmatched tr").filter(has_text="7777001")
    await expect(stray).to_have_count(0)

    assert "1 sonuç onaylandı" in await numune.simulates("generic-astm", 0, "--barcodes", "7777001", "--tests", "GLU")

    await expect(stray).to_be_visible()  # the page was not touched
    await stray.click()
    await expect(page.locator("#detail")).to_contain_text("7777001 numarası kayıtlı değil")
    await expect(page.locator("#detail pre")).to_contain_text("<STX>")
    await picture(page, "30-eslesmeyen")
    value = (await stray.locator("td.num").inner_text()).split()[0]
    await page.keyboard.press("b")
    await expect(page.locator("#bind-number")).to_be_focused()
    await page.fill("#bind-number", number)
    await expect(page.locator("#bind-found input:checked")).to_have_value(f"{number} GLU")
    await page.press("#bind-number", "Enter")
    await expect(page.locator("#said")).to_contain_text("gerekçe")
    await page.fill(".bind [name=neden]", "numara cihaza elle yanlış girilmiş, tüp etiketinden doğrulandı")
    await page.press(".bind [name=neden]", "Enter")
    await expect(page.locator("#detail")).to_contain_text(f"{number} isteminin GLU tetkikine bağlandı")
    await expect(stray).to_have_class(re.compile("done"))
    await picture(page, "31-eslesmeyen-baglandi")
    await page.goto(f"{desks.address}/teknik-onay")
    rows = await opens_order(page, number)
    assert await values_on(rows) == {"GLU": value}


@pytest.mark.clause("9.7")
async def test_an_order_of_the_hospital_is_repeated_released_and_taken_back(numune: Running, desks: Desks) -> None:
    async with Hospital(tcp_client("127.0.0.1", numune.base + 76)) as hospital:
        order = await hospital.places(NURAN, "GLU", "UREA", physician="H-100")
        assert order.answer.code == "AA"
        number = await _found_by_name(await desks.sign_in("kabul", "/istemler"), desks)
        physician = await desks.sign_in("hekim", f"/istem/{number}")
        technician = await desks.sign_in("teknisyen")
        approved = await _repeats_glucose(numune, technician, number)

        await expect(physician.locator("#rows td:nth-child(2)")).to_have_text(["çalışılıyor"] * 2)
        assert (await asks(physician, f"/api/v1/orders/{number}/report.pdf")).status >= 400
        assert hospital.results == []

        specialist = await desks.sign_in("uzman")
        await opens_order(specialist, number)
        await specialist.keyboard.press("h")
        told = {result.test: result.value for result in await hospital.results_for(order, 2)}
        assert told == approved
        await expect(physician.locator("#rows .value")).to_have_count(2)
        report = await asks(physician, f"/api/v1/orders/{number}/report.pdf")
        assert approved["GLU"] in as_text(await report.body(), "story-42-hastane-raporu")

        await _takes_back_glucose(specialist, desks, number)
        await expect(physician.locator('#rows tr[data-code="GLU"]')).to_contain_text("çalışılıyor")
        await expect(physician.locator('#rows tr[data-code="UREA"] .value')).to_have_text(approved["UREA"])
        corrected = await hospital.results_for(order, 3)
        assert [(one.test, one.status) for one in corrected[2:]][:1] == [("GLU", "D")]
        await physician.locator('#rows tr[data-code="GLU"]').click()
        await expect(physician.locator("#detail")).to_contain_text(re.compile("onay geri alındı Ufuk Çınar"))
        await picture(physician, "44-geri-alindi")


NURAN = Person("P910003", synthetic_tc(910_003), "ŞENGÖNÜL", "NURAN", "19650721", "F")


async def _found_by_name(page: Page, desks: Desks) -> str:
    """Reception finds the patient without Turkish letters, and accepts the tube. The number of the order."""
    await page.keyboard.press("/")
    await page.keyboard.type("sengonul", delay=HAND)
    await page.keyboard.press("Enter")
    row = page.locator("#found-orders tr")
    await expect(row).to_have_count(1)
    await expect(row).to_contain_text("NURAN ŞENGÖNÜL")
    await picture(page, "40-istemler-arama")
    number = str(await row.get_attribute("data-row"))
    await page.goto(f"{desks.address}/kabul")
    await scan(page, f"{number}01")
    await expect(page.locator("#scans tr.good")).to_have_count(1)
    return number


async def _repeats_glucose(numune: Running, page: Page, number: str) -> dict[str, str]:
    """The technician doubts the glucose; the analyser is asked again and gets only this test. What is approved then."""
    tube = f"{number}01"
    await expect(page.locator(f'#waiting li[data-row="{number}"]')).to_be_visible(timeout=WAIT)
    rows = await opens_order(page, number)
    await expect(page.locator("#rows tr[data-code]:not(.done)")).to_have_count(2)
    first = await values_on(rows)
    glucose = page.locator('#rows tr[data-code="GLU"]')
    await glucose.click()
    await page.keyboard.press("t")
    await expect(page.locator("[name=tekrar_nedeni]")).to_be_focused()
    await page.keyboard.type("Pıhtı şüphesi", delay=HAND)
    await page.keyboard.press("Enter")
    await expect(page.locator("#said")).to_contain_text("tekrara gönderildi")
    await expect(glucose).to_have_class(re.compile("done"))
    said = await numune.simulates("roche-cobas-c311", 2, "--barcodes", tube, "--query", "--seed", "2")
    assert "1 test verildi: 717" in said, said
    await expect(glucose).not_to_have_class(re.compile("done"))
    await expect(glucose).to_contain_text("2. koşu")
    await glucose.click()
    await expect(page.locator("[data-why]:visible")).to_contain_text(f"1: {first['GLU']} mg/dL")
    await picture(page, "41-tekrar-kosusu")
    approved = await approves_technically(page, number)
    assert approved.values["UREA"] == first["UREA"]
    assert approved.values["GLU"] != first["GLU"]
    return approved.values


async def _takes_back_glucose(page: Page, desks: Desks, number: str) -> None:
    """Only with a reason."""
    await page.goto(f"{desks.address}/klinik-onay?onayli=1")
    await opens_order(page, number)
    await page.locator('#rows tr[data-code="GLU"]').click()
    await page.keyboard.press("z")
    await expect(page.locator("[name=geri_nedeni]")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#said")).to_contain_text("gerekçe")
    await page.fill("[name=geri_nedeni]", "yanlış hastaya ait tüp şüphesi")
    await picture(page, "43-onayi-geri-al")
    await page.press("[name=geri_nedeni]", "Enter")
    await expect(page.locator("#said")).to_contain_text("geri alındı")
    await expect(page.locator("[data-why]:visible")).to_contain_text("yanlış hastaya ait tüp şüphesi")


async def test_every_other_screen_opens_for_whom_it_is_meant(desks: Desks) -> None:
    """What the stories above do not pass by: its picture, and no complaint of the browser."""
    placed = await desks.places("GLU", priority="urgent")
    reader = await desks.window()
    await reader.goto(f"{desks.address}/giris")
    await picture(reader, "50-giris")
    await reader.fill("[name=kullanici]", "hekim")
    await reader.fill("[name=parola]", "yanlış")
    await reader.keyboard.press("Enter")
    await expect(reader.locator("[role=alert]")).to_be_visible()
    await picture(reader, "51-giris-reddedildi")

    page = await desks.sign_in("teknisyen")
    await expect(page.locator("#picture [data-number]")).to_be_visible()
    for key, panel, name in (
        ("g", "#chart", "52-grafik"),
        ("t", "#ask-repeat", "53-tekrar"),
        ("r", "#ask-reject", "54-ret"),
        ("e", "#ask-value", "55-elle-gir"),
        ("?", "dialog#keys", "56-tuslar"),
        ("F1", "dialog#help", "57-yardim"),
    ):
        await page.keyboard.press(key)
        await expect(page.locator(panel)).to_be_visible()
        if panel == "#chart":
            await expect(page.locator("#chart svg").first).to_be_visible()
        await picture(page, name)
        await page.keyboard.press("Escape")
        await expect(page.locator(panel)).to_be_hidden()
    await page.keyboard.press("Shift+H")
    await expect(page.locator("#bulk-body")).to_contain_text("imsiz sonuç onaylanacak")
    await picture(page, "58-toplu-onay")
    await page.keyboard.press("Escape")
    await page.click("[data-open-dialog='#notices']")
    await expect(page.locator("#notices article").first).to_be_visible()
    await picture(page, "59-bildirimler")
    for path, seen, name in (
        ("/teknik-onay?tekrar=1", "#waiting li.wait", "60-tekrar-listesi"),
        ("/eslesmeyen?cozulen=1", "#unmatched tr", "61-cozulenler"),
        ("/cihazlar?sorunlu=1", "#instruments tr", "62-sorunlu-mesajlar"),
        (f"/istem/{placed['number']}", "#rows tr", "63-teknisyen-istem"),
        ("/istem/999999", "main", "64-bulunamadi"),
    ):
        await page.goto(desks.address + path)
        await expect(page.locator(seen).first).to_be_visible()
        await picture(page, name)
    await _others_at_home(desks, placed["number"])


async def _others_at_home(desks: Desks, number: str) -> None:
    """Where the other people land, and what they may not open."""
    for who, seen, name in (
        ("uzman", "#waiting li", "70-uzman"),
        ("ailehekimi", "main table", "71-aile-hekimi"),
        ("yonetici", "#instruments tr", "72-yonetici"),
    ):
        page = await desks.sign_in(who)
        await expect(page.locator(seen).first).to_be_visible()
        await picture(page, name)
    refused = await page.goto(f"{desks.address}/klinik-onay")
    assert refused and refused.status == 403
    await picture(page, "73-yetki-yok")
    reception = await desks.sign_in("kabul", "/kabul?is=yolda")
    await picture(reception, "74-sevk")
    await reception.goto(f"{desks.address}/istem/{number}")
    await reception.keyboard.press("x")
    await expect(reception.locator("#ask-cancel")).to_be_visible()
    await picture(reception, "75-iptal")


async def test_it_ends_cleanly_while_screens_are_open(numune: Running, desks: Desks) -> None:
    """SIGTERM in the middle of the day: exit 0, and neither the database nor an analyser stays behind."""
    await desks.sign_in("teknisyen")
    family = [process.name() for process in numune.family()]
    assert any("postgres" in name for name in family), family
    assert await numune.end() == 0, numune.said[-2000:]
    assert numune.left_over == []
    assert "Traceback" not in numune.said
    desks.trouble.clear()  # the page that is still open says rightly that its server is gone
