"""The screens under real hands: Chromium, keys, a barcode reader, two people at once."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from playwright.async_api import Page, expect
from sqlalchemy import text

from lis_core.domain.identity import synthetic_tc
from lis_core.domain.states import Priority
from tests.screens.conftest import Desk, scan
from tests.screens.scenario import Lab, person

pytestmark = pytest.mark.browser


async def _ready(story: Lab, values: dict[str, str], **order: Any) -> str:
    """An order whose results wait for technical approval."""
    placed = await story.order(list(values), **order)
    await story.receive(placed)
    await story.measure(placed.number, values)
    return placed.number


async def _picture(page: Page, number: str) -> None:
    await page.wait_for_selector(f'#picture [data-number="{number}"]')


async def test_a_technician_approves_normal_results_with_one_key_and_is_told_what_is_left(
    desk: Desk, story: Lab
) -> None:
    number = await _ready(story, {"GLU": "92", "UREA": "30", "TRIG": "268"})
    page = await desk.sign_in("teknisyen")
    await _picture(page, number)

    await page.keyboard.press("h")

    await expect(page.locator("#said")).to_contain_text("2 sonuç onaylandı; 1 sonuç kaldı")
    assert await story.state(number, "GLU") == "teknik_onayli"
    assert await story.state(number, "TRIG") == "sonuclandi"  # it carries a Y: a person looks

    await page.keyboard.press("ArrowRight")
    await expect(page.locator("#rows tr[aria-selected=true]")).to_have_attribute("data-code", "TRIG")
    await page.keyboard.press("o")
    await expect(page.locator("#waiting li.done")).to_contain_text("siz")
    assert await story.state(number, "TRIG") == "teknik_onayli"


async def test_a_panic_value_is_not_approved_before_the_call_is_written_down(desk: Desk, story: Lab) -> None:
    number = await _ready(story, {"K": "6.9"}, priority=Priority.URGENT)
    page = await desk.sign_in("teknisyen")
    await _picture(page, number)
    await expect(page.locator("#waiting li").first).to_contain_text("K 6.9")

    await page.keyboard.press("o")
    await expect(page.locator("#ask-call")).to_be_visible()
    await expect(page.locator("#said")).to_contain_text("panik")
    assert await story.state(number, "K") == "sonuclandi"

    await page.keyboard.type("Dr. Özışık", delay=70)
    await page.keyboard.press("Enter")
    await expect(page.locator("#waiting li.done")).to_be_visible()
    assert await story.state(number, "K") == "teknik_onayli"
    history = await page.goto(f"{desk.address}/istem/{number}")
    assert history
    await expect(page.locator("#detail")).to_contain_text("Arama kaydı: Dr. Özışık")


async def test_space_chooses_rows_and_only_those_are_approved(desk: Desk, story: Lab) -> None:
    number = await _ready(story, {"GLU": "92", "UREA": "30", "CREA": "0.8"})
    page = await desk.sign_in("teknisyen")
    await _picture(page, number)
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("Space")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Space")
    await expect(page.locator("[data-chosen]")).to_have_text("seçili 2")
    await page.keyboard.press("o")
    await expect(page.locator("#said")).to_contain_text("2 sonuç onaylandı; 1 sonuç kaldı")
    assert await story.state(number, "UREA") == "sonuclandi"


async def test_ten_normal_orders_are_done_with_one_key_each(desk: Desk, story: Lab) -> None:
    """A hundred normal ones in under a minute: H takes an order and the next one is under the hand. For that the server is
    asked once to approve, once for the next picture, and twice what has become of the list (by us, and by the news)."""
    for _ in range(10):
        await _ready(story, {"GLU": "92"})
    page = await desk.sign_in("teknisyen")
    await page.wait_for_selector("#picture [data-number]")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    for done in range(1, 11):
        await page.keyboard.press("h")
        await expect(page.locator("#waiting li.done")).to_have_count(done)
        if done < 10:
            number = await page.locator("#waiting li[aria-selected=true]:not(.done)").get_attribute("data-row")
            await _picture(page, str(number))
    assert len([one for one in asked if one.startswith("POST")]) == 10
    assert len(asked) <= 4 * 10, asked


async def test_shift_h_counts_first_and_then_takes_the_whole_list_but_nothing_with_a_sign(
    desk: Desk, story: Lab
) -> None:
    plain = [await _ready(story, {"GLU": "92", "UREA": "30"}) for _ in range(3)]
    signed = await _ready(story, {"GLU": "180", "UREA": "30"})
    page = await desk.sign_in("teknisyen")
    await page.wait_for_selector("#picture [data-number]")
    await page.keyboard.press("Shift+H")
    await expect(page.locator("#bulk-body")).to_contain_text("7 imsiz sonuç onaylanacak; 1 imli sonuç kalacak")
    await page.keyboard.press("Enter")
    await expect(page.locator("#bulk-body")).to_contain_text("7 sonuç onaylandı")
    assert {await story.state(number, "GLU") for number in plain} == {"teknik_onayli"}
    assert await story.state(signed, "GLU") == "sonuclandi"


async def test_a_scan_opens_its_order_wherever_the_focus_is_and_leaves_no_digits_behind(desk: Desk, story: Lab) -> None:
    first = await _ready(story, {"GLU": "92"}, priority=Priority.URGENT)
    placed = await story.order(["TSH"])
    await story.receive(placed)
    await story.measure(placed.number, {"TSH": "1.9"})
    page = await desk.sign_in("teknisyen")
    await _picture(page, first)
    await page.keyboard.press("/")
    await expect(page.locator("input[data-search]")).to_be_focused()

    await scan(page, placed.specimens[0].barcode)
    await _picture(page, placed.number)
    await expect(page.locator("input[data-search]")).to_have_value("")


async def test_typing_by_hand_is_never_taken_for_a_scan(desk: Desk, story: Lab) -> None:
    number = await _ready(story, {"GLU": "92"})
    await _ready(story, {"TSH": "1.9"})
    page = await desk.sign_in("teknisyen")
    await page.wait_for_selector("#picture [data-number]")
    await page.keyboard.press("/")
    await page.keyboard.type(number, delay=90)
    await expect(page.locator("input[data-search]")).to_have_value(number)
    await expect(page.locator("#waiting li")).to_have_count(1)


async def test_what_a_colleague_does_greys_the_row_and_says_who_without_moving_the_hand(desk: Desk, story: Lab) -> None:
    numbers = [await _ready(story, {"GLU": "92"}) for _ in range(3)]
    page = await desk.sign_in("teknisyen")
    await _picture(page, numbers[0])
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await _picture(page, numbers[2])
    before = await page.locator(f'#waiting li[data-row="{numbers[2]}"]').bounding_box()

    async with story.database.work(await story.actor("uzman")) as work:
        from lis_core.services.approvals import approve_technically

        assert (await approve_technically(work, await story.results(numbers[0])))[0].ok
    late = await _ready(story, {"GLU": "600"}, priority=Priority.URGENT)

    gone = page.locator(f'#waiting li[data-row="{numbers[0]}"]')
    await expect(gone).to_have_class(re.compile("gone"))
    await expect(gone).to_contain_text("Ufuk Çınar")
    await expect(page.locator(f'#waiting li[data-row="{late}"]')).to_be_visible()  # new work came by itself
    await expect(page.locator("#waiting li[aria-selected=true]")).to_have_attribute("data-row", numbers[2])
    after = await page.locator(f'#waiting li[data-row="{numbers[2]}"]').bounding_box()
    assert before and after
    # A list that fits its pane cannot scroll; the row may then only move by the new line above it.
    assert abs(after["y"] - before["y"]) < 60


@pytest.mark.clause("9.6.15")
async def test_results_are_approved_by_order_by_test_and_by_group(desk: Desk, story: Lab) -> None:
    """Ten orders with GLU and CHOL, and a TSH that is none of this: exactly what was meant is approved each time."""
    numbers = []
    for _ in range(10):
        placed = await story.order(["GLU", "CHOL", "TSH"])
        await story.measure(placed.number, {"GLU": "92", "CHOL": "182", "TSH": "1.9"})
        numbers.append(placed.number)

    async def states() -> dict[str, int]:
        counts = {}
        for code in ("GLU", "CHOL", "TSH"):
            counts[code] = sum([await story.state(number, code) == "teknik_onayli" for number in numbers])
        return counts

    page = await desk.sign_in("teknisyen")
    await _picture(page, numbers[0])
    await page.keyboard.press("h")  # (a) one order
    await expect(page.locator("#waiting li.done")).to_have_count(1)
    assert await states() == {"GLU": 1, "CHOL": 1, "TSH": 1}

    await page.goto(f"{desk.address}/teknik-onay?ara=GLU")  # (b) one test
    await page.wait_for_selector("#picture [data-number]")
    await page.keyboard.press("Shift+H")
    await expect(page.locator("#bulk-body")).to_contain_text("9 imsiz sonuç onaylanacak")
    await page.keyboard.press("Enter")
    await expect(page.locator("#bulk-body")).to_contain_text("9 sonuç onaylandı")
    assert await states() == {"GLU": 10, "CHOL": 1, "TSH": 1}

    await page.goto(f"{desk.address}/teknik-onay?grup=BIYOKIMYA")  # (c) one group
    await page.wait_for_selector("#picture [data-number]")
    await page.keyboard.press("Shift+H")
    await expect(page.locator("#bulk-body")).to_contain_text("9 imsiz sonuç onaylanacak")
    await page.keyboard.press("Enter")
    await expect(page.locator("#bulk-body")).to_contain_text("9 sonuç onaylandı")
    assert await states() == {"GLU": 10, "CHOL": 10, "TSH": 1}


@pytest.mark.clause("9.11.1")
async def test_the_specialist_releases_a_patient_and_the_physician_sees_it_at_once(desk: Desk, story: Lab) -> None:
    number = await _ready(story, {"GLU": "92", "TSH": "1.9"})
    physician = await desk.sign_in("hekim", f"/istem/{number}")
    await expect(physician.locator("#rows tr").filter(has_text="GLU")).to_contain_text("çalışılıyor")
    await story.approve(number, clinically=False)
    specialist = await desk.sign_in("uzman")
    await _picture(specialist, number)
    await expect(specialist.locator("#rows")).to_contain_text("Tuğba Işıklı")  # who approved technically

    await specialist.keyboard.press("h")

    await expect(specialist.locator("#waiting li.done")).to_be_visible()
    row = physician.locator("#rows tr").filter(has_text="GLU")
    await expect(row).to_contain_text("92", timeout=5000)
    await expect(row).to_contain_text("klinik onaylı")
    report = await physician.context.request.get(f"{desk.address}/api/v1/orders/{number}/report.pdf")
    assert report.status == 200 and (await report.body()).startswith(b"%PDF")


async def test_a_released_result_is_taken_back_only_with_a_reason(desk: Desk, story: Lab) -> None:
    number = await _ready(story, {"GLU": "92"})
    await story.approve(number)
    page = await desk.sign_in("uzman", "/klinik-onay?onayli=1")
    await _picture(page, number)
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("z")
    await expect(page.locator("[name=geri_nedeni]")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#said")).to_contain_text("gerekçe")
    assert await story.state(number, "GLU") == "klinik_onayli"
    await page.fill("[name=geri_nedeni]", "yanlış hastaya ait tüp")
    await page.press("[name=geri_nedeni]", "Enter")
    await expect(page.locator("#said")).to_contain_text("geri alındı")
    assert await story.state(number, "GLU") == "teknik_onayli"


TWELVE = ["GLU", "UREA", "CREA", "ALT", "AST", "NA", "K", "CL", "TSH", "FT4", "CBC", "ESR"]


@pytest.mark.clause("9.1.3a")
async def test_a_test_is_found_by_its_code_or_a_part_of_its_name_and_enter_adds_it(desk: Desk, story: Lab) -> None:
    page = await desk.sign_in("hekim", "/istem/yeni")
    await page.focus("#find-test")
    await page.keyboard.type("siyum", delay=80)  # in the middle of Kalsiyum, Potasyum stays out
    await expect(page.locator("#found li").first).to_contain_text("CA")
    await page.keyboard.press("Enter")
    await page.keyboard.type("tsh", delay=80)
    await page.keyboard.press("Enter")
    await expect(page.locator("#chosen")).to_contain_text("CA")
    await expect(page.locator("#chosen")).to_contain_text("TSH")
    await expect(page.locator("input[name=tetkik]:checked")).to_have_count(2)
    await expect(page.locator("#chosen .tube")).to_have_text(["Biyokimya", "Hormon-ELISA"])
    await page.keyboard.press("Backspace")
    await expect(page.locator("input[name=tetkik]:checked")).to_have_count(1)


async def test_twelve_tests_are_ordered_by_keyboard_in_fifteen_seconds(desk: Desk, story: Lab) -> None:
    patient = person()
    await story.order(["GLU"], patient=patient)
    page = await desk.sign_in("hekim")
    await page.keyboard.press("n")
    await expect(page.locator("#tc")).to_be_focused()
    started = time.perf_counter()
    assert patient.tc
    await page.keyboard.type(patient.tc, delay=75)
    await expect(page.locator("#patient")).to_contain_text("Kayıtlı hasta")
    await expect(page.locator("#find-test")).to_be_focused()
    for code in TWELVE:
        await page.keyboard.type(code.lower(), delay=75)
        await page.keyboard.press("Enter")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("#said")).to_contain_text("İstem kaydedildi")
    spent = time.perf_counter() - started
    assert spent < 15, f"{spent:.1f} s"
    await expect(page.locator("#said")).to_contain_text("4 tüp")
    number = await page.locator("#said b").first.inner_text()
    assert await story.state(number, "ESR") == "istendi"
    assert await story.state(number, "PLT") == "istendi"  # the panel's members

    await page.keyboard.press("e")
    await expect(page.locator(".label")).to_have_count(4)


async def test_a_preprinted_label_scanned_anywhere_fills_the_number_and_says_whose_it_is(
    desk: Desk, story: Lab
) -> None:
    page = await desk.sign_in("ailehekimi", "/istem/yeni")
    await page.fill("#find-test", "gl")
    await page.focus("#find-test")

    await scan(page, "123401")  # the Biyokimya label of the set 1234

    await expect(page.locator("#number")).to_have_value("1234")
    await expect(page.locator("#number-owner")).to_contain_text("size verilen 1001–1999")
    await expect(page.locator("#find-test")).to_have_value("gl")


async def test_a_new_patient_without_a_name_is_refused_in_place_and_nothing_typed_is_lost(
    desk: Desk, story: Lab
) -> None:
    page = await desk.sign_in("hekim", "/istem/yeni")
    await page.fill("#tc", synthetic_tc(999_001))
    await page.fill("#find-test", "glu")
    await page.press("#find-test", "Enter")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("#said")).to_contain_text("adı ve soyadı")
    await expect(page.locator("#chosen")).to_contain_text("GLU")
    await expect(page.locator("#tc")).to_have_value(synthetic_tc(999_001))


async def test_forty_tubes_a_minute_are_accepted_and_a_wrong_one_stops_by_sound_and_sentence(
    desk: Desk, story: Lab
) -> None:
    placed = [await story.order(["GLU", "CBC"]) for _ in range(5)]
    page = await desk.sign_in("kabul")
    barcodes = [order.specimens[0].barcode for order in placed]
    started = time.perf_counter()
    for barcode in barcodes:
        await scan(page, barcode)
    await expect(page.locator("#scans tr.good")).to_have_count(5)
    spent = time.perf_counter() - started
    assert spent < 5 * 60 / 40, f"{spent:.1f} s for five tubes"
    assert await story.state(placed[0].number, "GLU") == "kabul"
    assert await story.state(placed[0].number, "WBC") == "istendi"  # only the tube that was read
    await expect(page.locator("#missing")).to_contain_text("diğer tüpü geldi")

    await scan(page, "77777701")
    await expect(page.locator("#stop")).to_contain_text("77777701 barkodu kayıtlı değil")
    await expect(page.locator("body")).to_have_attribute("data-sounded", "bad")
    await expect(page.locator("#scan-field")).to_have_value("")

    await scan(page, barcodes[0])
    await expect(page.locator("#stop")).to_contain_text("daha önce okutulmuş")
    await expect(page.locator("body")).to_have_attribute("data-sounded", "warn")


async def test_a_haemolysed_tube_is_rejected_at_the_door_with_a_reason(desk: Desk, story: Lab) -> None:
    placed = await story.order(["K"])
    page = await desk.sign_in("kabul")
    await scan(page, placed.specimens[0].barcode)
    await expect(page.locator("#scans tr.good")).to_have_count(1)
    await page.keyboard.press("Escape")
    await page.keyboard.press("r")
    await expect(page.locator("#ask-reject")).to_contain_text(placed.specimens[0].barcode)
    await expect(page.locator("#ask-reject [name=neden]")).to_be_focused()
    await page.keyboard.type("Hemolizli numune", delay=70)
    await page.keyboard.press("Enter")
    await expect(page.locator("#stop")).to_contain_text("reddedildi: Hemolizli numune")
    assert await story.state(placed.number, "K") == "ret"

    physician = await desk.sign_in("hekim", f"/istem/{placed.number}")
    await expect(physician.locator("#order")).to_contain_text("Hemolizli numune")


async def test_question_mark_help_search_and_escape_work_on_every_screen(desk: Desk, story: Lab) -> None:
    page = await desk.sign_in("uzman")
    for path in ("/teknik-onay", "/klinik-onay", "/istem", "/kabul", "/istemler", "/cihazlar", "/eslesmeyen"):
        await page.goto(desk.address + path)
        await page.wait_for_selector("html[data-ready]")
        await page.keyboard.press("Escape")
        await page.keyboard.press("?")
        await expect(page.locator("dialog#keys")).to_be_visible()
        await expect(page.locator("dialog#keys")).to_contain_text("bu ekranın yardımı", ignore_case=True)
        await page.keyboard.press("Escape")
        await expect(page.locator("dialog#keys")).to_be_hidden()
        await page.keyboard.press("F1")
        await expect(page.locator("dialog#help .help-text")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.locator("dialog#help")).to_be_hidden()


async def test_an_instrument_is_taken_out_of_service_with_a_note_and_its_traffic_is_readable(
    desk: Desk, story: Lab
) -> None:
    placed = await story.order(["GLU"])
    await story.measure(placed.number, {"GLU": "92"})
    page = await desk.sign_in("teknisyen", "/cihazlar")
    await page.locator("#instruments tr").filter(has_text="Genel ASTM").click()
    await expect(page.locator("#detail")).to_contain_text("127.0.0.1:4000")
    await page.keyboard.press("ArrowRight")
    await expect(page.locator("#message pre")).to_contain_text("<STX>1H|\\^&")
    await expect(page.locator("#message")).to_contain_text(placed.number)

    await page.keyboard.press("d")
    await expect(page.locator("#ask-service input[name=not]")).to_be_focused()
    await page.keyboard.type("lamba arızası", delay=70)
    await page.keyboard.press("Enter")
    await expect(page.locator("#said")).to_contain_text("hizmetten çıkarıldı")
    await expect(page.locator("#instruments tr").filter(has_text="Genel ASTM")).to_contain_text("lamba arızası")


async def test_a_person_binds_a_stray_result_to_the_right_order(desk: Desk, story: Lab) -> None:
    placed = await story.order(["GLU", "UREA"])
    await story.receive(placed)
    await story.measure("424242", {"GLU": "96"})
    page = await desk.sign_in("teknisyen", "/eslesmeyen")
    await expect(page.locator("#detail")).to_contain_text("424242 numarası kayıtlı değil")
    await page.keyboard.press("b")
    await page.fill("#bind-number", placed.number)
    await expect(page.locator("#bind-found")).to_contain_text(placed.number)
    await expect(page.locator("#bind-found input:checked")).to_have_value(f"{placed.number} GLU")
    await page.fill(".bind [name=neden]", "etiket elle yanlış girilmiş, tüpten doğrulandı")
    await page.press(".bind [name=neden]", "Enter")
    await expect(page.locator("#detail")).to_contain_text("tetkikine bağlandı")
    assert await story.state(placed.number, "GLU") == "sonuclandi"


async def test_notices_open_from_the_bell_and_are_marked_as_seen(desk: Desk, story: Lab) -> None:
    from lis_core.storage.tables import Notice

    async with story.database.work(await story.actor("yonetici")) as work:
        work.session.add(Notice(kind="hat", text="Sedim hattı sessiz."))
    page = await desk.sign_in("teknisyen")
    await page.click("[data-open-dialog='#notices']")
    await expect(page.locator("#notices")).to_contain_text("Sedim hattı sessiz.")
    await page.click("#notices button:has-text('Gördüm')")
    await expect(page.locator("#notices")).to_contain_text("Açık bildirim yok")


@pytest.mark.clause("9.5.2a")
async def test_tubes_are_scanned_in_loading_order_and_a_wrong_one_is_said(desk: Desk, story: Lab) -> None:
    numbers = [(await story.order(["GLU"])).specimens[0].barcode for _ in range(3)]
    async with story.database.reading() as session:
        of_line = text(
            "select cihaz_kisa_kodu from cihaz join baglanti using (cihaz_kodu) where baglanti_adi = 'genel'"
        )
        instrument = await session.scalar(of_line)
    page = await desk.sign_in("teknisyen", f"/cihazlar/{instrument}/yukleme")
    for number in numbers:
        await scan(page, number)
    await expect(page.locator("#loaded tr")).to_have_count(3)
    assert await page.locator("#loaded tr td:nth-child(2)").all_inner_texts() == numbers
    assert await page.locator("#loaded tr td:nth-child(1)").all_inner_texts() == ["1", "2", "3"]
    await expect(page.locator("#said")).to_contain_text(f"3. konum: {numbers[2]} (GLU)")
    await scan(page, numbers[0])
    await expect(page.locator("#said")).to_contain_text(f"{numbers[0]} zaten 1. konumda.")
    await expect(page.locator("#loaded tr")).to_have_count(3)

    await page.locator("#load-field").press("Escape")
    await page.keyboard.press("c")
    await expect(page.locator("#ask-take [name=konum]")).to_be_focused()
    await page.keyboard.type("2")
    await page.keyboard.press("Enter")
    await expect(page.locator("#said")).to_contain_text("2. konum boşaltıldı.")
    await expect(page.locator("#loaded tr")).to_have_count(2)
    await page.fill("#load-field", numbers[1])
    await page.fill("#load-form [name=konum]", "2")
    await page.keyboard.press("Enter")
    await expect(page.locator("#loaded tr")).to_have_count(3)
    assert await page.locator("#loaded tr td:nth-child(1)").all_inner_texts() == ["1", "2", "3"]

    await page.locator("#load-field").press("Escape")
    await page.keyboard.press("y")
    await expect(page.locator("#ask-new button[type=submit]")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#said")).to_contain_text("Yeni liste: 3 konum boşaltıldı.")
    await expect(page.locator("#loaded")).to_contain_text("Liste boş.")
