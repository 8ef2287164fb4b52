"""The screens of instruments can be read and fit, light and dark, by the measures of every other screen."""

from __future__ import annotations

from playwright.async_api import Page

from lis_core.domain.permissions import P
from lis_core.services.gateways import save_gateway
from lis_core.services.instruments import ConnectionData, InstrumentData, save_connection, save_instrument
from lis_core.storage.database import Database, program
from tests.screens.conftest import Desk
from tests.screens.scenario import busy_morning
from tests.screens.test_looks import _look

SCREENS = (
    "/cihazlar",
    "/cihazlar/mesajlar",
    "/cihazlar/kur",
    "/cihazlar/hemogram/kur",
    "/cihazlar/genel/esleme",
    "/cihazlar/genel/yukleme",
    "/cihazlar/kodlar",
    "/cihazlar/tanimlar",
    "/cihazlar/hat/1",
    "/cihazlar/tanim",
    "/cihazlar/gecitler",
    "/cihazlar/au/kur",
    "/cihazlar/law/isler?hepsi=1",
)


async def test_instrument_screens_can_be_read_and_fit(desk: Desk, lab: Database) -> None:
    await busy_morning(lab, 6)
    await _another_house(lab)
    page: Page = await desk.sign_in("uzman")
    faults: list[str] = []
    for path in (*SCREENS, "/cihazlar/tanim?mesaj=1"):
        await page.goto(desk.address + path)
        await page.wait_for_selector("html[data-ready]")
        if path == "/cihazlar/mesajlar":
            await page.locator("#messages tr").first.click()
            await page.wait_for_selector("#message .message-head")
        for details in await page.locator("details").all():
            await details.evaluate("one => { one.open = true }")
        faults += await _look(page, f"uzman{path.replace('/', '-').replace('?', '-').replace('=', '-')}")
    assert faults == []


async def _another_house(lab: Database) -> None:
    """A gateway, and an analyser whose settings its definition leaves to the site."""
    chief = program("deneme", may=(P.INSTRUMENT_MANAGE,))
    await save_gateway(lab, chief, "ilce-devlet", "İlçe devlet hastanesi laboratuvarı, zemin kat")
    async with lab.work(chief) as work:
        await save_instrument(work, InstrumentData(code="au", name="AU5800", definition="beckman-au5800"))
        line = ConnectionData(
            name="au", instrument="au", kind="seri", protocol="metin", address="/dev/ttyUSB0", gateway="ilce-devlet"
        )
        await save_connection(work, line)
