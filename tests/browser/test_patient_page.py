"""From reception's slip to the patient's telephone, and the chief who decides what is shown there."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, ViewportSize, expect

from api.app import create_app
from lis_core.domain.permission_templates import Job
from lis_core.services.passwords import hash_password
from lis_core.services.permissions import Subject, add_member
from lis_core.settings import Settings
from lis_core.storage.database import Database
from lis_core.storage.tables import User
from tests.api.conftest import Clinic, person
from tests.conftest import DEMO_PASSWORD
from tests.patients.conftest import code_on
from tests.permissions.conftest import House
from tests.screens.conftest import Desk, assets, browser, desk

__all__ = ["assets", "browser", "desk"]

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("assets")]

PICTURES = Path(__file__).parents[1] / "screenshots"
TELEPHONE = ViewportSize(width=390, height=844)
SCREEN = ViewportSize(width=1366, height=768)


@pytest.fixture
async def clinic(lab: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Clinic]:
    monkeypatch.setenv("NUMUNE_SECRET_KEY", base64.b64encode(b"k" * 32).decode())
    made = Clinic(create_app(lab, Settings()), lab)
    yield made
    await made.close()


async def chief(clinic: Clinic) -> None:
    house = House(clinic.database)
    async with clinic.database.work(await house.actor("yonetici")) as work:
        row = User(
            username="sorumlu",
            given_name="Nil",
            family_name="Sorumlu",
            password_hash=await hash_password(DEMO_PASSWORD),
        )
        work.session.add(row)
        await work.session.flush()
        await add_member(work, await house.group(Job.CHIEF), Subject(user_id=row.id))


async def fits(page: Page, name: str) -> None:
    """Nothing sticks out to the side, on a telephone nor on a PC; a picture of each."""
    PICTURES.mkdir(exist_ok=True)
    for size in (TELEPHONE, SCREEN):
        await page.set_viewport_size(size)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (name, size)
        await page.screenshot(path=PICTURES / f"hasta-{name}-{size['width']}.png", full_page=True)
    await page.set_viewport_size(TELEPHONE)


async def knock(page: Page, number: str, identity: str, code: str) -> None:
    await page.fill("[name=numara]", number)
    await page.fill("[name=kimlik]", identity)
    await page.fill("[name=kod]", code)
    await page.click("button[type=submit]")


@pytest.mark.clause("9.8.8a")
async def test_from_the_slip_to_the_telephone(desk: Desk, clinic: Clinic) -> None:
    who = person(given_name="Şükran", family_name="Iğdır")
    placed = await clinic.place("GLU", "TSH", "CBC", "ANTIHIV", "UREA", patient=who)
    await clinic.receive(placed)
    number = placed["number"]
    await clinic.measure(number, GLU="137", TSH="2.13", HGB="11.2", ANTIHIV="Pozitif")
    await clinic.release(number, "GLU", "TSH", "HGB", "ANTIHIV")

    reception = await desk.sign_in("kabul", f"/istem/{number}")
    await reception.keyboard.press("h")
    await expect(reception.locator("h1")).to_contain_text("hasta belgesi")
    await reception.screenshot(path=PICTURES / "hasta-belge-ekrani.png")
    token = await reception.get_attribute("meta[name=form-token]", "content")
    slip = await reception.context.request.post(f"{desk.address}/istem/{number}/belge", form={"_form": token or ""})
    code = code_on(await slip.body())
    await reception.reload()
    await expect(reception.locator("#slip")).to_contain_text("henüz açılmadı")

    context = await desk.browser.new_context(viewport=TELEPHONE, locale="tr-TR", is_mobile=True, has_touch=True)
    desk.contexts.append(context)
    phone = await context.new_page()
    phone.on("console", lambda said: desk.trouble.append(said.text) if "Security Policy" in said.text else None)
    await phone.goto(f"{desk.address}/sonuc")
    await fits(phone, "giris")
    await knock(phone, number, who["tc"], "ABCDE-FGHJK")
    await expect(phone.locator("[role=alert]")).to_contain_text("Bilgiler eşleşmedi")
    await fits(phone, "eslesmedi")
    await knock(phone, number, who["tc"], code.lower())
    await expect(phone.locator("h1")).to_have_text("Şükran I.")
    assert phone.url == f"{desk.address}/sonuc/istem"
    rows = {await row.locator(".test").inner_text(): await row.inner_text() for row in await phone.locator("li").all()}
    assert re.search(r"137\s*mg/dL\s*yüksek", rows["Glukoz"])
    assert "hazırlanıyor" in rows["Üre"]
    assert "internetten gösterilmez" in rows["Anti-HIV 1/2"] and "Pozitif" not in rows["Anti-HIV 1/2"]
    await fits(phone, "sonuclar")
    pdf = await context.request.get(f"{desk.address}/sonuc/rapor.pdf")
    assert (await pdf.body()).startswith(b"%PDF")
    await phone.click("text=Çıkış")
    await expect(phone.locator("[name=kod]")).to_have_value("")
    await phone.goto(f"{desk.address}/sonuc/istem")
    await expect(phone.locator("[name=kod]")).to_be_visible()

    await reception.reload()
    await expect(reception.locator("#slip")).to_contain_text("1 kez açıldı")
    await expect(reception.locator("#slip [name=neden]")).to_be_visible()

    await chief(clinic)
    office = await desk.sign_in("sorumlu", "/gizlilik")
    await office.click("text=Hasta sayfası ve gizli tetkikler")
    await expect(office.locator("#rules table")).to_contain_text("HBSAG")
    await office.fill("#rules [name=tetkik]", "TSH")
    await office.fill("#rules [name=neden]", "kurul kararı 12")
    await office.click("#rules button.main")
    await expect(office.locator("#rules table")).to_contain_text("TSH")
    assert await office.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await office.screenshot(path=PICTURES / "hasta-kurallar.png", full_page=True)
    await knock(phone, number, who["tc"], code)
    withheld = phone.locator("li", has_text="Tiroid uyarıcı hormon")
    await expect(withheld).to_contain_text("internetten gösterilmez")
    assert "2.13" not in await phone.content()
