"""At the screen: a record that is not his, the reason, the notice, the review; a name that becomes a number."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import expect

from api.app import create_app
from lis_core.settings import Settings
from lis_core.storage.database import Database
from tests.api.conftest import Clinic, person
from tests.screens.conftest import Desk, assets, browser, desk

__all__ = ["assets", "browser", "desk"]

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("assets")]

REASON = "Bilinci kapalı, 112 ile acil servise geldi"


@pytest.fixture
async def clinic(lab: Database) -> AsyncIterator[Clinic]:
    made = Clinic(create_app(lab, Settings()), lab)
    yield made
    await made.close()


async def test_breaking_the_glass_from_refusal_to_review(desk: Desk, clinic: Clinic) -> None:
    """Refused; asks with a reason; sees under a clear notice; the responsible person closes it."""
    placed = await clinic.place("GLU", by="ailehekimi", patient=person(given_name="Sevgi", family_name="Başkasının"))
    await clinic.receive(placed)
    await clinic.measure(placed["specimens"][0]["barcode"], GLU="93")
    await clinic.release(placed["number"], "GLU")
    number = placed["number"]

    physician = await desk.sign_in("hekim")
    await physician.goto(f"{desk.address}/istem/{number}")
    await expect(physician.locator("[role=alert]")).to_contain_text("yetkiniz yok")
    assert "Başkasının" not in await physician.content()
    await physician.click("#emergency")
    await expect(physician.locator(".emergency")).to_contain_text("kaydedilir")
    await physician.fill("[name=gerekce]", REASON)
    await physician.click("#emergency-form button[type=submit]")
    await expect(physician.locator(".person .name")).to_contain_text("Başkasının")
    await expect(physician.locator(".emergency")).to_contain_text("sorumlu kişi inceleyecek")
    await expect(physician.locator("#order")).to_contain_text("93")
    box = await physician.locator(".emergency").bounding_box()
    assert box is not None and box["width"] > 600 and box["height"] > 30

    chief = await desk.sign_in("yonetici", "/gizlilik")
    await expect(chief.locator("#to-review")).to_contain_text(REASON)
    await chief.fill("#to-review [name=aciklama]", "acil servis kaydı ile uyuşuyor")
    await chief.click("#to-review button[value=uygun]")
    await expect(chief.locator("#to-review")).to_contain_text("bekleyen acil erişim yok")

    await chief.goto(f"{desk.address}/denetim")
    await chief.fill("#who-saw [name=hasta]", number)
    await chief.click("#who-saw button[type=submit]")
    await expect(chief.locator("#deeds")).to_contain_text("hekim")
    assert "93" not in await chief.locator("#deeds").inner_text()


async def test_a_name_becomes_a_number_in_the_lists(desk: Desk, clinic: Clinic) -> None:
    placed = await clinic.place("GLU", by="hekim", patient=person(given_name="Tanınmış", family_name="Oyuncu"))
    chief = await desk.sign_in("yonetici", "/gizlilik")
    await chief.fill("#hidden [name=hasta]", placed["number"])
    await chief.select_option("#hidden [name=tur]", "taninmis")
    await chief.fill("#hidden [name=neden]", "basın ilgisi")
    await chief.click("#hidden form button.main")
    shown = await chief.locator("#hidden td.number").inner_text()

    reception = await desk.sign_in("kabul", "/istemler")
    await expect(reception.locator("#found-orders")).to_contain_text(shown)
    assert "Oyuncu" not in await reception.content()
