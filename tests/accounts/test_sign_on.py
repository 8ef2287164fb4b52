"""Single sign-on over real HTTP: with an independent provider, and with one that lies in every way it can."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from lis_core.services.sign_on import providers_of
from tests.accounts.conftest import Browser, House
from tests.accounts.provider import CLIENT, SECRET, Provider, running
from tests.conftest import DEMO_PASSWORD

Make = Callable[..., House]


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running() as provider:
        yield provider


@pytest.fixture
def house(make: Make, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setenv("NUMUNE_DENEME_GIZLI", SECRET)
    return make(tek_giris=[entry(provider.issuer)])


def entry(issuer: str, **more: Any) -> dict[str, Any]:
    return {
        "anahtar": "il",
        "ad": "İl Sağlık",
        "saglayici": issuer,
        "istemci": CLIENT,
        "gizli_ortam": "NUMUNE_DENEME_GIZLI",
        **more,
    }


async def consent(address: str) -> str:
    """The person agrees at the provider; where his browser is sent back to."""
    async with httpx.AsyncClient() as elsewhere:
        return (await elsewhere.get(address)).headers["location"]


async def round_trip(browser: Browser, start: str = "/giris/tek/il") -> httpx.Response:
    """To the provider and back, as a browser goes."""
    answer = await browser.client.get(start)
    assert answer.status_code == 303, answer.text
    return await browser.get(await consent(answer.headers["location"]))


async def linked(house: House, username: str = "teknisyen") -> Browser:
    """This user has tied the provider's identity to his account."""
    browser = await house.signed_in(username)
    await round_trip(browser, "/hesabim/tek-giris/il")
    assert "Bu kimlik hesabınıza bağlansın mı?" in browser.page, browser.trail
    await browser.post("/hesabim/tek-giris", karar="bagla", parola="")
    assert "Kimlik hesabınıza bağlandı" in browser.page
    return browser


async def test_an_identity_is_tied_by_its_owner_and_then_signs_in(house: House) -> None:
    await linked(house)
    browser = house.browser()
    await browser.get("/giris?sonraki=/hesabim")
    assert "İl Sağlık ile giriş" in browser.page
    await round_trip(browser, "/giris/tek/il?sonraki=/hesabim")
    assert browser.at == "/hesabim" and "tek giriş" in browser.page
    assert ("teknisyen", "tek giriş") in [(who, told.get("yontem")) for who, told in await house.audit("giris")]


async def test_the_same_e_mail_address_is_no_proof(house: House) -> None:
    """The provider says `teknisyen@...`; nobody has said that this subject is the technician."""
    browser = house.browser()
    await round_trip(browser)
    assert browser.at == "/giris" and "NUM-0028" in browser.page
    assert browser.session == ""


async def test_tying_needs_the_form_and_the_password_of_the_account(house: House) -> None:
    browser = await house.signed_in("teknisyen")
    await house.sql("update oturum set dogrulama_zamani = now() - interval '1 hour'")
    from lis_core.services import users

    users.forget(house.database)
    await round_trip(browser, "/hesabim/tek-giris/il")
    assert "NUM-0025" in (await browser.send("/hesabim/tek-giris", karar="bagla", parola="")).text
    assert await house.sql("select 1 from dis_kimlik") == []
    assert (await browser.client.post("/hesabim/tek-giris", data={"karar": "bagla"})).status_code == 403
    await browser.post("/hesabim/tek-giris", karar="bagla", parola=DEMO_PASSWORD)
    assert len(await house.sql("select 1 from dis_kimlik")) == 1


async def test_one_identity_is_one_user(house: House) -> None:
    await linked(house)
    other = await house.signed_in("uzman")
    await round_trip(other, "/hesabim/tek-giris/il")
    assert "NUM-0029" in (await other.send("/hesabim/tek-giris", karar="bagla", parola="")).text


async def test_a_link_begun_by_one_user_is_not_finished_in_anothers_session(house: House) -> None:
    """An attacker sends his own half-finished link; the victim's browser must not take it."""
    attacker = await house.signed_in("hekim")
    begun = await attacker.client.get("/hesabim/tek-giris/il")
    victim = await house.signed_in("uzman")
    place = await consent(begun.headers["location"])
    await victim.get(place)
    assert await house.sql("select 1 from bekleyen_dogrulama where tur = 'bagla'") == []


async def test_state_of_another_browser_is_refused(house: House) -> None:
    """Login CSRF: the attacker's answer in the victim's browser would sign the victim in as the attacker."""
    await linked(house)
    attacker, victim = house.browser(), house.browser(address="10.0.0.9")
    begun = await attacker.client.get("/giris/tek/il")
    place = await consent(begun.headers["location"])
    await victim.get(place)
    assert victim.session == "" and victim.at == "/giris"
    begun = await victim.client.get("/giris/tek/il")  # even when the victim has begun himself
    await victim.get(place)
    assert victim.session == ""


async def test_an_answer_is_good_once(house: House) -> None:
    await linked(house)
    browser = house.browser()
    begun = await browser.client.get("/giris/tek/il")
    cookie = browser.client.cookies.get("numune_tek_giris")
    place = await consent(begun.headers["location"])
    await browser.get(place)
    assert browser.session
    replay = house.browser()
    replay.client.cookies.set("numune_tek_giris", cookie or "", domain="numune.test", path="/giris/tek/il")
    await replay.get(place)
    assert replay.session == ""


TAMPERED: list[dict[str, str]] = [
    {"state": "x" * 43},
    {"state": ""},
    {"code": "falsch"},
    {"code": ""},
    {"iss": "https://kotu.test"},
    {"error": "access_denied"},
]


async def test_a_tampered_answer_is_refused(house: House) -> None:
    await linked(house)
    for changed in TAMPERED:
        browser = house.browser()
        begun = await browser.client.get("/giris/tek/il")
        place = urlsplit(await consent(begun.headers["location"]))
        query = {name: values[0] for name, values in parse_qs(place.query).items()} | changed
        answer = await browser.client.get(place.path, params=query)
        assert answer.headers["location"] == "/giris?sorun=NUM-0027", changed
        assert browser.session == "", changed


NOW = int(time.time())


LIES: list[dict[str, Any]] = [
    {"iss": "https://kotu.test"},
    {"aud": "baska-program"},
    {"aud": [CLIENT, "baska-program"]},
    {"azp": "baska-program"},
    {"nonce": "dunku-nonce"},
    {"nonce": None},
    {"exp": NOW - 600},
    {"exp": None},
    {"iat": None},
    {"iat": NOW + 3600},
    {"sub": None},
    {"sub": ""},
    {"sub": 42},
    {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
]
FORGERIES = ("foreign_key", "no_signature", "public_key_as_secret", "changed_after_signing")


async def test_an_id_token_that_is_not_for_this_sign_in_is_refused(house: House, provider: Provider) -> None:
    await linked(house)
    for lie in LIES:
        provider.lies = lie
        browser = house.browser()
        await round_trip(browser)
        assert browser.session == "" and "NUM-0027" in browser.page, lie
    provider.lies = {}
    await round_trip(browser)
    assert browser.session  # the same, honest


async def test_a_forged_id_token_is_refused(house: House, provider: Provider) -> None:
    await linked(house)
    for how in FORGERIES:
        provider.token = getattr(provider, how)
        browser = house.browser()
        await round_trip(browser)
        assert browser.session == "" and "NUM-0027" in browser.page, how


async def test_a_provider_that_changes_its_keys_is_followed(house: House, provider: Provider) -> None:
    from joserfc import jwt
    from joserfc.jwk import RSAKey

    await linked(house)
    fresh = RSAKey.generate_key(2048, {"kid": "iki", "use": "sig"})
    provider.published = [fresh]
    provider.token = lambda claims: jwt.encode({"alg": "RS256", "kid": "iki"}, claims, fresh)
    browser = house.browser()
    await round_trip(browser)
    assert browser.at == "/teknik-onay"


async def test_a_code_without_its_verifier_is_worth_nothing(house: House, provider: Provider) -> None:
    """Somebody else got the code on its way back: PKCE ties it to the browser's own question."""
    await linked(house)
    browser, thief = house.browser(), house.browser()
    stolen = parse_qs(urlsplit(await consent((await browser.client.get("/giris/tek/il")).headers["location"])).query)[
        "code"
    ][0]
    own = urlsplit(await consent((await thief.client.get("/giris/tek/il")).headers["location"]))
    state = parse_qs(own.query)["state"][0]
    await thief.get(f"{own.path}?code={stolen}&state={state}")
    assert thief.session == "" and provider.refused == ["invalid_grant"]


async def test_a_provider_that_describes_itself_wrongly_is_not_used(
    make: Make, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMUNE_DENEME_GIZLI", SECRET)
    wrong: list[dict[str, Any]] = [
        {"issuer": "https://baska.test"},
        {"token_endpoint": "http://10.0.0.1/x"},
        {"jwks_uri": 5},
    ]
    for metadata in wrong:
        provider.metadata = metadata
        answer = await make(tek_giris=[entry(provider.issuer)]).browser().client.get("/giris/tek/il")
        assert answer.headers["location"] == "/giris?sorun=NUM-0027", metadata


async def test_the_second_factor_is_asked_unless_the_provider_asked_for_one(
    make: Make, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMUNE_DENEME_GIZLI", SECRET)
    await linked(make(tek_giris=[entry(provider.issuer)]))
    for trusted, amr, place in ((False, ["mfa"], "/giris/adim"), (True, ["pwd"], "/giris/adim")):
        house = make(tek_giris=[entry(provider.issuer, ikinci_asamaya_guven=trusted)], ikinci_asama=["*"])
        provider.amr = amr
        browser = house.browser()
        await round_trip(browser)
        assert browser.at == place


@pytest.mark.administrator("a row that the program never deletes is taken away by hand")
async def test_who_is_on_leave_or_closed_does_not_come_in_that_way_either(house: House) -> None:
    await linked(house)
    number = await house.user_id("teknisyen")
    await house.sql(
        "insert into calisma_durumu (kullanici_kodu, tur, baslangic_tarihi, bitis_tarihi) values (:n, 'izin', current_date - 1, current_date + 2)",
        n=number,
    )
    browser = house.browser()
    await round_trip(browser)
    assert "NUM-0021" in browser.page and browser.session == ""
    await house.sql("delete from calisma_durumu")
    await house.sql("update kullanici set aktiflik_bilgisi = false where kullanici_kodu = :n", n=number)
    await round_trip(browser)
    assert "NUM-0028" in browser.page and browser.session == ""


async def test_open_redirect_after_single_sign_on(house: House) -> None:
    await linked(house)
    browser = house.browser()
    await round_trip(browser, "/giris/tek/il?sonraki=https://kotu.test/")
    assert browser.at == "/teknik-onay"


def test_a_provider_without_tls_or_without_its_secret_is_refused_at_the_start() -> None:
    for table, told in (
        ({"saglayici": "http://il.test"}, "https"),
        ({"gizli_ortam": "YOK"}, "YOK"),
        ({"anahtar": "../x"}, "anahtar"),
    ):
        with pytest.raises(ValueError, match=told):
            providers_of({"tek_giris": [entry("https://il.test") | table]}, {"NUMUNE_DENEME_GIZLI": "x"})


async def test_an_independent_provider_agrees(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """`oidc-provider-mock` was written by others, over Authlib: what we send it understands, what it sends we take."""
    mock = pytest.importorskip("oidc_provider_mock")
    monkeypatch.setenv("NUMUNE_DENEME_GIZLI", SECRET)
    with mock.run_server_in_thread(require_nonce=True) as server:
        house = make(tek_giris=[entry(f"http://localhost:{server.server_port}")])
        browser = await house.signed_in("teknisyen")

        async def agree(start: str) -> None:
            answer = await browser.client.get(start)
            async with httpx.AsyncClient() as elsewhere:
                done = await elsewhere.post(answer.headers["location"], data={"sub": "il-7"})
            await browser.get(done.headers["location"])

        await agree("/hesabim/tek-giris/il")
        await browser.post("/hesabim/tek-giris", karar="bagla", parola="")
        assert re.search(r"<td>(http://localhost:\d+)</td><td>(il-7|[^<]+)</td>", browser.page), browser.page[-3000:]
        await browser.post("/cikis")
        await agree("/giris/tek/il")
        assert browser.at == "/teknik-onay"
