"""Passwords: what may be one, how they are kept, how guessing gets slow, and that nobody can lock another out."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from argon2 import PasswordHasher, extract_parameters
from hypothesis import given
from hypothesis import strategies as st

from lis_core.domain.account_rules import AccountRules
from lis_core.domain.password_rules import password_problem
from lis_core.services import passwords
from lis_core.services.known_passwords import LISTED, NOT_READ, known_problem
from tests.accounts.conftest import GOOD, OTHER, Browser, House
from tests.conftest import DEMO_PASSWORD


@pytest.mark.parametrize(
    ("password", "told"),
    [
        ("kısa", "en az 12"),
        ("Parola123456", "yaygın"),
        ("P@r0l@-2026-Nisan", "yaygın"),
        ("qwertyuiop12", "yaygın"),
        ("Galatasaray1905", "yaygın"),
        ("hastane-laboratuvar", "yaygın"),
        ("1qaz2wsx3edc", "yaygın"),
        ("zaq1xsw2CDE3", "yaygın"),
        ("1q2w3e4r5t6y", "yaygın"),
        ("uieautkmlys1", "yaygın"),
        ("abababababab", "yineleniyor"),
        ("a" * 201, "en çok"),
        ("ayse.yilmaz-kahve", "adınızı"),
        ("AYŞEYILMAZ çay içer", "adınızı"),
    ],
)
def test_what_a_guesser_tries_first_is_refused(password: str, told: str) -> None:
    problem = password_problem(password, least=12, personal=("ayse.yilmaz", "Ayşe", "Yılmaz"))
    assert problem is not None and told in problem


WORDS = ["needforspeed", "Galata-Köprüsü-1", "christopher1", "leavemealone", "İstiklal-Caddesi"]


def digest_list(passwords: list[str]) -> bytes:
    """As the known services give it out: sorted digests with counts."""
    digests = sorted(hashlib.sha1(word.encode(), usedforsecurity=False).hexdigest().upper() for word in passwords)
    return "".join(f"{digest}:{n % 1400 + 1}\r\n" for n, digest in enumerate(digests)).encode()


@given(st.lists(st.text(max_size=8), min_size=1, max_size=40, unique=True), st.text(max_size=8), st.booleans())
def test_a_password_is_found_in_a_sorted_list_wherever_it_stands(listed: list[str], other: str, last: bool) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(digest_list(listed)[: None if last else -2])
        file.flush()
        assert [known_problem(file.name, word) for word in listed] == [LISTED] * len(listed)
        assert known_problem(file.name, other) == (LISTED if other in listed else None)


def test_a_list_of_words_is_compared_as_people_type_them(tmp_path: Path) -> None:
    file = tmp_path / "yaygin.txt"
    file.write_text("\n".join(WORDS), encoding="utf-8")
    for word in (*WORDS, "NeedForSpeed", "galata-koprusu-1"):
        assert known_problem(str(file), word) == LISTED, word
    assert known_problem(str(file), "needforspeed-ve-cay") is None
    assert known_problem("", "needforspeed") is None


async def test_what_everybody_knows_is_refused_where_the_institution_has_a_list(
    make: Callable[..., House], tmp_path: Path
) -> None:
    file = tmp_path / "yasak.txt"
    file.write_bytes(digest_list(WORDS))
    browser = await make(yasak_parolalar=str(file)).signed_in("teknisyen")
    for word, told in (("needforspeed", LISTED), ("İstiklal-Caddesi", LISTED), (GOOD, "Parolanız değişti")):
        await browser.get("/hesabim")
        await browser.post("/hesabim/parola", parola=DEMO_PASSWORD, yeni=word, yineleme=word)
        assert told in browser.page, word
    file.unlink()  # a rule that cannot be asked lets nothing through
    await browser.get("/hesabim")
    await browser.post("/hesabim/parola", parola=GOOD, yeni=OTHER, yineleme=OTHER)
    assert NOT_READ in browser.page


@pytest.mark.parametrize(
    "password", [GOOD, OTHER, "Xk7-tavuk-Zil-92", "correct horse battery staple", "ğ" * 4 + "üşöçabcx"]
)
def test_a_long_sentence_is_a_good_password(password: str) -> None:
    assert password_problem(password, least=12, personal=("ayse",)) is None


@pytest.mark.parametrize(
    "table",
    [{"parola_en_az": 6}, {"parola_en_az": "12"}, {"bilinmeyen": 1}, {"ikinci_asama": "UZMAN"}, {"oturum_saat": 0}],
)
def test_settings_that_make_no_sense_are_refused_in_words(table: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="giris"):
        AccountRules.of({"giris": table})


@pytest.mark.clause("4.8.10b")
async def test_a_user_changes_his_password(house: House) -> None:
    browser = await house.signed_in("teknisyen")
    elsewhere = await house.signed_in("teknisyen", address="10.0.0.8")
    await browser.get("/hesabim")
    await browser.post("/hesabim/parola", parola=DEMO_PASSWORD, yeni=GOOD, yineleme=GOOD)
    assert "Parolanız değişti" in browser.page
    assert (await elsewhere.client.get("/hesabim")).status_code == 303
    assert (await house.browser().sign_in("teknisyen")).status_code == 401
    await house.signed_in("teknisyen", GOOD)
    [(digest,)] = await house.sql("select parola from kullanici where kullanici_adi = 'teknisyen'")
    assert digest.startswith("$argon2id$") and GOOD not in str(await house.sql("select * from denetim"))


async def test_the_old_password_and_the_rules_stand_before_a_new_one(house: House) -> None:
    browser = await house.signed_in("teknisyen")
    await browser.get("/hesabim")
    for form, told in (
        ({"parola": "falsch", "yeni": GOOD, "yineleme": GOOD}, "NUM-0003"),
        ({"parola": "", "yeni": GOOD, "yineleme": GOOD}, "NUM-0025"),
        ({"parola": DEMO_PASSWORD, "yeni": GOOD, "yineleme": OTHER}, "aynı değil"),
        ({"parola": DEMO_PASSWORD, "yeni": "Parola123456", "yineleme": "Parola123456"}, "NUM-0020"),
    ):
        answer = await browser.send("/hesabim/parola", **form)
        assert told in answer.text, form
    assert (await house.browser().sign_in("teknisyen")).status_code == 200


async def test_former_passwords_do_not_come_back(make: Callable[..., House]) -> None:
    house = make(parola_gecmis=2)
    browser = await house.signed_in("teknisyen")
    await browser.get("/hesabim")
    third = "bakır tencerede su kaynar"

    async def change(old: str, new: str) -> str:
        await browser.get("/hesabim")
        await browser.post("/hesabim/parola", parola=old, yeni=new, yineleme=new)
        return browser.page

    assert "değişti" in await change(DEMO_PASSWORD, GOOD)
    assert "NUM-0020" in await change(GOOD, GOOD)
    assert "değişti" in await change(GOOD, OTHER)
    assert "NUM-0020" in await change(OTHER, GOOD)
    assert "değişti" in await change(OTHER, third)
    assert "değişti" in await change(third, GOOD)  # two others lie between


async def test_a_first_password_must_be_changed_before_anything_else(house: House) -> None:
    boss = await house.signed_in("yonetici")
    await boss.get("/kisiler")
    await boss.post("/kisiler", kullanici="yeni.kisi", ad="Yeni", soyad="Kişi")
    first = boss.found(r"data-password>([^<]+)<")
    browser = house.browser()
    await browser.sign_in("yeni.kisi", first)
    assert browser.at == "/giris/adim" and "Yeni parola seçin" in browser.page
    assert (await browser.client.get("/hesabim")).headers["location"].startswith("/giris")
    token = await browser.client.post("/api/v1/auth/token", json={"username": "yeni.kisi", "password": first})
    assert token.json()["code"] == "NUM-0024"
    assert "NUM-0020" in (await browser.post("/giris/adim/parola", yeni=first, yineleme=first)).text
    await browser.post("/giris/adim/parola", yeni=GOOD, yineleme=GOOD)
    assert "/giris" not in browser.at
    await house.signed_in("yeni.kisi", GOOD)


async def test_a_password_grows_old_where_the_institution_says_so(make: Callable[..., House]) -> None:
    house = make(parola_omru_gun=90)
    await house.signed_in("teknisyen")
    await house.sql("update kullanici set kayit_zamani = now() - interval '91 days'")
    browser = house.browser()
    await browser.sign_in("teknisyen")
    await browser.post("/giris/adim/parola", yeni=GOOD, yineleme=GOOD)
    assert browser.at == "/teknik-onay"
    await house.signed_in("teknisyen", GOOD)


@pytest.mark.usefixtures("real_passwords")
async def test_a_digest_made_with_weaker_numbers_is_made_anew_at_sign_in(house: House) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(DEMO_PASSWORD)
    await house.sql("update kullanici set parola = :p where kullanici_adi = 'teknisyen'", p=weak)
    await house.signed_in("teknisyen")
    [(digest,)] = await house.sql("select parola from kullanici where kullanici_adi = 'teknisyen'")
    numbers = extract_parameters(digest)
    assert (numbers.memory_cost, numbers.time_cost, numbers.parallelism) == (65536, 3, 4)
    await house.signed_in("teknisyen")


# -- guessing


async def guesses(browser: Browser, username: str, count: int) -> list[int]:
    return [(await browser.sign_in(username, f"tahmin-{number}")).status_code for number in range(count)]


async def test_brute_force_gets_slow(house: House) -> None:
    thief = house.browser(address="10.66.6.6")
    assert await guesses(thief, "teknisyen", 5) == [401] * 5
    await house.sql("update basarisiz_giris set sayi = sayi + 8")
    answer = await thief.sign_in("teknisyen")
    assert answer.status_code == 429 and int(answer.headers.get("retry-after", "1")) >= 1
    assert [row[1]["saniye"] for row in await house.audit("giris_bekletme")] == [1]


async def test_lock_out_of_others_is_not_possible(house: House) -> None:
    """Whoever hammers on a name, even from the victim's own address, does not keep the victim out."""
    victim = await house.signed_in("teknisyen", address="10.0.0.5")
    await victim.post("/cikis")
    hammer = house.browser(address="10.0.0.5")
    await guesses(hammer, "teknisyen", 5)
    await house.sql("update basarisiz_giris set sayi = 100, son_deneme = now()")
    assert (await hammer.sign_in("teknisyen")).status_code == 429
    assert (await victim.sign_in("teknisyen")).status_code == 200  # his own browser, the same address
    fresh = house.browser(address="10.0.0.200")
    assert (await fresh.sign_in("teknisyen")).status_code == 200  # another address, a browser never seen


async def test_a_known_browser_is_no_free_ticket_for_guessing(house: House) -> None:
    """The cookie of a known browser is counted on its own, and serves for its own person only."""
    browser = await house.signed_in("teknisyen")
    await browser.post("/cikis")
    assert await guesses(browser, "teknisyen", 5) == [401] * 5
    await house.sql("update basarisiz_giris set sayi = sayi + 8 where ip_adresi like 'cihaz:%'")
    assert (await browser.sign_in("teknisyen")).status_code == 429
    assert await guesses(browser, "uzman", 2) == [401] * 2
    rows = await house.sql("select kullanici_adi, ip_adresi from basarisiz_giris where kullanici_adi = 'uzman'")
    assert rows == [("uzman", "10.0.0.5")]


async def test_many_names_from_one_address_get_slow_too(house: House) -> None:
    """One common password tried on every name."""
    spray = house.browser(address="10.66.6.6")
    await guesses(spray, "uzman", 2)
    await house.sql("update basarisiz_giris set sayi = 40, son_deneme = now() where kullanici_adi = ''")
    assert (await spray.sign_in("kabul", "Parola123")).status_code == 429
    assert (await house.browser(address="10.0.0.5").sign_in("kabul")).status_code == 200


@pytest.mark.usefixtures("real_passwords")
def test_nobodys_digest_costs_what_a_users_costs() -> None:
    numbers = extract_parameters(passwords._NOBODY)
    assert (numbers.memory_cost, numbers.time_cost, numbers.parallelism) == (
        passwords.MEMORY_KIB,
        passwords.PASSES,
        passwords.LANES,
    )


async def test_enumeration_unknown_names_answer_alike_and_work_alike(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same page, after the same work: one Argon2id comparison of the same cost, whoever is asked for."""
    await house.sql("update kullanici set aktiflik_bilgisi = false where kullanici_adi = 'kabul'")
    compare = passwords._HASHER.verify_and_update
    costs: list[tuple[int, int, int]] = []

    def counted(password: str, digest: str) -> tuple[bool, str | None]:
        numbers = extract_parameters(digest)
        costs.append((numbers.memory_cost, numbers.time_cost, numbers.parallelism))
        return compare(password, digest)

    monkeypatch.setattr(passwords._HASHER, "verify_and_update", counted)
    pages, work = set(), []
    for place, name in enumerate(("teknisyen", "boyle-biri-yok", "kabul")):
        answer = await house.browser(address=f"10.1.{place}.1").sign_in(name, "falsch")
        pages.add((answer.status_code, answer.text.replace(name, "AD")))
        work.append(tuple(costs))
        costs.clear()
    assert len(pages) == 1
    assert len(work[0]) == 1 and len(set(work)) == 1, work


async def test_guessing_in_parallel_gains_nothing(house: House) -> None:
    browsers = [house.browser(address="10.66.6.6") for _ in range(10)]
    answers = await asyncio.gather(*(one.sign_in("teknisyen", "falsch") for one in browsers))
    assert (
        sum(answer.status_code == 401 for answer in answers) <= 7
    )  # five are free; a slow machine lets the next ones by
