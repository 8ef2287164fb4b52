"""Permissions on screen: why somebody may, what a change would do, groups, "dene", refusals that show the way."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from api.screens.permission_forms import step_from, step_text
from lis_core.domain.errors import NumuneError
from lis_core.domain.permission_templates import Job
from lis_core.domain.permissions import P, Scope, ScopeKind
from lis_core.services.permission_admin import Deed, Step
from lis_core.services.permissions import Period, Subject
from lis_core.services.rights import rights_of, today
from lis_core.storage.database import Database
from lis_core.storage.tables import User
from tests.permissions.conftest import House
from tests.screens.conftest import Site, Visitor


@pytest.fixture
def house(lab: Database) -> House:
    return House(lab)


async def id_of(house: House, username: str) -> int:
    async with house.database.reading() as session:
        found = await session.scalar(select(User.id).where(User.username == username))
    assert found is not None
    return found


async def may(house: House, user_id: int, permission: P) -> bool:
    async with house.database.reading() as session:
        return (await rights_of(session, user_id)).may(permission)


async def deeds(house: House, action: str) -> list[Any]:
    """Audit rows of this action, oldest first."""
    question = text("select nesne_kodu, onceki, sonraki from denetim where islem = :islem order by zaman")
    async with house.database.reading() as session:
        return list((await session.execute(question, {"islem": action})).all())


def carried(page: str) -> dict[str, Any]:
    """The draft that a page carries, as its saving form sends it."""
    form = page[page.index('<form id="change"') :]
    steps = re.findall(r'name="adim" value="([^"]*)"', form[: form.index("</form>")])
    seal = re.search(r'name="muhur" form="change" value="([^"]*)"', page)
    return {"adim": [html.unescape(step) for step in steps], "muhur": seal[1] if seal else ""}


def plain(page: str) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


async def saves(visitor: Visitor, address: str, page: str, reason: str = "") -> Any:
    return await visitor.post(address, yap="kaydet", neden=reason, **carried(page))


# --- reading -------------------------------------------------------------------------------------------------------


@pytest.mark.clause("4.8.4a")
async def test_a_person_page_says_what_he_may_how_far_and_why(site: Site, house: House) -> None:
    chief = await house.person("sorumlu", Job.CHIEF)
    await house.give(Subject(user_id=chief), P.RESULT_CLINICAL, Scope(ScopeKind.BENCH, "HORMON"), prohibits=True)
    page = await (await site.as_("yonetici")).get(f"/yetkiler/kisi/{chief}")
    assert page.status_code == 200
    row = plain(page.text[page.text.index('data-row="sonuc.klinik_onay"') :].split("</tr>")[0])
    assert "kısmen yasak" in row
    assert "tümü (Hormon hariç)" in row
    assert "Laboratuvar sorumlusu → Laboratuvar uzmanı (tümü)" in row
    assert "yasaklayan: kişiye özel (çalışma grubu: Hormon)" in row


async def test_own_patients_are_said_in_words(site: Site, house: House) -> None:
    physician = await id_of(house, "hekim")
    account = await (await site.as_("yonetici")).get(f"/kisiler/{physician}")
    assert f'href="/yetkiler/kisi/{physician}"' in account.text
    page = await (await site.as_("yonetici")).get(f"/yetkiler/kisi/{physician}")
    row = plain(page.text[page.text.index('data-row="istem.gor"') :].split("</tr>")[0])
    assert "kendi hastaları" in row


async def test_a_permission_page_says_who_has_it_and_by_which_way(site: Site, house: House) -> None:
    chief = await house.person("sorumlu", Job.CHIEF)
    await house.give(Subject(user_id=await id_of(house, "uzman")), P.RESULT_CLINICAL, prohibits=True)
    said = plain((await (await site.as_("yonetici")).get("/yetkiler/yetki/sonuc.klinik_onay")).text)
    assert "Laboratuvar sorumlusu → Laboratuvar uzmanı (tümü)" in said
    assert "✕ yasak" in said
    assert (
        f"/yetkiler/kisi/{chief}" in (await (await site.as_("yonetici")).get("/yetkiler/yetki/sonuc.klinik_onay")).text
    )
    assert (await (await site.as_("yonetici")).get("/yetkiler/yetki/yok.boyle")).status_code == 404


async def test_lists_open_and_the_ones_without_the_permission_are_refused(site: Site, house: House) -> None:
    administrator = await site.as_("yonetici")
    for path in ("/yetkiler", "/yetkiler?ara=uzm", "/yetkiler/yetki", "/yetkiler/grup"):
        assert (await administrator.get(path)).status_code == 200, path
    refused = await (await site.as_("teknisyen")).get("/yetkiler")
    assert refused.status_code == 403
    assert "yetkileri görme" in refused.text
    assert "<code>yetki.gor</code>" in refused.text


async def test_who_may_only_look_sees_no_button_and_cannot_change(site: Site, house: House) -> None:
    async with house.database.work(await house.actor("yonetici")) as work:
        from lis_core.services.permissions import give

        await give(work, Subject(user_id=await id_of(house, "uzman")), P.RIGHTS_VIEW, Scope())
    visitor, user_id = await site.as_("uzman"), await id_of(house, "hekim")
    page = await visitor.get(f"/yetkiler/kisi/{user_id}")
    assert page.status_code == 200
    assert "data-remove" not in page.text
    answer = await visitor.post(f"/yetkiler/kisi/{user_id}", yap="yetki", yetki="denetim.gor", kapsam="tum:")
    assert answer.status_code == 403


# --- changing ------------------------------------------------------------------------------------------------------


async def test_differences_are_shown_first_and_saved_together(site: Site, house: House) -> None:
    """Into the group of acceptance, and one permission forbidden: nothing holds until it is saved, then all of it."""
    person, administrator = await house.person("yeni"), await site.as_("yonetici")
    address, group = f"/yetkiler/kisi/{person}", await house.group(Job.TRANSPORT)
    page = await administrator.post(address, yap="grup", grup=str(group))
    assert "2 yetki eklenecek" in plain(page.text)
    page = await administrator.post(
        address, yap="yetki", yetki="numune.sevk", kapsam="tum:", yasak="1", adim=carried(page.text)["adim"]
    )
    assert "1 yetki eklenecek" in plain(page.text)
    assert not await may(house, person, P.SPECIMEN_VIEW)
    saved = await saves(administrator, address, page.text)
    assert saved.status_code == 303, plain(saved.text)
    assert await may(house, person, P.SPECIMEN_VIEW)
    assert not await may(house, person, P.SPECIMEN_DISPATCH)
    [row] = await deeds(house, "yetki_degisikligi")
    assert row.onceki == {"yeni": {"numune.gor": ""}}
    assert row.sonraki == {"neden": "", "yeni": {"numune.gor": "tum"}}


async def test_a_step_can_be_dropped_and_a_refused_one_leaves_the_rest(site: Site, house: House) -> None:
    person, administrator = await house.person("yeni", Job.BILLING), await site.as_("yonetici")
    address = f"/yetkiler/kisi/{person}"
    page = await administrator.post(address, yap="yetki", yetki="su.gor", kapsam="tum:")
    wrong = await administrator.post(
        address, yap="yetki", yetki="su.gor", kapsam="kendi:", adim=carried(page.text)["adim"]
    )
    assert "sınırlanamaz" in plain(wrong.text)
    assert len(carried(wrong.text)["adim"]) == 2
    left = await administrator.post(address, yap="cikar:1", adim=carried(wrong.text)["adim"])
    assert len(carried(left.text)["adim"]) == 1
    again = await administrator.post(address, yap="grup", grup=str(await house.group(Job.BILLING)))
    assert "zaten Fatura grubunun üyesi" in plain(again.text)


async def test_what_gives_much_asks_for_a_reason(site: Site, house: House) -> None:
    person, administrator = await house.person("yeni"), await site.as_("yonetici")
    address = f"/yetkiler/kisi/{person}"
    page = await administrator.post(address, yap="yetki", yetki="denetim.gor", kapsam="tum:")
    assert "güçlü yetki: denetim izini görme" in plain(page.text)
    refused = await saves(administrator, address, page.text, "olsun")
    assert refused.status_code == 422
    assert not await may(house, person, P.AUDIT_VIEW)
    saved = await saves(administrator, address, page.text, "Kalite sorumlusu olarak görevlendirildi")
    assert saved.status_code == 303
    [row] = await deeds(house, "yetki_degisikligi")
    assert row.sonraki["neden"] == "Kalite sorumlusu olarak görevlendirildi"


async def test_what_adds_nothing_is_no_difference(site: Site, house: House) -> None:
    """Own patients beside "everywhere": nobody gains anything by it, and the page says so."""
    person, administrator = await house.person("yeni", Job.TRANSPORT), await site.as_("yonetici")
    page = await administrator.post(f"/yetkiler/kisi/{person}", yap="yetki", yetki="numune.gor", kapsam="kendi:")
    assert "Bugün kimsenin yetkisi değişmez" in plain(page.text)
    assert "değişen yetki yok" in plain(page.text)


async def test_what_begins_later_is_weighed_on_its_day(site: Site, house: House) -> None:
    """A permission of next week changes nothing today; it is shown, and asks for its reason, all the same."""
    person, administrator = await house.person("yeni"), await site.as_("yonetici")
    address, day = f"/yetkiler/kisi/{person}", today() + timedelta(days=7)
    page = await administrator.post(
        address, yap="yetki", yetki="yetki.yonet", kapsam="tum:", ilk=day.isoformat(), son=day.isoformat()
    )
    said = plain(page.text)
    assert f"{day:%d.%m.%Y} gününden" in said
    assert "Bugün kimsenin yetkisi değişmez" in said
    assert (await saves(administrator, address, page.text)).status_code == 422


async def test_rights_that_moved_meanwhile_are_looked_at_again(site: Site, house: House) -> None:
    person, administrator = await house.person("yeni"), await site.as_("yonetici")
    address = f"/yetkiler/kisi/{person}"
    page = await administrator.post(address, yap="grup", grup=str(await house.group(Job.TRANSPORT)))
    await house.give(Subject(user_id=person), P.SPECIMEN_VIEW, prohibits=True)
    answer = await saves(administrator, address, page.text)
    assert answer.status_code == 409
    assert "Siz bakarken yetkiler değişti" in answer.text
    assert "1 yetki eklenecek" in plain(answer.text)
    assert not await may(house, person, P.SPECIMEN_DISPATCH)
    assert (await saves(administrator, address, answer.text)).status_code == 303


@pytest.mark.parametrize("broken", ["", "[]", "{}", '{"ne": "x"}', '{"ne": "ver", "yetki": "yok"}', '{"ne": "ver"}'])
async def test_a_tampered_draft_is_refused_in_words(site: Site, house: House, broken: str) -> None:
    person, administrator = await house.person("yeni"), await site.as_("yonetici")
    answer = await administrator.post(f"/yetkiler/kisi/{person}", yap="kaydet", adim=[broken], muhur="x")
    assert answer.status_code == 422
    assert "geçersiz" in plain(answer.text)


async def test_a_page_ends_only_what_is_its_own(site: Site, house: House) -> None:
    other = await house.person("baskasi")
    entry = await house.give(Subject(user_id=other), P.WATER_VIEW)
    person, administrator = await house.person("yeni"), await site.as_("yonetici")
    answer = await administrator.post(f"/yetkiler/kisi/{person}", yap=f"kayit-kaldir:{entry}")
    assert answer.status_code == 404
    assert await may(house, other, P.WATER_VIEW)


def test_a_step_is_read_back_as_it_was_written() -> None:
    steps = [
        Step(Deed.JOIN, group_id=3, benches=("HORMON",), period=Period(today(), None)),
        Step(Deed.ADMIT, member=Subject(user_id=7)),
        Step(Deed.ADMIT, member=Subject(group_id=7)),
        Step(Deed.PART, row_id=9),
        Step(Deed.FORBID, permission=P.ORDER_VIEW, scope=Scope(ScopeKind.UNIT, "DAH:1")),
        Step(Deed.CLOSE),
    ]
    assert [step_from(step_text(step)) for step in steps] == steps
    with pytest.raises(NumuneError):
        step_from("null")


# --- administrators and results ------------------------------------------------------------------------------------


async def test_an_administrator_who_gives_himself_results_is_seen_and_written_down(site: Site, house: House) -> None:
    own, administrator = await id_of(house, "yonetici"), await site.as_("yonetici")
    address = f"/yetkiler/kisi/{own}"
    assert "Yönetici, sonuç da okuyor" not in (await administrator.get(address)).text
    page = await administrator.post(address, yap="yetki", yetki="sonuc.gor", kapsam="tum:")
    assert "Yönetici sonuç okuyacak" in page.text
    assert (await saves(administrator, address, page.text)).status_code == 422
    saved = await saves(administrator, address, page.text, "Sonuç ekranındaki arıza incelenecek")
    assert saved.status_code == 303
    [row] = await deeds(house, "yonetici_sonuc_okur")
    assert row.nesne_kodu == str(own)
    assert row.sonraki["kendisine"] is True
    assert row.sonraki["yetki"] == "sonuc.gor"
    said = plain((await administrator.get(address)).text)
    assert "Yönetici, sonuç da okuyor" in said
    assert "onaylı sonuç görme: kişiye özel (tümü); veren" in said
    assert "yönetici, sonuç da okuyor" in (await administrator.get("/yetkiler")).text


async def test_the_same_by_a_group_or_the_other_way_round(site: Site, house: House) -> None:
    """A specialist who is made administrator, by a group inside a group: the deed is the same."""
    administrator, specialist = await site.as_("yonetici"), await id_of(house, "uzman")
    group = await house.group(Job.ADMINISTRATOR)
    page = await administrator.post(f"/yetkiler/grup/{group}", yap="uye", uye=f"k{specialist}")
    saved = await saves(administrator, f"/yetkiler/grup/{group}", page.text, "Nöbette yönetici yerine bakacak")
    assert saved.status_code == 303
    [row] = await deeds(house, "yonetici_sonuc_okur")
    assert (row.nesne_kodu, row.sonraki["kendisine"]) == (str(specialist), False)


# --- groups --------------------------------------------------------------------------------------------------------


@pytest.mark.clause("4.8.6c")
async def test_a_change_of_a_group_names_everybody_whom_it_touches(site: Site, house: House) -> None:
    for name in ("ayse", "fatma"):
        await house.person(name, Job.BILLING)
    administrator, group = await site.as_("yonetici"), await house.group(Job.BILLING)
    address = f"/yetkiler/grup/{group}"
    page = await administrator.post(address, yap="yetki", yetki="su.gor", kapsam="tum:")
    assert "1 yetki eklenecek; 2 kişi: Ek Ayse, Ek Fatma" in plain(page.text)
    page = await administrator.post(address, yap="kapat")
    assert "yetki kalkacak; 2 kişi" in plain(page.text)


@pytest.mark.clause("4.8.6b")
async def test_a_circle_of_groups_is_refused_with_words(site: Site, house: House) -> None:
    administrator = await site.as_("yonetici")
    technician, chief = await house.group(Job.TECHNICIAN), await house.group(Job.CHIEF)
    page = await administrator.post(f"/yetkiler/grup/{technician}", yap="grup", grup=str(chief))
    assert page.status_code == 409
    assert "gruplar birbirinin içine döner" in plain(page.text)


async def test_a_template_is_copied_to_make_a_new_job(site: Site, house: House) -> None:
    administrator, source = await site.as_("yonetici"), await house.group(Job.SPECIALIST)
    answer = await administrator.post(f"/yetkiler/grup/{source}/kopya", kod="gece", ad="Gece uzmanı")
    assert answer.status_code == 303
    made = await house.group("GECE")
    person = await house.person("gececi", "GECE")
    assert await may(house, person, P.RESULT_CLINICAL)
    assert await may(house, person, P.RESULT_TECHNICAL)  # inherited, like the original
    page = plain((await administrator.get(f"/yetkiler/grup/{made}")).text)
    assert "Gece uzmanı" in page
    assert "Üst gruplardan gelen" in page
    again = await administrator.post(f"/yetkiler/grup/{source}/kopya", kod="gece", ad="Yine")
    assert again.status_code == 409
    assert "GECE kodlu bir yetki grubu zaten var" in again.text


async def test_the_last_one_who_gives_permissions_stays(site: Site, house: House) -> None:
    administrator, group = await site.as_("yonetici"), await house.group(Job.ADMINISTRATOR)
    page = await administrator.post(f"/yetkiler/grup/{group}", yap="kapat")
    assert page.status_code == 409
    assert "yetki verebilen kimse kalmıyor" in plain(page.text)


# --- dene ----------------------------------------------------------------------------------------------------------


def card(page: str, screen: str) -> str:
    start = page.index(f'data-screen-name="{screen}"')
    return plain(page[start : page.index("</section>", start)])


async def test_trying_shows_screens_buttons_and_limits_and_is_kept(site: Site, house: House) -> None:
    administrator, technician = await site.as_("yonetici"), await house.person("tek")
    await house.put(await house.group(Job.TECHNICIAN), Subject(user_id=technician), "HORMON")
    page = (await administrator.get(f"/yetkiler/kisi/{technician}/dene")).text
    assert "DENEME" in page
    technical = card(page, "Teknik onay")
    assert "açılır" in technical
    assert "onaylanacak sonuçlar Hormon" in technical
    assert "✓ Onayla" in technical
    clinical = card(page, "Klinik onay")
    assert "açılmaz" in clinical
    assert "Eksik: klinik onay" in clinical
    assert "✕ Cihaz kur (cihaz, hat ve eşleştirme tanımlama)" in card(page, "Cihazlar")
    [row] = await deeds(house, "yetki_dene")
    assert row.nesne_kodu == str(technician)


async def test_trying_agrees_with_what_the_person_finds(site: Site, house: House) -> None:
    """For each demonstration user and each screen: "açılır" where he gets 200, "açılmaz" where he gets 403."""
    from api.screens.shell import MENU

    administrator = await site.as_("yonetici")
    for username in ("teknisyen", "uzman", "hekim", "kabul", "yonetici"):
        page = (await administrator.get(f"/yetkiler/kisi/{await id_of(house, username)}/dene")).text
        visitor = await site.as_(username)
        for item in MENU:
            opens = "açılır" in card(page, item.caption)
            assert ((await visitor.get(item.path)).status_code == 200) is opens, (username, item.caption)


# --- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.clause("4.8.4d")
async def test_a_refusal_leads_an_administrator_to_where_it_is_given(site: Site, house: House) -> None:
    answer = await (await site.as_("yonetici")).get("/teknik-onay")
    own = await id_of(house, "yonetici")
    assert answer.status_code == 403
    assert "teknik onay" in answer.text
    assert 'href="/yetkiler/yetki/sonuc.teknik_onay"' in answer.text
    assert f'href="/yetkiler/kisi/{own}?yetki=sonuc.teknik_onay"' in answer.text
    place = await (await site.as_("yonetici")).get(f"/yetkiler/kisi/{own}?yetki=sonuc.teknik_onay")
    assert re.search(r'<option value="sonuc.teknik_onay"[^>]* selected', place.text)
