"""An analyser that nobody has described: connected, tried, watched, described by pointing, mapped; nothing restarted.

With NUMUNE_GUIDE_PICTURES set, the pictures of the operator's guide are made on the way.
"""

from __future__ import annotations

import asyncio
import os
import re
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from drivers.protocols.astm_frames import build_frame
from tests.browser.people import HAND, PICTURES, Desks, api
from tests.browser.running import Running

GUIDE = Path(__file__).parents[2] / "docs" / "resimler"
LINE = 50  # its port above the base
ENQ, ACK, EOT = b"\x05", b"\x06", b"\x04"


def records(specimen: str, value: str, at: str) -> list[bytes]:
    """The dialect of a model that does not exist: number in O-4.2, code in R-3.1, value in R-5, unit in R-6."""
    return [
        b"H|\\^&|||Acme^X1|||||||P|1|" + at.encode() + b"\r",
        b"P|1\rO|1|7|K-" + at[-4:].encode() + b"^" + specimen.encode() + b"^A3|^^^\r",
        b"R|1|SEKER^x^1|F|" + value.encode() + b"|mmol/L||N||||" + at.encode() + b"\r",
        b"L|1|N\r",
    ]


async def sends(port: int, specimen: str, value: str, at: str) -> None:
    """The analyser sends one message by the standard and is acknowledged frame by frame."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    frames = records(specimen, value, at)
    told = [ENQ, *(build_frame(n, text, last=n == len(frames)) for n, text in enumerate(frames, 1))]
    for part in told:
        writer.write(part)
        assert await asyncio.wait_for(reader.readexactly(1), 5) == ACK
    writer.write(EOT)
    await writer.drain()
    await asyncio.sleep(0.3)
    writer.close()
    await writer.wait_closed()


@contextmanager
def serial_cable() -> Iterator[tuple[int, str]]:
    """A pseudo-terminal: our end of it, and the path that the other end is opened by."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    try:
        yield ours, os.ttyname(theirs)
    finally:
        os.close(ours)
        os.close(theirs)


async def shown(page: Page, name: str, *, guide: bool = False) -> None:
    """The screen as it stands: for people, and for the guide. The caret stays: hiding it leaves empty `style`
    attributes on fields, which the page's own policy refuses when a part of it is renewed."""
    PICTURES.mkdir(exist_ok=True)
    png = await page.screenshot(path=PICTURES / f"story-cihaz-{name}.png", animations="disabled", caret="initial")
    if guide and os.environ.get("NUMUNE_GUIDE_PICTURES"):
        (GUIDE / f"cihaz-{name}.png").write_bytes(png)


@pytest.mark.clause("2.2.7b")
@pytest.mark.clause("13.6")
async def test_an_unknown_analyser_is_connected_described_and_mapped_without_a_restart(
    numune: Running, desks: Desks
) -> None:
    port = numune.base + LINE
    number = (await desks.places("GLU"))["number"]
    page = await desks.sign_in("uzman", "/cihazlar")
    await _adds_the_instrument(page)
    await _tries_a_serial_port(page)
    await _tries_and_saves_the_tcp_line(page, port)

    watched = await desks.sign_in("uzman")
    await _watches(page, watched, port, number)
    await _describes_it_from_its_message(page, number)
    await _chooses_the_new_definition(page)

    await sends(port, number, "5.9", "20261122101500")
    await _next_message_is_read_by_it(page, number)
    await _maps_the_code_and_the_result_derives_itself(page, number)


async def _adds_the_instrument(page: Page) -> None:
    await page.keyboard.press("y")
    await expect(page.locator("[name=kod]")).to_be_focused()
    await page.keyboard.type("acme")
    await page.keyboard.press("Tab")
    await page.keyboard.type("Acme biyokimya cihazı")
    await page.locator("[name=tanim]").select_option("generic-astm")
    await expect(page.locator("#facts")).to_contain_text("Bilinen tuhaflıkları")
    await shown(page, "1-yeni", guide=True)
    await page.locator("[name=ad]").first.press("Enter")
    await expect(page.locator("#said")).to_contain_text("Cihaz kaydedildi")
    await expect(page.locator("#line-new")).to_be_visible()


async def _tries_a_serial_port(page: Page) -> None:
    """A cable whose other end asks to send: the trial says so and answers nothing."""
    form = page.locator("#line-new")
    with serial_cable() as (cable, path):
        await form.locator("[name=tur]").select_option("seri")
        await expect(form.locator("[name=hiz]")).to_be_visible()
        await form.locator("[name=adres]").fill(path)
        await form.locator("[name=sure]").fill("10")
        await form.get_by_role("button", name="Dene").click()
        await expect(form.locator("[data-trial=suruyor]")).to_contain_text("Açıldı")
        os.write(cable, ENQ)
        await expect(form.locator("[data-trial=iyi]")).to_contain_text("ENQ")
        await shown(page, "2-seri", guide=True)
        os.set_blocking(cable, False)
        with suppress(BlockingIOError):
            assert os.read(cable, 10) == b"", "a trial answers nothing: the instrument must not forget"


async def _tries_and_saves_the_tcp_line(page: Page, port: int) -> None:
    form = page.locator("#line-new")
    await form.locator("[name=tur]").select_option("tcp-sunucu")
    await expect(form.locator("[name=hiz]")).to_be_hidden()
    await form.locator("[name=adres]").fill(f"127.0.0.1:{port}")
    await form.get_by_role("button", name="Dene").click()
    await expect(form.locator("[data-trial=suruyor]")).to_contain_text("Açıldı")
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(ENQ)
    await expect(form.locator("[data-trial=iyi]")).to_contain_text("ENQ")
    await shown(page, "3-tcp", guide=True)
    writer.close()
    await form.locator("[name=ad]").press("Enter")
    await expect(page.locator("#said")).to_contain_text("acme hattı kaydedildi")


async def _watches(page: Page, watched: Page, port: int, number: str) -> None:
    """The bytes of a line both ways, as they come, with their meaning; and the line's history."""
    address = await page.get_by_role("link", name="Canlı trafik ve olaylar").get_attribute("href")
    await watched.goto(re.sub(r"(https?://[^/]+).*", r"\1", page.url) + str(address))
    await expect(watched.locator("[data-traffic-state]")).to_contain_text("canlı")
    await expect(watched.locator("#events")).to_contain_text("Hat açık", timeout=15_000)
    await watched.wait_for_timeout(1500)  # the gateway looks once a second whether somebody watches
    await sends(port, number, "5.4", "20261122100000")
    await expect(watched.locator("#traffic")).to_contain_text("<ENQ>")
    await expect(watched.locator("#traffic .traffic-giden").first).to_contain_text("<ACK>")
    await expect(watched.locator("#traffic")).to_contain_text("ENQ: göndermek istiyor")
    await expect(watched.locator("#traffic .read-line").first).to_be_visible()
    await expect(watched.locator("#events")).to_contain_text("bağlandı", timeout=10_000)
    await shown(watched, "4-trafik", guide=True)
    await watched.keyboard.press("Space")
    await expect(watched.locator("[data-traffic-state]")).to_contain_text("duraklatıldı")


async def _describes_it_from_its_message(page: Page, number: str) -> None:
    await page.goto(re.sub(r"(https?://[^/]+).*", r"\1", page.url) + "/cihazlar/mesajlar?cihaz=acme")
    await expect(page.locator("#messages tr")).to_have_count(1)
    await page.keyboard.press("ArrowDown")
    await expect(page.locator("#message")).to_contain_text("Ne yapmalı")
    await shown(page, "5-mesaj")
    await page.get_by_role("link", name="Tanım yaz").click()
    decoded = page.locator("#decoded tbody tr").first
    await expect(decoded.locator("td").nth(3)).to_have_text("F")  # what the generic definition takes for the value
    for role, place, column, read in (
        ("n", "O-4.2", 1, number),
        ("t", "R-3.1", 2, "SEKER"),
        ("d", "R-5", 3, "5.4"),
        ("b", "R-6", 4, "mmol/L"),
    ):
        await page.keyboard.press(role)
        await expect(page.locator(f'[name=rol][data-key="{role}"]')).to_be_checked()
        await page.locator(f'[data-place="{place}"]').click()
        await expect(page.locator("#said")).to_contain_text(f"{place} alanından")
        await expect(decoded.locator("td").nth(column)).to_have_text(read)
    await expect(page.locator('[data-place="R-5"]')).to_contain_text("Değer")
    await shown(page, "6-tanim", guide=True)
    await page.locator("[name=key]").fill("acme-x1")
    await page.locator("[name=maker]").fill("Acme")
    await page.locator("[name=model]").fill("X1")
    await page.locator("[name=source]").fill("Yakalanmış mesaj, 22.11.2026")
    await page.locator("[name=quirks]").fill("Değer R-5 alanında, birim R-6 alanında gelir.")
    await page.get_by_role("button", name=re.compile("^Yayımla")).click()
    await expect(page.locator("#said")).to_contain_text("acme-x1/1 yayımlandı")


async def _chooses_the_new_definition(page: Page) -> None:
    await page.goto(re.sub(r"(https?://[^/]+).*", r"\1", page.url) + "/cihazlar/acme/kur")
    await page.locator("[name=tanim]").select_option("acme-x1")
    await expect(page.locator("#facts")).to_contain_text("birim R-6 alanında gelir")
    await page.get_by_role("button", name="Cihazı kaydet").click()
    await expect(page.locator("#said")).to_contain_text("Cihaz kaydedildi")
    await page.wait_for_timeout(4500)  # the gateway follows definitions and lines every three seconds


async def _next_message_is_read_by_it(page: Page, number: str) -> None:
    await page.goto(re.sub(r"(https?://[^/]+).*", r"\1", page.url) + "/cihazlar/mesajlar?cihaz=acme")
    await expect(page.locator("#messages tr")).to_have_count(2)
    await page.locator("#messages tr").first.click()
    message = page.locator("#message")
    await expect(message).to_contain_text("acme-x1/1")
    await expect(message.locator("tr.read-eslesmeyen")).to_contain_text(number)
    await expect(message.locator("tr.read-eslesmeyen")).to_contain_text("5.9")
    await expect(message.locator("tr.read-eslesmeyen .from").first).to_contain_text("O-4.2")
    await shown(page, "7-okundu")


async def _maps_the_code_and_the_result_derives_itself(page: Page, number: str) -> None:
    await page.goto(re.sub(r"(https?://[^/]+).*", r"\1", page.url) + "/cihazlar/kodlar")
    row = page.locator('tr[data-code="SEKER"]')
    await expect(row).to_contain_text("5.9")
    await shown(page, "8-kod", guide=True)
    await row.locator("[name=tetkik]").fill("GLU")
    await row.locator("[name=carpan]").fill("18.016")
    await page.keyboard.press("Enter")
    await expect(page.locator("#said")).to_contain_text("Bekleyen 2 sonuç kendiliğinden yeniden işleniyor")
    for _ in range(40):
        _, order = await api(page, f"/api/v1/orders/{number}")
        result = order["tests"][0]["result"]
        if result and result["runs"] == 2:
            break
        await page.wait_for_timeout(250)
    # the first message, which only the new definition can read, is the first run; the second is what counts
    assert (result["runs"], result["value"], result["unit"]) == (2, "106", "mg/dL"), result  # 5.9 mmol/L


async def test_a_gateway_a_machines_settings_and_work_steps_by_keyboard_alone(numune: Running, desks: Desks) -> None:
    """Another house is registered and given a line; widths of a machine are written; work is taken back."""
    page = await desks.sign_in("uzman", "/cihazlar/gecitler")
    await _registers_a_gateway(page)
    await _writes_the_settings_of_a_machine(page)
    order = await desks.places("GLU", "UREA")
    tube = next(one["barcode"] for one in order["specimens"] if "GLU" in one["tests"])
    station = asyncio.create_task(
        numune.simulates("law", 75, "--barcodes", tube, "--unable", "UREA", "--no-results", "--stay", "12")
    )
    await _takes_work_back(page, tube)
    said = await station
    assert "1 iş adımı alındı, 1 geri çevrildi" in said and "iptal geldi" in said


async def _registers_a_gateway(page: Page) -> None:
    await expect(page.locator("#ask-gateway [name=ad]")).to_be_visible()  # nothing is there yet: the form is open
    await page.keyboard.press("y")
    await expect(page.locator("#ask-gateway [name=ad]")).to_be_focused()
    await page.keyboard.type("ilce-devlet", delay=HAND)
    await page.keyboard.press("Tab")
    await page.keyboard.type("İlçe devlet hastanesi", delay=HAND)
    await page.keyboard.press("Enter")
    await expect(page.locator("#gateways")).to_contain_text("Henüz hiç bağlanmadı")
    await expect(page.locator("#detail")).to_contain_text("gecit.toml indir")
    await expect(page.locator("#detail pre").first).to_contain_text('ad = "ilce-devlet"')
    await shown(page, "9-gecit", guide=True)
    async with page.expect_download() as loading:
        await page.get_by_role("link", name="gecit.toml indir").press("Enter")
    assert 'sertifika = "ilce-devlet.crt"' in (await (await loading.value).path()).read_text()


async def _writes_the_settings_of_a_machine(page: Page) -> None:
    await page.goto(re.sub(r"(https?://[^/]+).*", r"\1", page.url) + "/cihazlar/kur?tanim=beckman-au5800")
    await page.locator("[name=kod]").focus()
    await page.keyboard.type("au", delay=HAND)
    await page.keyboard.press("Tab")
    await page.keyboard.type("AU5800 biyokimya", delay=HAND)
    await page.keyboard.press("Enter")
    form = page.locator("#line-new")
    await expect(form).to_contain_text("6 ayar hâlâ belgedeki varsayılanda")
    await form.locator("[name=adres]").fill("/dev/ttyUSB0")
    await form.locator("[name=tur]").select_option("seri")
    await form.locator('[name="gecit"]').select_option("ilce-devlet")
    await form.locator('[name="parametre.kimlik"]').fill("yirmi")
    await form.locator('[name="parametre.kimlik"]').press("Enter")
    await expect(page.locator("#said")).to_contain_text("0 ile 999 arasında")
    await form.locator('[name="parametre.kimlik"]').fill("14")
    await form.locator('[name="parametre.kimlik"]').press("Enter")
    await expect(page.locator("#said")).to_contain_text("au hattı kaydedildi")
    line = page.locator("section[aria-label='au hattı']")
    await expect(line).to_contain_text("5 ayar hâlâ belgedeki varsayılanda")
    await expect(line).to_contain_text("ilce-devlet geçidinde")
    await expect(line.locator("tr[data-parameter=kimlik]")).to_contain_text("✓ yazıldı")
    await line.locator("details").first.scroll_into_view_if_needed()
    await shown(page, "10-ayar", guide=True)


async def _takes_work_back(page: Page, tube: str) -> None:
    await page.goto(re.sub(r"(https?://[^/]+).*", r"\1", page.url) + "/cihazlar/law/isler?hepsi=1")
    glucose = page.locator("#steps tr", has_text="GLU").filter(has_text=tube)
    await expect(glucose).to_contain_text("cihaz kabul etti")
    await expect(page.locator("#steps tr", has_text="UREA").filter(has_text=tube)).to_contain_text("cihaz kabul etmedi")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Home")
    if "GLU" not in await page.locator("#steps tr[aria-selected=true]").inner_text():
        await page.keyboard.press("ArrowDown")
    await expect(page.locator("#detail h2")).to_have_text("GLU")
    await expect(page.locator("#detail")).to_contain_text("yanıtlandı: AA")
    await shown(page, "11-isler", guide=True)
    await page.keyboard.press("i")
    await expect(page.locator("#ask-cancel-step [name=neden]")).to_be_focused()
    await page.keyboard.type("tüp geri çekildi", delay=HAND)
    await page.keyboard.press("Enter")
    await expect(page.locator("#said")).to_contain_text("İptal istendi")
    await expect(glucose).to_contain_text("iptal edildi")
