"""Security keys: tied to our address, to one question and to one user."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.accounts.authenticator import Authenticator, unb64
from tests.accounts.conftest import BASE, Browser, House


async def asked(browser: Browser, path: str) -> dict[str, Any]:
    """The question of a form with a security key."""
    answer = await browser.client.post(path, data={"_form": browser.token}, headers={"accept": "application/json"})
    assert answer.status_code == 200, answer.text
    question: dict[str, Any] = answer.json()
    return question


async def with_key(house: House, username: str = "teknisyen") -> tuple[Browser, Authenticator]:
    browser = await house.signed_in(username)
    await browser.get("/hesabim")
    key = Authenticator(BASE)
    question = await asked(browser, "/hesabim/anahtar/soru")
    await browser.post("/hesabim/anahtar", ad="mavi anahtar", cevap=key.create(question))
    assert "Kurtarma kodları" in browser.page, browser.page[:1500]
    await browser.get("/hesabim")
    assert "mavi anahtar" in browser.page
    return browser, key


async def half(house: House, username: str = "teknisyen", **how: Any) -> Browser:
    browser = house.browser(**how)
    await browser.sign_in(username)
    assert browser.at == "/giris/adim" and "Güvenlik anahtarı ile doğrula" in browser.page
    return browser


async def test_a_key_is_added_and_then_opens(house: House) -> None:
    _, key = await with_key(house)
    browser = await half(house)
    before = browser.session
    question = await asked(browser, "/giris/adim/anahtar/soru")
    assert unb64(question["allowCredentials"][0]["id"]) == key.credential
    await browser.post("/giris/adim/anahtar", cevap=key.get(question))
    assert browser.at == "/teknik-onay" and browser.session != before
    assert {"yontem": "parola+anahtar"}.items() <= (await house.audit("giris"))[-1][1].items()


async def test_phishing_a_signature_made_for_another_site_is_refused(house: House) -> None:
    _, key = await with_key(house)
    browser = await half(house)
    for origin in ("http://numune.test.kotu.test", "https://numune.test", "http://numune.test:8080"):
        key.origin = origin
        question = await asked(browser, "/giris/adim/anahtar/soru")
        assert "NUM-0026" in (await browser.send("/giris/adim/anahtar", cevap=key.get(question))).text, origin
    assert (await browser.client.get("/teknik-onay")).status_code == 303


async def test_a_replayed_signature_is_refused(house: House) -> None:
    _, key = await with_key(house)
    first, second = await half(house), await half(house)
    question = await asked(first, "/giris/adim/anahtar/soru")
    signed = key.get(question)
    await first.post("/giris/adim/anahtar", cevap=signed)
    assert first.at == "/teknik-onay"
    assert "NUM-0026" in (await second.send("/giris/adim/anahtar", cevap=signed)).text


async def test_a_copied_key_is_noticed(house: House) -> None:
    """The counter of a copy does not go on from the original's."""
    _, key = await with_key(house)
    key.counter = 10
    browser = await half(house)
    await browser.post("/giris/adim/anahtar", cevap=key.get(await asked(browser, "/giris/adim/anahtar/soru")))
    assert browser.at == "/teknik-onay"
    key.counter = 3
    other = await half(house)
    answer = await other.send("/giris/adim/anahtar", cevap=key.get(await asked(other, "/giris/adim/anahtar/soru")))
    assert "NUM-0026" in answer.text


async def test_ones_own_key_does_not_open_anothers_account(house: House) -> None:
    _, mine = await with_key(house, "hekim")
    await with_key(house, "teknisyen")
    victim = await half(house, "teknisyen")
    question = await asked(victim, "/giris/adim/anahtar/soru")
    assert "NUM-0026" in (await victim.send("/giris/adim/anahtar", cevap=mine.get(question))).text
    # nor does a question that was put to oneself
    attacker = await half(house, "hekim")
    own = await asked(attacker, "/giris/adim/anahtar/soru")
    assert "NUM-0026" in (await victim.send("/giris/adim/anahtar", cevap=mine.get(own))).text


async def test_rubbish_is_refused_in_words(house: House) -> None:
    _, key = await with_key(house)
    for rubbish in ("", "{}", "[]", "null", '{"response": {}}', json.dumps({"response": {"clientDataJSON": "%%%"}})):
        browser = await half(house)
        await house.sql("delete from basarisiz_giris")
        answer = await browser.send("/giris/adim/anahtar", cevap=rubbish)
        assert answer.status_code == 422 and "NUM-0026" in answer.text, rubbish
    cut = json.loads(key.get(await asked(browser, "/giris/adim/anahtar/soru")))
    cut["response"]["authenticatorData"] = "AAAA"
    assert "NUM-0026" in (await browser.send("/giris/adim/anahtar", cevap=json.dumps(cut))).text


async def test_a_required_factor_may_be_a_key(make: Callable[..., House]) -> None:
    house = make(ikinci_asama=["TEKNISYEN"])
    browser = house.browser()
    await browser.sign_in("teknisyen")
    key = Authenticator(BASE)
    await browser.post(
        "/giris/adim/yeni-anahtar", cevap=key.create(await asked(browser, "/giris/adim/yeni-anahtar/soru"))
    )
    assert "Kurtarma kodları" in browser.page
    await browser.get("/giris/adim")
    assert browser.at == "/teknik-onay"
    assert (await house.signed_in("hekim")).at == "/istem"  # his group needs none
