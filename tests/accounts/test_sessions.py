"""Sessions: nobody can plant one, carry one away, keep one alive, or end another person's."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from lis_core.services import users
from tests.accounts.conftest import CHROME, FIREFOX, GOOD, OTHER, House
from tests.conftest import DEMO_PASSWORD


async def test_session_fixation_a_planted_cookie_is_never_taken_over(house: House) -> None:
    """An attacker puts a cookie of his choice, or one of his own sessions, into the victim's browser first."""
    attacker = await house.signed_in("hekim")
    for planted in ("a" * 43, attacker.session):
        victim = house.browser()
        victim.client.cookies.set("numune_oturum", planted, domain="numune.test", path="/")
        await victim.sign_in("teknisyen")
        assert victim.session not in ("", planted)
        theirs = house.browser()
        theirs.client.cookies.set("numune_oturum", planted, domain="numune.test", path="/")
        seen = await theirs.client.get("/api/v1/auth/me")
        assert seen.status_code == 401 or seen.json()["username"] == "hekim"


async def test_every_sign_in_and_every_new_password_brings_a_new_secret(house: House) -> None:
    browser = await house.signed_in("teknisyen")
    seen = {browser.session}
    await browser.get("/hesabim")
    await browser.post("/hesabim/parola", parola=DEMO_PASSWORD, yeni=GOOD, yineleme=GOOD)
    assert browser.session not in seen
    old = house.browser()
    old.client.cookies.set("numune_oturum", seen.pop(), domain="numune.test", path="/")
    assert (await old.client.get("/hesabim")).status_code == 303


async def test_a_stolen_cookie_in_another_browser_ends_the_session_and_is_in_the_audit(house: House) -> None:
    victim = await house.signed_in("teknisyen", agent=FIREFOX)
    assert (await victim.get("/hesabim")).status_code == 200  # it is in the cache of this process now
    thief = house.browser(agent=CHROME, address="10.66.6.6")
    thief.client.cookies.set("numune_oturum", victim.session, domain="numune.test", path="/")
    assert (await thief.client.get("/hesabim")).headers["location"].startswith("/giris")
    assert (await victim.client.get("/hesabim")).headers["location"].startswith("/giris")
    [(who, told)] = await house.audit("oturum_reddi")
    assert who == "teknisyen" and told["tarayici"] == "Chrome, Windows"


async def test_an_update_of_the_browser_ends_nothing(house: House) -> None:
    browser = await house.signed_in("teknisyen", agent=FIREFOX)
    browser.client.headers["user-agent"] = FIREFOX.replace("128.0", "129.0.1")
    assert (await browser.get("/hesabim")).status_code == 200


async def test_a_session_that_rests_too_long_has_ended(
    make: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "CACHE_SECONDS", 0.0)
    house = make(bosta_dakika=20)
    browser = await house.signed_in("teknisyen")
    await house.sql("update oturum set son_kullanim = now() - interval '19 minutes'")
    assert (await browser.client.get("/hesabim")).status_code == 200  # and this was a use
    [(left,)] = await house.sql("select now() - son_kullanim < interval '1 minute' from oturum")
    assert left
    # a page that renews itself is no use
    await house.sql("update oturum set son_kullanim = now() - interval '19 minutes'")
    assert (await browser.client.get("/bildirimler/sayi", headers={"x-idle": "1"})).status_code == 200
    [(left,)] = await house.sql("select now() - son_kullanim < interval '1 minute' from oturum")
    assert not left
    await house.sql("update oturum set son_kullanim = now() - interval '21 minutes'")
    assert (await browser.client.get("/hesabim")).status_code == 303


async def test_no_session_outlives_its_day_however_busy(make: Callable[..., House]) -> None:
    house = make(oturum_saat=3)
    await house.signed_in("teknisyen")
    [(length,)] = await house.sql("select extract(epoch from bitis_zamani - kayit_zamani) from oturum")
    assert 3 * 3600 - 5 <= length <= 3 * 3600 + 5


async def test_one_sees_and_ends_ones_own_sessions(house: House) -> None:
    here = await house.signed_in("teknisyen", agent=FIREFOX)
    there = await house.signed_in("teknisyen", agent=CHROME, address="10.0.0.77")
    third = await house.signed_in("teknisyen", agent=CHROME, address="10.0.0.78")
    await here.get("/hesabim")
    assert "Chrome, Windows" in here.page and "10.0.0.77" in here.page
    rows = dict(re.findall(r'data-session="(\d+)"><td>[^<]*(?:<b>[^<]*</b>)?</td><td>([^<]+)</td>', here.page))
    target = next(key for key, address in rows.items() if address == "10.0.0.77")
    await here.post(f"/hesabim/oturum/{target}/kapat")
    assert "Oturum kapatıldı" in here.page
    assert (await there.client.get("/hesabim")).status_code == 303
    assert (await third.client.get("/hesabim")).status_code == 200
    await here.post("/hesabim/oturumlar/kapat")
    assert (await third.client.get("/hesabim")).status_code == 303
    assert (await here.client.get("/hesabim")).status_code == 200
    assert len(await house.audit("oturum_sonlandirma")) == 2


async def test_nobody_ends_another_persons_session_by_its_number(house: House) -> None:
    victim = await house.signed_in("uzman")
    [(number,)] = await house.sql("select oturum_kodu from oturum")
    attacker = await house.signed_in("teknisyen", address="10.0.0.6")
    await attacker.get("/hesabim")
    assert (await attacker.send(f"/hesabim/oturum/{number}/kapat")).status_code == 404
    assert (await victim.client.get("/hesabim")).status_code == 200


async def test_an_administrator_ends_sessions_and_closes_accounts(house: House) -> None:
    user = await house.signed_in("teknisyen")
    token = (
        await user.client.post("/api/v1/auth/token", json={"username": "teknisyen", "password": DEMO_PASSWORD})
    ).json()["access_token"]
    assert (await house.api(token)).status_code == 200
    boss = await house.signed_in("yonetici", address="10.0.0.9")
    number = await house.user_id("teknisyen")
    await boss.get(f"/kisiler/{number}")
    await boss.post(f"/kisiler/{number}/oturumlar")
    assert (await user.client.get("/hesabim")).status_code == 303
    assert (await house.api(token)).status_code == 401
    await user.sign_in("teknisyen")
    await boss.post(f"/kisiler/{number}/durum")
    assert "Hesap kapatıldı" in boss.page
    assert (await user.client.get("/hesabim")).status_code == 303
    assert (await user.sign_in("teknisyen")).status_code == 401
    own = await house.user_id("yonetici")
    refused = await boss.send(f"/kisiler/{own}/durum")
    assert "kendi hesabınızı" in refused.text


async def test_cookies_are_out_of_reach(house: House) -> None:
    plain = house.browser()
    answer = await plain.send("/giris", kullanici="teknisyen", parola=DEMO_PASSWORD)
    for cookie in answer.headers.get_list("set-cookie"):
        low = cookie.lower()
        assert "httponly" in low and "samesite=lax" in low and "secure" not in low, cookie
    secure = house.browser(base="https://numune.test")
    answer = await secure.send("/giris", kullanici="teknisyen", parola=DEMO_PASSWORD)
    cookies = answer.headers.get_list("set-cookie")
    assert {cookie.split("=")[0] for cookie in cookies} == {"__Host-numune_oturum", "__Secure-numune_cihaz"}
    assert all("secure" in cookie.lower() for cookie in cookies)
    # behind a proxy that ends TLS, the configured address says it


async def test_behind_a_proxy_with_tls_the_cookie_is_secure(make: Callable[..., House]) -> None:
    browser = make(adres="https://numune.ornek.gov.tr").browser()
    answer = await browser.send("/giris", kullanici="teknisyen", parola=DEMO_PASSWORD)
    assert all("secure" in cookie.lower() for cookie in answer.headers.get_list("set-cookie"))


ELSEWHERE = (
    "https://kotu.test",
    "//kotu.test",
    "/\\kotu.test",
    "/\t/kotu.test",
    "\\\\kotu.test",
    "javascript:x",
    "/\r\nX: y",
    "/" + "a" * 600,
)


async def test_open_redirect_after_signing_in(house: House) -> None:
    browser = house.browser()
    for wanted in ELSEWHERE[:3]:
        answer = await browser.send("/giris", kullanici="teknisyen", parola=DEMO_PASSWORD, sonraki=wanted)
        assert answer.headers["location"] == "/teknik-onay", wanted
    for wanted in ELSEWHERE:
        step = await browser.client.get("/giris/adim", params={"sonraki": wanted})
        assert step.headers["location"] == "/teknik-onay", wanted


async def test_csrf_no_form_of_an_account_works_without_its_token(house: House) -> None:
    """Every POST address of the application: without the token, with another session's token, as another site sends it."""
    from fastapi.routing import iter_route_contexts

    browser = await house.signed_in("yonetici")
    other = await house.signed_in("teknisyen", address="10.0.0.6")
    await other.get("/hesabim")
    addresses = sorted(
        {
            re.sub(r"{[^}]+}", "1", route.path)
            for route in iter_route_contexts(house.app.routes)
            if isinstance(route.path, str) and "POST" in (getattr(route, "methods", None) or ())
        }
    )
    ours = [path for path in addresses if path.startswith(("/hesabim", "/kisiler", "/istemciler", "/giris/"))]
    assert len(ours) >= 28
    for path in ours:
        for token in ("", other.token):
            answer = await browser.client.post(path, data={"_form": token}, headers={"accept": "application/json"})
            assert (answer.status_code, answer.json()["code"]) == (403, "NUM-0010"), path
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "http://kotu.test"}):
        answer = await house.browser(**headers).send("/giris", kullanici="teknisyen", parola=DEMO_PASSWORD)
        assert answer.status_code == 403


async def test_a_bearer_token_manages_no_account(house: House) -> None:
    """A token that leaked from a program cannot change a password or add a key."""
    browser = house.browser(agent="program")
    got = await browser.client.post("/api/v1/auth/token", json={"username": "teknisyen", "password": DEMO_PASSWORD})
    browser.client.headers["authorization"] = f"Bearer {got.json()['access_token']}"
    for path in ("/hesabim/parola", "/hesabim/uygulama", "/hesabim/kodlar", "/hesabim/oturumlar/kapat"):
        answer = await browser.client.post(path, data={"parola": DEMO_PASSWORD, "yeni": OTHER, "yineleme": OTHER})
        assert answer.status_code == 303 and answer.headers["location"].startswith("/giris"), path
