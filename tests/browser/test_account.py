"""One's own account in a real browser: the telephone's camera, a security key, other windows of the same person."""

from __future__ import annotations

import base64
import io
import time
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
import zxingcpp
from PIL import Image
from playwright.async_api import Page, expect

from lis_core.services.secret_box import ENVIRONMENT
from tests.browser.people import PICTURES
from tests.conftest import DEMO_PASSWORD
from tests.screens.conftest import Desk, desk

__all__ = ["desk"]
pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The installation's key for sealed secrets, so that none is written into the folder of the tests."""
    monkeypatch.setenv(ENVIRONMENT, base64.b64encode(b"k" * 32).decode())


async def picture(page: Page, name: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    await page.screenshot(path=PICTURES / f"account-{name}.png", animations="disabled", full_page=True)


async def photographed(page: Page) -> pyotp.TOTP:
    """What the telephone's camera reads from the screen."""
    shot = Image.open(io.BytesIO(await page.locator(".qr").screenshot()))
    [code] = zxingcpp.read_barcodes(shot)
    address = urlsplit(code.text)
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    return pyotp.TOTP(parse_qs(address.query)["secret"][0])


async def signs_in(page: Page, desk: Desk, username: str) -> None:
    await page.goto(f"{desk.address}/giris")
    await page.fill("[name=kullanici]", username)
    await page.fill("[name=parola]", DEMO_PASSWORD)
    await page.keyboard.press("Enter")


async def test_second_factor_with_a_telephone_and_other_sessions(desk: Desk) -> None:
    page = await desk.sign_in("teknisyen")
    await page.click("a.who")
    await expect(page.locator("h1")).to_have_text("Hesabım")
    await page.locator("#ikinci-asama").get_by_role("button", name="Kur").click()
    phone = await photographed(page)
    await picture(page, "1-uygulama")
    await expect(page.locator(".enrol [name=kod]")).to_be_focused()
    await page.keyboard.type(phone.at(int(time.time())))
    await page.keyboard.press("Enter")
    await expect(page.locator(".codes code")).to_have_count(10)
    recovery = await page.locator(".codes code").first.inner_text()
    await picture(page, "2-kurtarma-kodlari")

    await page.get_by_role("button", name="Çıkış").click()
    await signs_in(page, desk, "teknisyen")
    await expect(page.locator("h1")).to_have_text("İkinci aşama")
    await picture(page, "3-ikinci-asama")
    await expect(page.locator("[name=kod]")).to_be_focused()
    await page.keyboard.type("000000")
    await page.keyboard.press("Enter")
    await expect(page.locator(".said.bad")).to_contain_text("Kod hatalı")
    await page.locator("[name=kod]").fill(phone.at(int(time.time()) + 30))
    await page.keyboard.press("Enter")
    await page.wait_for_selector("html[data-ready] body.framed")

    context = await desk.browser.new_context(locale="tr-TR")
    desk.contexts.append(context)
    other = await context.new_page()
    await signs_in(other, desk, "teknisyen")
    await other.locator("[name=kod]").fill(recovery)
    await other.keyboard.press("Enter")
    await other.wait_for_selector("body.framed")

    await page.click("a.who")
    await expect(page.locator("#oturumlar tbody tr")).to_have_count(2)
    await picture(page, "4-oturumlar")
    await page.get_by_role("button", name="Bunu kapat").click()
    await expect(page.locator("#said")).to_contain_text("Oturum kapatıldı")
    await expect(page.locator("#oturumlar tbody tr")).to_have_count(1)
    await other.goto(f"{desk.address}/hesabim")
    await expect(other.locator("h1")).to_have_text("Laboratuvar girişi")


async def test_a_security_key(desk: Desk) -> None:
    desk.address = desk.address.replace("127.0.0.1", "localhost")  # a key is tied to a name, never to a number
    page = await desk.sign_in("uzman", "/hesabim")
    wire = await page.context.new_cdp_session(page)
    await wire.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "usb", "hasResidentKey": False, "hasUserVerification": False}
    key = await wire.send("WebAuthn.addVirtualAuthenticator", {"options": {**options, "isUserVerified": False}})
    await page.fill("#anahtarlar [name=ad]", "mavi anahtar")
    await page.get_by_role("button", name="Anahtar ekle").click()
    await expect(page.locator(".codes code")).to_have_count(10)
    await expect(page.locator("#anahtarlar")).to_contain_text("mavi anahtar")
    await page.locator("#anahtarlar [name=ad]").fill("aynı anahtar")
    await page.get_by_role("button", name="Anahtar ekle").click()
    await expect(page.locator("[data-key-problem]")).to_contain_text("daha önce eklenmiş")

    await page.get_by_role("button", name="Çıkış").click()
    await signs_in(page, desk, "uzman")
    await page.get_by_role("button", name="Güvenlik anahtarı ile doğrula").click()
    await page.wait_for_selector("html[data-ready] body.framed")
    await page.goto(f"{desk.address}/hesabim")
    await expect(page.locator("#oturumlar")).to_contain_text("parola+anahtar")

    await wire.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": key["authenticatorId"]})
    await wire.send(
        "WebAuthn.addVirtualAuthenticator", {"options": {**options, "isUserVerified": False}}
    )  # another key
    await page.get_by_role("button", name="Çıkış").click()
    await signs_in(page, desk, "uzman")
    await page.get_by_role("button", name="Güvenlik anahtarı ile doğrula").click()
    await expect(page.locator("[data-key-problem]")).to_contain_text("Anahtar kullanılmadı")
    await expect(page.locator("h1")).to_have_text("İkinci aşama")
