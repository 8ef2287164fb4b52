"""Small things of the web that keep a session, a password and a page where they belong (OWASP ASVS 5.0, level 2)."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import httpx

from api.access import Who, doors_of
from tests.accounts.conftest import OTHER, Browser, House, Telephone, enrols
from tests.conftest import DEMO_PASSWORD

TLS = "https://numune.test"


def cookies_of(answer: httpx.Response) -> dict[str, str]:
    """Name -> the rest, in small letters."""
    return {one.partition("=")[0]: one.lower() for one in answer.headers.get_list("set-cookie")}


async def test_over_tls_a_cookie_can_be_set_by_this_host_alone(house: House) -> None:
    """`__Host-`: with TLS, for the whole host, from nobody else. A planted cookie without it opens nothing."""
    browser = house.browser(base=TLS)
    answer = await browser.send("/giris", kullanici="teknisyen", parola=DEMO_PASSWORD)
    cookies = cookies_of(answer)
    assert set(cookies) == {"__Host-numune_oturum", "__Secure-numune_cihaz"}
    for words in cookies.values():
        assert "secure" in words and "httponly" in words and "samesite=lax" in words and "domain" not in words
    assert "path=/;" in cookies["__Host-numune_oturum"] + ";"
    assert (await browser.get("/hesabim")).status_code == 200
    secret = browser.client.cookies["__Host-numune_oturum"]
    planted = house.browser(base=TLS)
    planted.client.cookies.set("numune_oturum", secret, domain="numune.test", path="/")
    assert (await planted.client.get("/hesabim")).status_code == 303


async def test_signing_out_leaves_nothing_in_the_browser(house: House) -> None:
    browser = house.browser(base=TLS)
    await browser.sign_in("teknisyen")
    secret = browser.client.cookies["__Host-numune_oturum"]
    answer = await browser.send("/cikis")
    gone = cookies_of(answer)["__Host-numune_oturum"]
    assert "max-age=0" in gone and "secure" in gone and "path=/" in gone
    assert answer.headers["clear-site-data"] == '"cache", "storage"'
    browser.client.cookies.set("__Host-numune_oturum", secret, domain="numune.test", path="/")
    assert (await browser.client.get("/hesabim")).status_code == 303


async def test_a_browser_that_came_by_tls_comes_by_tls_for_a_year(house: House) -> None:
    over_tls = await house.browser(base=TLS).client.get("/giris")
    assert over_tls.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
    assert "strict-transport-security" not in (await house.browser().client.get("/giris")).headers


async def test_methods_that_nobody_needs_are_not_there_and_no_other_site_may_read(house: House) -> None:
    client = house.browser().client
    for method in ("TRACE", "TRACK", "CONNECT", "DEBUG"):
        answer = await client.request(method, "/giris", headers={"x-gizli": "degis-tokus"})
        assert answer.status_code in (404, 405) and "degis-tokus" not in answer.text
    asking = {"origin": "https://kotu.test", "access-control-request-method": "GET"}
    for path in ("/giris", "/api/v1/results"):
        answer = await client.options(path, headers=asking)
        assert not [name for name in answer.headers if name.startswith("access-control-")]


class Inputs(HTMLParser):
    """The input fields of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "input":
            self.found.append({name: value or "" for name, value in attrs})


PASSWORDS = {"parola": "current-password", "yeni": "new-password", "yineleme": "new-password"}


def password_fields(page: str) -> list[dict[str, str]]:
    reader = Inputs()
    reader.feed(page)
    return [field for field in reader.found if field.get("name") in PASSWORDS]


async def test_password_fields_are_masked_and_made_for_password_managers(house: House) -> None:
    signing_in = (await house.browser().client.get("/giris")).text
    account: Browser = await house.signed_in("teknisyen")
    await account.get("/hesabim")
    fields = [*password_fields(signing_in), *password_fields(account.page)]
    assert len(fields) >= 4
    for field in fields:
        assert field["type"] == "password" and field["autocomplete"] == PASSWORDS[field["name"]]
        assert int(field.get("maxlength", "200")) >= 64 and not [name for name in field if name.startswith("on")]


def test_no_script_of_ours_minds_what_is_pasted_into_a_password() -> None:
    for file in (Path(__file__).parents[2] / "api" / "web" / "src").glob("*.ts"):
        assert not re.search(r"""["']paste["']|onpaste""", file.read_text(encoding="utf-8")), file.name


async def test_a_password_is_checked_exactly_as_it_was_typed(house: House) -> None:
    """Long, with blanks at its ends and letters of any alphabet: nothing is cut, folded or trimmed."""
    password = f"  {OTHER} ıİşŞ 北京 🧪 {'x9 ' * 20} "
    assert len(password) > 64
    browser = await house.signed_in("teknisyen")
    await browser.get("/hesabim")
    await browser.post("/hesabim/parola", parola=DEMO_PASSWORD, yeni=password, yineleme=password)
    for wrong in (password.strip(), password[:72], password.lower(), password + " "):
        assert (await house.browser().sign_in("teknisyen", wrong)).status_code == 401
    assert (await house.browser().sign_in("teknisyen", password)).status_code == 200


async def test_every_open_page_says_its_kind_its_letters_and_keeps_out_of_frames(house: House) -> None:
    """Every address that answers without signing in, from the application itself."""
    paths = {
        door.path
        for door in doors_of(house.app)
        if door.method == "GET" and "{" not in door.path and any(one.who is Who.EVERYBODY for one in door.access)
    }
    assert {"/giris", "/healthz", "/api/openapi.json"} <= paths
    for path in sorted(paths - {"/static"}):
        answer = await house.browser().client.get(path)
        kind = answer.headers.get("content-type", "")
        assert not answer.content or kind.startswith("application/json") or "charset=utf-8" in kind, (path, kind)
        policy = answer.headers["content-security-policy"]
        for directive in ("default-src '", "base-uri 'none'", "frame-ancestors '"):
            assert directive in policy and "unsafe" not in policy, (path, policy)
        assert "object-src 'none'" in policy or "default-src 'none'" in policy, (path, policy)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] in ("same-origin", "no-referrer")
        assert "access-control-allow-origin" not in answer.headers


async def test_a_forwarded_address_counts_only_from_our_own_proxy(make: Callable[..., House]) -> None:
    """Whoever writes X-Forwarded-For himself stays who he is, in the audit and for the throttle."""
    house = make()
    browser = house.browser(address="203.0.113.9", **{"x-forwarded-for": "10.0.0.1", "x-real-ip": "10.0.0.1"})
    await browser.sign_in("teknisyen", "yanlış parola")
    rows = await house.sql("select adres from denetim where islem like 'giris%' order by zaman desc limit 1")
    assert rows == [("203.0.113.9",)]


async def test_a_password_from_the_administrator_does_not_take_the_second_factor_away(
    house: House, telephone: Callable[[str], Telephone]
) -> None:
    """Whoever talks the administrator into a new password still needs the telephone."""
    user = await house.signed_in("teknisyen")
    await enrols(user, telephone)
    boss = await house.signed_in("yonetici", address="10.0.0.9")
    number = await house.user_id("teknisyen")
    await boss.get(f"/kisiler/{number}")
    await boss.post(f"/kisiler/{number}/parola")
    password = boss.found(r"data-password>([^<]+)<")
    thief = house.browser(address="10.0.0.66")
    await thief.sign_in("teknisyen", password)
    assert thief.at == "/giris/adim" and 'name="kod"' in thief.page
    assert (await thief.client.get("/teknik-onay")).status_code == 303
