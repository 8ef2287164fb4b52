"""Programs: their own tokens, limited to scopes, that end, are exchanged without a stop, and are shown once."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.accounts.conftest import Browser, House


async def new_client(house: House, *scopes: str, name: str = "Kan Bankası") -> tuple[Browser, str, str]:
    """The administrator's browser, the token, the client's user name."""
    boss = await house.signed_in("yonetici", address="10.0.0.9")
    await boss.get("/istemciler")
    await boss.post("/istemciler", ad=name, amac="sonuç okuma", gun="30", kapsam=list(scopes))
    token = boss.found(r"data-token>(nmn_[^<]+)<")
    await boss.get("/istemciler")
    assert token not in boss.page  # shown once
    return boss, token, boss.found(r"kullanıcı <code>([^<]+)</code>")


async def put_in_group(house: House, username: str, group: str) -> None:
    await house.sql(
        "insert into grup_uyeligi (yetki_grubu_kodu, uye_kullanici_kodu) select g.yetki_grubu_kodu, k.kullanici_kodu"
        " from yetki_grubu g, kullanici k where g.yetki_grubu_kisa_kodu = :g and k.kullanici_adi = :u",
        g=group,
        u=username,
    )


async def test_a_token_is_its_clients_and_reaches_no_further_than_its_scopes(house: House) -> None:
    boss, token, username = await new_client(house, "istem.gor", "katalog.gor")
    me = (await house.api(token)).json()
    assert me["username"] == username == "istemci.kan-bankasi"
    assert me["permissions"] == []  # a client begins with no rights at all
    await put_in_group(house, username, "UZMAN")
    assert (await house.api(token)).json()["permissions"] == ["istem.gor", "katalog.gor"]
    assert (await house.api(token, "/api/v1/tests")).status_code == 200
    assert (await house.api(token, "/klinik-onay")).status_code == 403
    assert (await house.api(token, "/api/v1/unmatched")).status_code == 403
    assert (await house.api(token, "/hesabim")).status_code == 303  # no account of a person behind it
    del boss


FORGERIES: list[Callable[[str], str]] = [
    lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
    lambda token: token[:16] + "_" + "A" * 43,
    lambda token: "nmn_" + "0" * 12 + token[16:],
    lambda token: token + "A",
    lambda token: token.upper(),
    lambda token: token.split("_")[2],
    lambda token: "nmn_",
    lambda token: "nmn_' or 1=1--_" + "A" * 43,
]


async def test_forged_tokens(house: House) -> None:
    _, token, _ = await new_client(house, "istem.gor")
    assert (await house.api(token)).status_code == 200
    for number, forge in enumerate(FORGERIES):
        assert (await house.api(forge(token))).status_code == 401, number


async def test_a_token_is_kept_only_as_its_digest_and_never_logged(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    _, token, _ = await new_client(house, "istem.gor")
    await house.api(token)
    stored = str(await house.sql("select on_ek, anahtar_ozeti, son_adres, son_kullanim from api_belirteci"))
    assert token not in stored and token.split("_")[1] in stored
    everything = str(await house.sql("select d::text from denetim d"))
    assert token not in everything and token.split("_", 2)[2] not in everything
    assert token.split("_", 2)[2] not in caplog.text


async def test_a_replayed_token_after_its_end_and_after_its_revocation(house: House) -> None:
    boss, token, _ = await new_client(house, "istem.gor")
    assert (await house.api(token, address="10.3.3.3")).status_code == 200
    await boss.get("/istemciler")
    assert "10.3.3.3" in boss.page  # last used, and from where
    await house.sql("update api_belirteci set bitis_zamani = now() - interval '1 second'")
    assert (await house.api(token)).status_code == 401
    await house.sql("update api_belirteci set bitis_zamani = now() + interval '1 day'")
    assert (await house.api(token)).status_code == 200
    await boss.get("/istemciler")
    client, row = boss.found(r'data-client="(\d+)"'), boss.found(r'data-token-row="(\d+)"')
    assert (await boss.send(f"/istemciler/{int(client) + 1}/belirtec/{row}/iptal")).status_code == 404
    await boss.post(f"/istemciler/{client}/belirtec/{row}/iptal")
    assert (await house.api(token)).status_code == 401
    assert [who for who, _ in await house.audit("belirtec_iptal")] == ["yonetici"]


async def test_rotation_leaves_the_old_token_alive_for_a_while(house: House) -> None:
    boss, old, _ = await new_client(house, "istem.gor")
    client = boss.found(r'data-client="(\d+)"')
    await boss.post(f"/istemciler/{client}/yenile", gun="60", gecis="12")
    new = boss.found(r"data-token>(nmn_[^<]+)<")
    assert [(await house.api(token)).status_code for token in (old, new)] == [200, 200]
    lives = await house.sql(
        "select round(extract(epoch from bitis_zamani - now()) / 3600) from api_belirteci order by 1"
    )
    assert [int(hours) for (hours,) in lives] == [12, 1440]
    await house.sql("update api_belirteci set bitis_zamani = bitis_zamani - interval '13 hours'")  # the night goes by
    assert [(await house.api(token)).status_code for token in (old, new)] == [401, 200]
    await boss.post(f"/istemciler/{client}/kapat")
    assert (await house.api(new)).status_code == 401


async def test_a_client_never_signs_in_and_needs_a_scope(house: House) -> None:
    boss, _, username = await new_client(house, "istem.gor")
    assert (await house.browser().sign_in(username, "!")).status_code == 401
    number = await house.user_id(username)
    assert "NUM-0034" in (await boss.send(f"/kisiler/{number}/parola")).text
    for form in ({"ad": "Boş"}, {"ad": "x", "kapsam": "istem.gor"}, {"ad": "Uydurma", "kapsam": "her.sey"}):
        assert "NUM-0034" in (await boss.send("/istemciler", **form)).text, form
    assert "NUM-0031" in (await boss.send("/istemciler", ad="Kan Bankası", kapsam="istem.gor")).text
    assert "NUM-0034" in (await boss.send("/istemciler", ad="Uzun", kapsam="istem.gor", gun="900")).text
    assert re.search(r"istemci\.kan-bankasi", boss.page) or username
