"""The second factor: set up, asked for, never twice the same code, and ways back in when the telephone is lost."""

from __future__ import annotations

from collections.abc import Callable

from tests.accounts.conftest import Clock, House, Telephone, enrols

Phone = Callable[[str], Telephone]


async def test_the_account_page_shows_everything(house: House, telephone: Phone) -> None:
    browser = await house.signed_in("teknisyen")
    await browser.get("/hesabim")
    for words in ("Açık oturumlarım", "bu oturum", "Firefox, Linux", "Güvenlik anahtarları", "Parola"):
        assert words in browser.page
    await browser.post("/hesabim/uygulama")
    assert "<svg" in browser.page and "otpauth" not in browser.page  # drawn here, as a picture of dots
    assert "http" not in browser.found(r"(<svg.*?</svg>)").replace("http://www.w3.org/2000/svg", "")
    await enrols(browser, telephone)


async def test_after_the_password_the_code_is_asked_for(house: House, telephone: Phone) -> None:
    phone, _ = await enrols(await house.signed_in("teknisyen"), telephone)
    browser = house.browser()
    await browser.sign_in("teknisyen", wanted="/hesabim")
    assert browser.at == "/giris/adim"
    half = browser.session
    # half a sign-in opens nothing
    assert (await browser.client.get("/teknik-onay")).headers["location"].startswith("/giris")
    assert (await browser.client.get("/api/v1/tests")).status_code == 401
    assert (await browser.client.get("/olay")).status_code == 401
    await browser.post("/giris/adim/kod", kod=phone.code(), sonraki="/hesabim")
    assert browser.at == "/hesabim"
    assert browser.session != half
    assert "parola+uygulama" in browser.page


async def test_a_code_is_taken_once(house: House, telephone: Phone) -> None:
    """Somebody looks over the shoulder, or has the line: the code that he saw is worth nothing."""
    phone, _ = await enrols(await house.signed_in("teknisyen"), telephone)
    first, second = house.browser(), house.browser(address="10.9.9.9")
    await first.sign_in("teknisyen")
    await second.sign_in("teknisyen")
    seen = phone.code()
    assert (await first.post("/giris/adim/kod", kod=seen)).status_code == 200
    assert first.at == "/teknik-onay"
    refused = await second.post("/giris/adim/kod", kod=seen)
    assert (refused.status_code, "NUM-0023" in refused.text) == (401, True)
    # nor the one before it, which the clock would still allow
    phone.clock.step -= 1
    assert (await second.post("/giris/adim/kod", kod=phone.same())).status_code == 401
    phone.clock.step += 1
    assert (await second.post("/giris/adim/kod", kod=phone.code())).status_code == 200


async def test_codes_of_another_time_and_another_telephone_are_refused(
    house: House, telephone: Phone, clock: Clock
) -> None:
    phone, _ = await enrols(await house.signed_in("teknisyen"), telephone)
    browser = house.browser()
    await browser.sign_in("teknisyen")
    stranger = telephone("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    clock.step += 5
    late = phone.totp.generate_otp(clock.step - 2)
    early = phone.totp.generate_otp(clock.step + 2)
    for wrong in (stranger.same(), late, early, ""):
        assert (await browser.post("/giris/adim/kod", kod=wrong)).status_code == 401


async def test_guessing_codes_ends_the_sign_in_and_gets_slow(house: House, telephone: Phone) -> None:
    """Somebody has the password and tries the million codes."""
    phone, _ = await enrols(await house.signed_in("teknisyen"), telephone)
    thief = house.browser(address="10.66.6.6")
    await thief.sign_in("teknisyen")
    for _ in range(5):
        assert (await thief.post("/giris/adim/kod", kod="000000")).status_code == 401
    again = await thief.send("/giris/adim/kod", kod=phone.code())
    assert again.headers["location"].startswith("/giris")  # the half session is gone
    # and a new half session does not bring five new free attempts, from whatever address
    await house.sql("update basarisiz_giris set sayi = sayi + 8 where ip_adresi = 'ikinci asama'")  # and so on
    elsewhere = house.browser(address="10.66.6.7")
    await elsewhere.sign_in("teknisyen")
    slowed = await elsewhere.post("/giris/adim/kod", kod="000001")
    assert (slowed.status_code, "NUM-0009" in slowed.text) == (429, True)


async def test_a_recovery_code_opens_once(house: House, telephone: Phone) -> None:
    _, codes = await enrols(await house.signed_in("teknisyen"), telephone)
    first = house.browser()
    await first.sign_in("teknisyen")
    await first.post("/giris/adim/kod", kod=codes[3].lower().replace("-", " "))
    assert first.at == "/teknik-onay"
    second = house.browser()
    await second.sign_in("teknisyen")
    assert (await second.post("/giris/adim/kod", kod=codes[3])).status_code == 401
    assert (await second.post("/giris/adim/kod", kod=codes[4])).status_code == 200
    stored = await house.sql("select kod_ozeti from kurtarma_kodu")
    assert all(len(row[0]) == 32 for row in stored)


async def test_where_the_role_requires_it_nobody_gets_in_without_setting_it_up(
    make: Callable[..., House], telephone: Phone
) -> None:
    house = make(ikinci_asama=["*"])
    browser = house.browser()
    await browser.sign_in("teknisyen", wanted="/hesabim")
    assert browser.at == "/giris/adim"
    assert (await browser.client.get("/hesabim")).headers["location"].startswith("/giris")
    phone = telephone(browser.found(r"data-secret>([A-Z2-7]+)<"))
    proof = browser.found(r'name="kanit" value="([^"]+)"')
    wrong = await browser.post("/giris/adim/uygulama", kanit=proof, kod="123456", sonraki="/hesabim")
    assert wrong.status_code == 401
    assert browser.found(r"data-secret>([A-Z2-7]+)<") == phone.totp.secret  # the same key: nothing to scan anew
    await browser.post("/giris/adim/uygulama", kanit=proof, kod=phone.code(), sonraki="/hesabim")
    assert "Kurtarma kodları" in browser.page
    await browser.get("/giris/adim?sonraki=/hesabim")
    assert browser.at == "/hesabim"
    await browser.post("/hesabim/uygulama/sil", parola="")
    assert "NUM-0030" in browser.page  # the last factor of somebody who needs one stays


async def test_it_is_required_by_group_also_of_whoever_is_in_it_through_another_one(make: Callable[..., House]) -> None:
    """Specialists are in the technicians' group by theirs; physicians and reception are not asked, programs are."""
    house = make(ikinci_asama=["teknisyen"])
    for username, required in (("teknisyen", True), ("uzman", True), ("hekim", False), ("kabul", False)):
        browser = house.browser()
        await browser.sign_in(username, wanted="/hesabim")
        assert (browser.at == "/giris/adim") is required, username
        body = {"username": username, "password": "Deneme-Parola-1"}
        answer = await house.browser(agent="program").client.post("/api/v1/auth/token", json=body)
        if required:
            assert (answer.status_code, answer.json()["code"]) == (401, "NUM-0022"), username
        else:
            assert answer.status_code == 200, username


async def test_a_token_needs_the_code_too(house: House, telephone: Phone) -> None:
    """The interface of programs is no way around the second factor."""
    phone, codes = await enrols(await house.signed_in("teknisyen"), telephone)
    client = house.browser(agent="program").client
    body = {"username": "teknisyen", "password": "Deneme-Parola-1"}
    bare = await client.post("/api/v1/auth/token", json=body)
    assert (bare.status_code, bare.json()["code"]) == (401, "NUM-0022")
    assert (await client.post("/api/v1/auth/token", json={**body, "code": "000000"})).json()["code"] == "NUM-0023"
    assert (await client.post("/api/v1/auth/token", json={**body, "code": codes[0]})).json()["code"] == "NUM-0023"
    code = phone.code()
    token = (await client.post("/api/v1/auth/token", json={**body, "code": code})).json()["access_token"]
    assert (await house.api(token)).json()["username"] == "teknisyen"
    assert (await client.post("/api/v1/auth/token", json={**body, "code": code})).json()["code"] == "NUM-0023"


async def test_a_trusted_browser_is_asked_only_for_the_password(make: Callable[..., House], telephone: Phone) -> None:
    house = make(cihaz_hatirlama_gun=7)
    phone, codes = await enrols(await house.signed_in("teknisyen"), telephone)
    browser = house.browser()
    await browser.sign_in("teknisyen")
    await browser.post("/giris/adim/kod", kod=phone.code(), hatirla="1")
    device = browser.client.cookies.get("numune_cihaz")
    await browser.post("/cikis")
    await browser.sign_in("teknisyen")
    assert browser.at == "/teknik-onay"
    assert browser.client.cookies.get("numune_cihaz") != device  # made anew each time
    # the secret of yesterday, copied from this browser, is worth nothing
    thief = house.browser()
    thief.client.cookies.set("numune_cihaz", device or "", domain="numune.test", path="/giris")
    await thief.sign_in("teknisyen")
    assert thief.at == "/giris/adim"
    # taking the application away takes the trust away
    await browser.post("/hesabim/uygulama/sil")
    phone2, _ = await enrols(browser, telephone)
    await browser.post("/cikis")
    await browser.sign_in("teknisyen")
    assert browser.at == "/giris/adim"
    del codes, phone2


async def test_an_open_session_that_was_left_alone_cannot_change_the_factors(house: House, telephone: Phone) -> None:
    browser = await house.signed_in("teknisyen")
    await enrols(browser, telephone)
    await house.sql("update oturum set dogrulama_zamani = now() - interval '10 minutes'")
    from lis_core.services import users

    users.forget(house.database)
    await browser.get("/hesabim")
    for path in ("/hesabim/uygulama", "/hesabim/uygulama/sil", "/hesabim/kodlar", "/hesabim/anahtar/soru"):
        refused = await browser.send(path, parola="")
        assert refused.status_code == 403 and "NUM-0025" in refused.text, path
    assert (await browser.send("/hesabim/kodlar", parola="falsch")).status_code == 401
    assert (await browser.send("/hesabim/kodlar", parola="Deneme-Parola-1")).status_code == 200


async def test_an_administrator_takes_lost_factors_away(house: House, telephone: Phone) -> None:
    user = await house.signed_in("teknisyen")
    await enrols(user, telephone)
    boss = await house.signed_in("yonetici", address="10.0.0.9")
    number = await house.user_id("teknisyen")
    await boss.get(f"/kisiler/{number}")
    assert "İkinci aşamayı sıfırla" in boss.page
    await boss.post(f"/kisiler/{number}/ikinci-asama")
    assert "sıfırlandı" in boss.page
    assert (await user.client.get("/hesabim")).status_code == 303  # his sessions ended
    await user.sign_in("teknisyen")
    assert user.at == "/teknik-onay"


async def test_the_key_of_the_telephone_is_nowhere_in_the_clear(house: House, telephone: Phone) -> None:
    browser = await house.signed_in("teknisyen")
    phone, codes = await enrols(browser, telephone)
    kept = str(await house.sql("select * from giris_guvenligi")) + str(await house.sql("select * from denetim"))
    raw = phone.totp.byte_secret()
    assert phone.totp.secret not in kept
    assert raw.hex() not in kept and str(raw) not in kept
    assert all(code not in kept and code.replace("-", "") not in kept for code in codes)
    # a row copied to another user opens nothing there
    await house.sql(
        "insert into giris_guvenligi (kullanici_kodu, totp_anahtari, totp_onay_zamani) select k.kullanici_kodu,"
        " g.totp_anahtari, g.totp_onay_zamani from kullanici k, giris_guvenligi g where k.kullanici_adi = 'uzman'"
    )
    other = house.browser()
    await other.sign_in("uzman")
    assert (await other.post("/giris/adim/kod", kod=phone.code())).status_code == 401
