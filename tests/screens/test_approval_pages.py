"""What decides stands on one screen: the pictures of technical and clinical approval, read as pages."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

import pytest

from lis_core.domain.states import TubeState
from lis_core.settings import ISTANBUL
from tests.screens.conftest import Site
from tests.screens.scenario import Lab, person


async def smoker_with_history(story: Lab) -> str:
    """A 40-year-old female smoker with an earlier TSH, one repeat, and FT4 today (the patient of 9.6.12 and 9.7.4)."""
    now = datetime.now(ISTANBUL)
    patient = person(sex="F", birth_date=date(now.year - 40, now.month, 1))
    earlier = now - timedelta(days=30)
    past = await story.order(["TSH"], patient=patient, ordered_at=earlier)
    await story.measure(past.number, {"TSH": "1.37"}, at=earlier)
    await story.approve(past.number)
    placed = await story.order(["TSH", "FT4"], patient=patient, clinical={"sigara": True, "sat": "01.11.2026"})
    await story.receive(placed)
    await story.measure(placed.number, {"TSH": "9.81"}, line="hormon", codes={"TSH": "10"})
    await story.repeat(placed.number, "TSH", "önceki ile uyumsuz")
    await story.measure(placed.number, {"TSH": "2.46"}, line="hormon", codes={"TSH": "10"})
    await story.measure(placed.number, {"FT4": "1.21"}, line="hormon", codes={"FT4": "30"})
    return placed.number


def nine_kinds(page: str) -> None:
    """Age, sex, condition, clinic, range, instrument, earlier result, earlier run, related test."""
    for words in (
        "40 yaş",
        "Kadın",
        "sigara içiyor",
        "SAT 01.11.2026",
        "Dahiliye Polikliniği",
        "0.27-4.2",
        "hormon",
        "1.37",
        "9.81",
        "1.21",
    ):
        assert words in page, words
    assert "2.46" in page


@pytest.mark.clause("9.6.12")
async def test_everything_that_decides_is_on_the_technicians_screen(site: Site, story: Lab) -> None:
    number = await smoker_with_history(story)
    nine_kinds((await (await site.as_("teknisyen")).get(f"/teknik-onay/{number}")).text)


@pytest.mark.clause("9.7.4")
async def test_everything_that_decides_is_on_the_specialists_screen(site: Site, story: Lab) -> None:
    number = await smoker_with_history(story)
    await story.approve(number, clinically=False)
    nine_kinds((await (await site.as_("uzman")).get(f"/klinik-onay/{number}")).text)


@pytest.mark.clause("9.6.11b")
async def test_a_result_without_technical_approval_is_no_row_of_clinical_approval(site: Site, story: Lab) -> None:
    placed = await story.order(["GLU", "TSH"])
    await story.receive(placed)
    await story.measure(placed.number, {"GLU": "92", "TSH": "7.77"})
    await story.approve(placed.number, clinically=False, codes=["GLU"])
    specialist = await site.as_("uzman")
    page = (await specialist.get(f"/klinik-onay/{placed.number}")).text
    assert re.findall(r'data-code="(\w+)"', page) == ["GLU"]
    assert "7.77" not in page

    tsh = (await story.results(placed.number, "TSH"))[0]
    refused = await specialist.post(f"/klinik-onay/{placed.number}/onayla", sonuc=str(tsh))
    assert "teknik onay almamış" in refused.text
    assert await story.state(placed.number, "TSH") == "sonuclandi"


@pytest.mark.clause("9.7.2a")
async def test_the_specialist_sees_at_which_stage_every_test_is(site: Site, story: Lab) -> None:
    """Five tests, five stages: drawn, accepted, resulted, technically approved, released; each with its time."""
    placed = await story.order(["ESR", "HBA1C", "TSH", "GLU", "UREA"])
    await story.receive(placed, TubeState.COLLECTED, "Sedim")
    await story.receive(placed, TubeState.RECEIVED, "Biyokimya", "Hemogram", "Hormon-ELISA")
    await story.measure(placed.number, {"TSH": "1.9", "GLU": "92", "UREA": "30"})
    await story.approve(placed.number, codes=["UREA"])
    await story.approve(placed.number, clinically=False, codes=["GLU"])
    page = (await (await site.as_("uzman")).get(f"/klinik-onay/{placed.number}")).text
    text = re.sub(r"<[^>]+>", " ", page)
    clock = r"\s+\d\d:\d\d"
    for code, stage in (("ESR", "alındı"), ("HBA1C", "kabul edildi"), ("TSH", "sonuçlandı")):
        assert re.search(rf"{code}\s+\S+\s+{stage}{clock}", text), code
    assert re.search(rf"GLU.*?Tuğba Işıklı{clock}", text, re.S)  # technically approved, by whom and when
    assert re.search(r"UREA.*?klinik onaylı", text, re.S)


@pytest.mark.clause("9.7.1b")
async def test_of_another_laboratory_the_approved_result_is_shown_read_only_and_the_other_not(
    site: Site, story: Lab
) -> None:
    placed = await story.order(["GLU", "HGB", "PLT"])
    await story.receive(placed)
    await story.measure(placed.number, {"GLU": "92", "HGB": "13.37", "PLT": "288"})
    await story.approve(placed.number, codes=["PLT"])
    await story.approve(placed.number, clinically=False, codes=["GLU", "HGB"])
    await story.limit("uzman", "BIYOKIMYA")
    page = (await (await site.as_("uzman")).get(f"/klinik-onay/{placed.number}")).text
    assert "288" in page and "13.37" not in page
    platelets = page[page.index('data-code="PLT"') :]
    assert "disabled" in platelets[: platelets.index("</td>")]


@pytest.mark.clause("9.7.9")
async def test_the_history_of_a_result_names_both_approvals_with_their_times(site: Site, story: Lab) -> None:
    placed = await story.order(["GLU"])
    await story.receive(placed)
    await story.measure(placed.number, {"GLU": "92"})
    await story.approve(placed.number)
    page = (await (await site.as_("teknisyen")).get(f"/teknik-onay/{placed.number}")).text
    row = re.search(r'data-row="(\d+)"', page)
    assert row
    for username in ("uzman", "hekim"):
        history = (await (await site.as_(username)).get(f"/istem/{placed.number}/tetkik/{row[1]}")).text
        assert re.search(r"Teknik onay <span[^>]*>Tuğba Işıklı, \d\d\.\d\d\.\d{4} \d\d:\d\d", history)
        assert re.search(r"Klinik onay <span[^>]*>Ufuk Çınar, \d\d\.\d\d\.\d{4} \d\d:\d\d", history)


@pytest.mark.clause("9.7.6c")
async def test_a_reason_of_approval_is_kept_with_the_result(site: Site, story: Lab) -> None:
    placed = await story.order(["GLU"])
    await story.receive(placed)
    await story.measure(placed.number, {"GLU": "520"})
    await story.approve(placed.number, clinically=False)
    specialist = await site.as_("uzman")
    answer = await specialist.post(
        f"/klinik-onay/{placed.number}/onayla",
        sonuc=str((await story.results(placed.number))[0]),
        gerekce="ikinci numunede doğrulandı",
    )
    assert "1 sonuç klinik onay aldı" in answer.text
    page = (await specialist.get(f"/klinik-onay/{placed.number}")).text
    assert "ikinci numunede doğrulandı" in page


@pytest.mark.clause("9.7.6a")
async def test_the_specialist_sends_a_result_to_a_repeat_on_the_instrument_he_names(site: Site, story: Lab) -> None:
    placed = await story.order(["GLU", "UREA"])
    await story.receive(placed)
    await story.measure(placed.number, {"GLU": "92", "UREA": "30"})
    await story.approve(placed.number, clinically=False)
    specialist = await site.as_("uzman")
    offered = (await specialist.get(f"/klinik-onay/{placed.number}")).text
    assert '<option value="biyokimya">' in offered
    answer = await specialist.post(
        f"/klinik-onay/{placed.number}/tekrar",
        sonuc=str((await story.results(placed.number, "GLU"))[0]),
        tekrar_nedeni="klinikle uyumsuz",
        cihaz="biyokimya",
    )
    assert "1 tetkik tekrara gönderildi" in answer.text
    assert re.findall(r'data-code="(\w+)"', answer.text) == ["UREA"]
    assert await story.state(placed.number, "GLU") == "kabul"
    listed = (await (await site.as_("teknisyen")).get("/teknik-onay?tekrar=1")).text
    assert "Biyokimya cihazı" in listed

    # The reason may be left empty.
    again = await specialist.post(
        f"/klinik-onay/{placed.number}/tekrar", sonuc=str((await story.results(placed.number, "UREA"))[0])
    )
    assert "1 tetkik tekrara gönderildi" in again.text


@pytest.mark.clause("9.6.6b")
@pytest.mark.clause("9.7.6b")
async def test_the_repeat_list_says_where_each_tube_was_last_and_where_it_is_wanted(site: Site, story: Lab) -> None:
    placed = await story.order(["GLU"])
    await story.receive(placed)
    await story.measure(placed.number, {"GLU": "450"}, rack="5", position="3")
    await story.repeat(placed.number, "GLU", "doğrulama", instrument="biyokimya")
    page = (await (await site.as_("teknisyen")).get("/teknik-onay?tekrar=1")).text
    line = re.sub(r"<[^>]+>", "", page[page.index(f'data-row="{placed.number}"') :])
    assert "GLU son Genel ASTM cihazı raf 5/3 → Biyokimya cihazı" in line


@pytest.mark.clause("9.6.6a")
async def test_a_repeat_before_technical_approval_keeps_the_first_run(site: Site, story: Lab) -> None:
    placed = await story.order(["GLU"])
    await story.receive(placed)
    await story.measure(placed.number, {"GLU": "450"})
    technician = await site.as_("teknisyen")
    first = (await story.results(placed.number))[0]
    answer = await technician.post(f"/teknik-onay/{placed.number}/tekrar", sonuc=str(first), tekrar_nedeni="pıhtı?")
    assert "tekrara gönderildi" in answer.text
    assert await story.state(placed.number, "GLU") == "kabul"
    await story.measure(placed.number, {"GLU": "98"})
    page = (await technician.get(f"/teknik-onay/{placed.number}")).text
    assert re.search(r"koşular</b>\s*1: 450", page)
    assert "Tekrar istendi: Tuğba Işıklı" in page and "pıhtı?" in page


@pytest.mark.parametrize(
    ("path", "approved"),
    [
        pytest.param("/teknik-onay", False, marks=pytest.mark.clause("9.6.13a")),
        pytest.param("/klinik-onay", True, marks=pytest.mark.clause("9.7.5a")),
    ],
)
async def test_low_and_high_have_their_own_sign_and_colour_and_normal_has_none(
    site: Site, story: Lab, path: str, approved: bool
) -> None:
    shown = {}
    for value in ("60", "90", "130"):
        placed = await story.order(["GLU"])
        await story.receive(placed)
        await story.measure(placed.number, {"GLU": value})
        if approved:
            await story.approve(placed.number, clinically=False)
        page = (await (await site.as_("uzman")).get(f"{path}/{placed.number}")).text
        found = re.search(rf'<span class="value ([^"]*)">{value}</span>', page)
        assert found
        shown[value] = (found[1].strip(), re.findall(r'class="sign [^"]*"[^>]*>([^<]+)<', page))
    assert shown == {"60": ("out low", ["D"]), "90": ("", []), "130": ("out high", ["Y"])}


@pytest.mark.parametrize(
    ("path", "approved"),
    [
        pytest.param("/teknik-onay", False, marks=pytest.mark.clause("9.6.13b")),
        pytest.param("/klinik-onay", True, marks=pytest.mark.clause("9.7.5b")),
    ],
)
async def test_a_panic_value_does_not_look_like_a_high_one(site: Site, story: Lab, path: str, approved: bool) -> None:
    placed = await story.order(["GLU"])
    await story.receive(placed)
    await story.measure(placed.number, {"GLU": "520"})
    if approved:
        await story.approve(placed.number, clinically=False)
    specialist = await site.as_("uzman")
    page = (await specialist.get(f"{path}/{placed.number}")).text
    assert '<span class="value out panic">520</span>' in page and "sign-panic" in page
    assert "sign-panic" in (await specialist.get(path)).text  # in the list as well


@pytest.mark.parametrize(
    ("path", "approved"),
    [
        pytest.param("/teknik-onay", False, marks=pytest.mark.clause("9.6.14b")),
        pytest.param("/klinik-onay", True, marks=pytest.mark.clause("9.7.13b")),
    ],
)
async def test_the_days_results_of_a_test_are_drawn_in_time_order_with_this_one_marked(
    site: Site, story: Lab, path: str, approved: bool
) -> None:
    """60 results today, 60 points; with fewer than 60 minutes gone since midnight some would be yesterday's."""
    start = datetime.now(ISTANBUL).replace(hour=0, minute=0, second=1, microsecond=0)
    step = (datetime.now(ISTANBUL) - start) / 61
    number = ""
    for n in range(60):
        placed = await story.order(["GLU"])
        await story.measure(placed.number, {"GLU": str(80 + n % 15)}, at=start + step * n)
        number = number or placed.number
    await story.approve(number, clinically=False)
    specialist = await site.as_("uzman")
    row = re.search(r'data-row="(\d+)"', (await specialist.get(f"{path}/{number}")).text)
    assert row
    chart = (await specialist.get(f"{path}/{number}/grafik?tetkik={row[1]}")).text
    points = re.findall(r'<circle class="dot ([^"]*)" cx="([\d.]+)"', chart)
    assert len(points) == 60
    assert [look for look, _ in points].count("this") == 1
    others = [float(x) for look, x in points if look != "this"]
    assert others == sorted(others)


async def test_the_panic_value_is_approved_with_a_call_record_that_stays(site: Site, story: Lab) -> None:
    placed = await story.order(["K"])
    await story.receive(placed)
    await story.measure(placed.number, {"K": "6.9"})
    technician = await site.as_("teknisyen")
    ids = str((await story.results(placed.number))[0])
    refused = await technician.post(f"/teknik-onay/{placed.number}/onayla", sonuc=ids)
    assert "panik" in refused.text and 'data-opens="#ask-call"' in refused.text
    taken = await technician.post(
        f"/teknik-onay/{placed.number}/onayla", sonuc=ids, aranan="Dr. Özışık", saat="10:42", geri_okundu="1"
    )
    assert "1 sonuç onaylandı" in taken.text
    assert "Arama kaydı: Dr. Özışık, 10:42, değer geri okundu" in taken.text


async def test_a_result_that_came_after_the_key_was_pressed_is_looked_at_first(site: Site, story: Lab) -> None:
    """H acts on what was on the screen: UREA arrives between looking and pressing, and stays."""
    placed = await story.order(["GLU", "UREA"])
    await story.receive(placed)
    await story.measure(placed.number, {"GLU": "92"})
    technician = await site.as_("teknisyen")
    page = (await technician.get(f"/teknik-onay/{placed.number}")).text
    seen = re.findall(r'name="gosterilen" value="(\d+)"', page)
    await story.measure(placed.number, {"UREA": "30"})
    answer = await technician.post(f"/teknik-onay/{placed.number}/hepsi", gosterilen=seen)
    assert "1 sonuç onaylandı; 1 sonuç kaldı" in answer.text
    assert await story.state(placed.number, "UREA") == "sonuclandi"


async def test_a_typed_result_is_a_run_and_its_correction_another_one(site: Site, story: Lab) -> None:
    placed = await story.order(["ESR"])
    await story.receive(placed)
    technician = await site.as_("teknisyen")
    page = (await technician.get(f"/teknik-onay/{placed.number}")).text
    row = re.search(r'data-row="(\d+)"', page)
    assert row
    typed = await technician.post(f"/teknik-onay/{placed.number}/deger", tetkik=row[1], deger="12")
    assert "ESR sonucu yazıldı: 12" in typed.text and "elle: Tuğba Işıklı" in typed.text
    again = await technician.post(f"/teknik-onay/{placed.number}/deger", tetkik=row[1], deger="21")
    assert "gerekçe" in again.text
    corrected = await technician.post(
        f"/teknik-onay/{placed.number}/deger", tetkik=row[1], deger="21", deger_nedeni="yanlış okundu"
    )
    assert ">21</span>" in corrected.text and re.search(r"koşular</b>\s*1: 12", corrected.text)

    run = re.search(r'<option value="(\d+ \d+)">ESR: 1\. koşu 12', corrected.text)
    assert run
    back = await technician.post(f"/teknik-onay/{placed.number}/kosu", kosu=run[1], kosu_nedeni="ilk okuma doğru")
    assert "geçerli koşu değişti" in back.text and ">12</span>" in back.text


async def test_a_technical_approval_is_taken_back_with_a_reason(site: Site, story: Lab) -> None:
    placed = await story.order(["GLU"])
    await story.receive(placed)
    await story.measure(placed.number, {"GLU": "92"})
    await story.approve(placed.number, clinically=False)
    technician = await site.as_("teknisyen")
    ids = str((await story.results(placed.number))[0])
    assert "gerekçe" in (await technician.post(f"/teknik-onay/{placed.number}/geri", simdiki=ids)).text
    answer = await technician.post(f"/teknik-onay/{placed.number}/geri", simdiki=ids, geri_nedeni="tüp karışmış")
    assert "geri alındı" in answer.text
    assert await story.state(placed.number, "GLU") == "sonuclandi"
