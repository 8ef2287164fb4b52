"""Permissions in a real browser: by keyboard, readable, saved together; the way from a refusal to its place."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from lis_core.domain.permission_templates import Job
from lis_core.storage.database import Database
from tests.browser.people import PICTURES
from tests.permissions.conftest import House
from tests.screens.conftest import Desk, desk
from tests.screens.test_looks import CHECK

__all__ = ["desk"]
pytestmark = pytest.mark.browser


async def look(page: Page, name: str) -> None:
    """A picture of the screen at 1366x768; nothing on it is too small, too pale or beside the screen."""
    PICTURES.mkdir(exist_ok=True)
    await page.wait_for_timeout(150)
    await page.screenshot(path=PICTURES / f"yetki-{name}.png", animations="disabled")
    assert await page.evaluate(CHECK) == [], name


async def test_an_administrator_gives_takes_and_tries_by_keyboard(desk: Desk, lab: Database) -> None:
    house = House(lab)
    for name in ("ayse", "fatma"):
        await house.person(name, Job.BILLING)
    nurse = await house.person("hemsire", Job.TRANSPORT)
    page = await desk.sign_in("yonetici", "/yetkiler")
    await look(page, "01-kisiler")

    await page.keyboard.press("/")
    await page.keyboard.type("hemsire")
    await page.keyboard.press("Enter")
    await expect(page.locator("#people tbody tr")).to_have_count(1)
    await page.locator("#people tbody tr").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text("Ek Hemsire")
    await look(page, "02-kisi")

    await page.keyboard.press("g")
    await expect(page.locator("#join [name=grup]")).to_be_focused()
    await page.keyboard.type("Klin")
    await page.keyboard.press("Enter")
    await expect(page.locator("#tally")).to_contain_text("yetki eklenecek")
    await expect(page.locator("[name=neden]")).to_be_focused()
    await page.keyboard.press("Escape")
    await page.keyboard.press("y")
    await expect(page.locator("#give [name=yetki]")).to_be_focused()
    await page.select_option("#give [name=yetki]", "istem.gir")
    scopes = page.locator("#give-scope option:not([disabled])")
    assert {str(await one.get_attribute("value")).split(":")[0] for one in await scopes.all()} >= {
        "tum",
        "kendi",
        "klinik",
    }
    assert await page.locator("#give-scope option[value^=calisma_grubu]:not([disabled])").count() == 0
    await page.select_option("#give [name=yasak]", "1")
    await look(page, "03-yetki-yasakla")
    await page.locator("#give [name=ilk]").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".draft-steps li")).to_have_count(2)
    await look(page, "04-farklar")
    await page.keyboard.type("Poliklinikte görevlendirildi")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("#said")).to_contain_text("Kaydedildi")
    await expect(page.locator('#why [data-row="istem.gir"]')).to_contain_text("yasaklayan: kişiye özel")
    await look(page, "05-kaydedildi")

    await page.keyboard.press("/")
    await page.keyboard.type("tasima")
    await expect(page.locator("#why tr[data-row]:visible")).to_have_count(2)
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("d")
    await expect(page.locator(".trial-mark")).to_contain_text("DENEME")
    await look(page, "06-dene")
    await page.keyboard.press("Escape")
    await expect(page).to_have_url(f"{desk.address}/yetkiler/kisi/{nurse}")


async def test_groups_permissions_and_an_administrator_who_reads(desk: Desk, lab: Database) -> None:
    house = House(lab)
    for name in ("ayse", "fatma"):
        await house.person(name, Job.BILLING)
    billing, technician = await house.group(Job.BILLING), await house.group(Job.TECHNICIAN)
    page = await desk.sign_in("yonetici", "/yetkiler/grup")
    await look(page, "10-gruplar")
    await page.goto(f"{desk.address}/yetkiler/grup/{billing}")
    await page.keyboard.press("y")
    await page.select_option("#give [name=yetki]", "su.gor")
    await page.keyboard.press("Enter")
    await expect(page.locator("#tally")).to_contain_text("2 kişi: Ek Ayse, Ek Fatma")
    await look(page, "11-grup-farklar")

    await page.goto(f"{desk.address}/yetkiler/grup/{technician}")
    await page.keyboard.press("g")
    await page.select_option("#join [name=grup]", label="Laboratuvar sorumlusu")
    await page.keyboard.press("Enter")
    await expect(page.locator(".said.bad")).to_contain_text("gruplar birbirinin içine döner")
    await look(page, "12-dongu")

    await page.goto(f"{desk.address}/teknik-onay")
    await expect(page.locator("#place")).to_contain_text("verildiği yer")
    await look(page, "13-ret")
    await page.locator("#place a").last.click()
    await expect(page.locator("#give")).to_be_visible()
    await expect(page.locator("#give [name=yetki]")).to_have_value("sonuc.teknik_onay")
    await page.select_option("#give [name=yetki]", "sonuc.gor")
    await page.keyboard.press("Enter")
    await expect(page.locator(".draft")).to_contain_text("Yönetici sonuç okuyacak")
    await page.keyboard.type("Ekrandaki arıza incelenecek")
    await look(page, "14-yonetici-okur")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("#attention")).to_contain_text("onaylı sonuç görme: kişiye özel")
    await look(page, "15-yonetici-okuyor")
    await page.goto(f"{desk.address}/yetkiler/yetki/sonuc.gor")
    await look(page, "16-kimde-var")
    await page.goto(f"{desk.address}/yetkiler/yetki")
    await look(page, "17-yetkiler")
