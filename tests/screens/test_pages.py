"""Every screen for every role: the screen or a proper refusal, no value before its time, no name that becomes code."""

from __future__ import annotations

import re

import pytest

from lis_core.domain.states import Priority
from tests.screens.conftest import ROLES, Site
from tests.screens.scenario import Lab, person

SCREENS = {
    "/teknik-onay": {"teknisyen", "uzman"},
    "/klinik-onay": {"uzman"},
    "/istem": {"hekim", "ailehekimi", "kabul", "teknisyen", "uzman"},
    "/istem/yeni": {"hekim", "ailehekimi", "kabul", "teknisyen", "uzman"},
    "/kabul": {"kabul", "teknisyen", "uzman"},
    "/kabul?is=alindi": {"kabul", "teknisyen", "uzman", "hekim", "ailehekimi"},
    "/istemler": set(ROLES),
    "/eslesmeyen": {"teknisyen", "uzman"},
    "/cihazlar": {"teknisyen", "uzman", "yonetici"},
    "/yardim": set(ROLES),
    "/bildirimler": set(ROLES),
}
HOMES = {
    "teknisyen": "/teknik-onay",
    "uzman": "/klinik-onay",
    "hekim": "/istem",
    "ailehekimi": "/istem",
    "kabul": "/kabul",
    "yonetici": "/cihazlar",
}


@pytest.mark.parametrize("username", ROLES)
async def test_each_role_gets_its_screens_and_a_proper_refusal_for_the_others(site: Site, username: str) -> None:
    visitor = await site.as_(username)
    for path, allowed in SCREENS.items():
        answer = await visitor.get(path)
        if path == "/kabul" and username in ("hekim", "ailehekimi"):
            assert answer.status_code == 200 and "Numune alma" in answer.text  # clinicians draw, they do not accept
            continue
        assert answer.status_code == (200 if username in allowed else 403), (username, path)
        if username not in allowed:
            assert "NUM-0004" in answer.text and "Kendi ekranıma dön" in answer.text


@pytest.mark.parametrize("username", ROLES)
async def test_after_signing_in_each_role_lands_on_its_own_work(site: Site, username: str) -> None:
    async with site.stranger() as client:
        answer = await client.post("/giris", data={"kullanici": username, "parola": "Deneme-Parola-1"})
        assert answer.status_code == 303
        assert answer.headers["location"] == HOMES[username]
        assert (await client.get("/")).headers["location"] == HOMES[username]


async def test_a_stranger_is_asked_to_sign_in_and_comes_back_to_where_he_wanted(site: Site) -> None:
    async with site.stranger() as client:
        away = await client.get("/istemler")
        assert away.status_code == 303 and away.headers["location"].startswith("/giris?sonraki=")
        back = await client.post(
            "/giris", data={"kullanici": "hekim", "parola": "Deneme-Parola-1", "sonraki": "/istemler"}
        )
        assert back.headers["location"] == "/istemler"


async def test_a_wrong_password_stays_on_the_form_and_tells_nothing_about_the_name(site: Site) -> None:
    async with site.stranger() as client:
        sentences = set()
        for name in ("hekim", "yokboylebiri"):
            answer = await client.post("/giris", data={"kullanici": name, "parola": "yanlış"})
            assert answer.status_code == 401
            found = re.search(r'role="alert">([^<]+)<', answer.text)
            assert found
            sentences.add(found[1].strip())
        assert len(sentences) == 1


async def test_signing_in_never_leads_to_another_site(site: Site) -> None:
    async with site.stranger() as client:
        answer = await client.post(
            "/giris", data={"kullanici": "kabul", "parola": "Deneme-Parola-1", "sonraki": "//kotu.example/"}
        )
        assert answer.headers["location"] == "/kabul"


async def test_an_unknown_address_and_an_unknown_order_are_pages_that_say_what_to_do(site: Site) -> None:
    visitor = await site.as_("teknisyen")
    for path in ("/boyle-bir-sayfa-yok", "/istem/999999999"):
        answer = await visitor.get(path)
        assert answer.status_code == 404
        assert "bulunamadı" in answer.text and "Kendi ekranıma dön" in answer.text


async def test_a_form_without_the_pages_token_is_refused(site: Site) -> None:
    visitor = await site.as_("kabul")
    answer = await visitor.client.post("/kabul/okut", data={"metin": "100101"})
    assert answer.status_code == 403
    assert "NUM-0010" in answer.text


@pytest.mark.clause("9.7.8c")
async def test_no_value_is_on_any_screen_of_an_outsider_before_clinical_approval(site: Site, story: Lab) -> None:
    """The value 173.25 exists; technician and specialist see it, nobody else, on no page and in no part of one."""
    placed = await story.order(["GLU", "K"], by="hekim", priority=Priority.URGENT)
    await story.receive(placed)
    await story.measure(placed.number, {"GLU": "173.25", "K": "4.1"})
    n = placed.number
    async with story.database.reading() as session:
        from lis_core.views.boards import raw_messages

        message = (await raw_messages(session, instrument="genel"))[0].id
    glu = await _row(site, n, "GLU")
    pages = [
        f"/istem/{n}",
        f"/istem/{n}/govde",
        f"/istem/{n}/tetkik/{glu}",
        f"/istem/{n}/etiket",
        "/istem",
        "/istemler?ara=" + n,
        "/kabul/tup?barkod=" + placed.specimens[0].barcode,
        "/cihazlar/genel",
        f"/cihazlar/mesaj/{message}",
        "/bildirimler",
        f"/teknik-onay/{n}",
        f"/klinik-onay/{n}",
        f"/klinik-onay/{n}/grafik?tetkik={glu}",
    ]
    for stage in ("resulted", "technically approved"):
        for username in ("hekim", "ailehekimi", "kabul", "yonetici"):
            visitor = await site.as_(username)
            for path in pages:
                answer = await visitor.get(path)
                assert "173.25" not in answer.text, (stage, username, path)
        own = await (await site.as_("hekim")).get(f"/istem/{n}")
        assert own.status_code == 200 and "çalışılıyor" in own.text
        assert "173.25" in (await (await site.as_("teknisyen")).get(f"/teknik-onay/{n}")).text
        if stage == "resulted":
            assert "173.25" not in (await (await site.as_("uzman")).get(f"/klinik-onay/{n}")).text
            await story.approve(n, clinically=False)
    assert "173.25" in (await (await site.as_("uzman")).get(f"/klinik-onay/{n}")).text

    await story.approve_clinically(n)
    assert "173.25" in (await (await site.as_("hekim")).get(f"/istem/{n}")).text
    for username in ("ailehekimi", "kabul"):  # not his patient; works with tubes only
        assert "173.25" not in (await (await site.as_(username)).get(f"/istem/{n}")).text


async def _row(site: Site, number: str, code: str) -> str:
    page = await (await site.as_("teknisyen")).get(f"/teknik-onay/{number}")
    found = re.search(rf'data-row="(\d+)" data-result="\d*" data-code="{code}"', page.text)
    assert found, page.text
    return found[1]


async def test_a_run_that_nobody_approved_stays_in_the_laboratory(site: Site, story: Lab) -> None:
    """A first run of 611.5 was repeated; the physician sees the released value and no trace of the other."""
    placed = await story.order(["GLU"], by="hekim")
    await story.receive(placed)
    await story.measure(placed.number, {"GLU": "611.5"})
    visitor = await site.as_("teknisyen")
    first = (await story.results(placed.number))[0]
    answer = await visitor.post(
        f"/teknik-onay/{placed.number}/tekrar", sonuc=str(first), tekrar_nedeni="611.5 olamaz, pıhtı şüphesi"
    )
    assert answer.status_code == 200, answer.text
    await story.measure(placed.number, {"GLU": "93"})
    assert "611.5" in (await visitor.get(f"/teknik-onay/{placed.number}")).text
    await story.approve(placed.number)

    row = await _row(site, placed.number, "GLU")
    physician = await site.as_("hekim")
    for path in (f"/istem/{placed.number}", f"/istem/{placed.number}/tetkik/{row}"):
        answer = await physician.get(path)
        assert "93" in answer.text and "611.5" not in answer.text


async def test_a_specialist_of_another_laboratory_sees_what_is_approved_and_nothing_else(
    site: Site, story: Lab
) -> None:
    """9.7.1b: authorised for chemistry only, the haemoglobin appears once it is released."""
    await story.limit("uzman", "BIYOKIMYA")
    placed = await story.order(["GLU", "HGB"], by="hekim")
    await story.receive(placed)
    await story.measure(placed.number, {"GLU": "92", "HGB": "13.37"})
    await story.approve(placed.number, clinically=False)

    visitor = await site.as_("uzman")
    page = (await visitor.get(f"/klinik-onay/{placed.number}")).text
    assert "GLU" in page and "13.37" not in page
    assert "13.37" not in (await visitor.get("/klinik-onay")).text


HOSTILE = '<img src=x onerror="alert(1)">'


async def test_a_hostile_name_is_text_on_every_screen(site: Site, story: Lab) -> None:
    patient = person(given_name=HOSTILE, family_name="'; drop--<script>alert(2)</script>")
    placed = await story.order(["GLU"], by="hekim", patient=patient, clinical={"not": HOSTILE})
    await story.receive(placed)
    await story.measure(placed.number, {"GLU": "<script>1"}, flags={"GLU": [HOSTILE]})
    await story.measure(HOSTILE, {"GLU": HOSTILE})
    n = placed.number
    paths = {
        "teknisyen": ["/teknik-onay", f"/teknik-onay/{n}", "/eslesmeyen", "/cihazlar/genel", "/kabul", "/istemler"],
        "hekim": ["/istem", f"/istem/{n}", f"/istem/{n}/etiket", f"/istem/hasta?tc={patient.tc}"],
    }
    for username, listed in paths.items():
        for path in listed:
            page = (await (await site.as_(username)).get(path)).text
            assert "<img src=x" not in page, path
            assert "<script>alert" not in page and "<script>1" not in page, path
    assert "&lt;img src=x" in (await (await site.as_("hekim")).get(f"/istem/{n}")).text


async def test_pages_hold_no_script_or_style_of_their_own(site: Site, story: Lab) -> None:
    """The content security policy allows neither; a page that needed one would be broken."""
    placed = await story.order(["BIYO", "CBC"], by="hekim")
    await story.receive(placed)
    await story.measure(placed.number, {"GLU": "92", "K": "7.1"})
    visitor = await site.as_("uzman")
    for path in (
        "/teknik-onay",
        f"/teknik-onay/{placed.number}",
        f"/istem/{placed.number}",
        "/cihazlar",
        "/istem/yeni",
    ):
        answer = await visitor.get(path)
        assert not re.search(r"\sstyle=|<style|\son[a-z]+=|javascript:", answer.text), path
        assert not re.search(r"https?://(?!www\.w3\.org)", answer.text), path
        assert "script-src 'self'" in answer.headers["content-security-policy"]


async def test_every_screen_has_its_help(site: Site) -> None:
    visitor = await site.as_("uzman")
    for key in ("technical", "clinical", "orders", "acceptance", "search", "instruments", "unmatched"):
        answer = await visitor.get(f"/yardim/{key}", part=True)
        assert answer.status_code == 200 and len(answer.text) > 300
    assert (await visitor.get("/yardim/yok", part=True)).status_code == 404


async def test_the_administrator_sees_traffic_without_its_values(site: Site, story: Lab) -> None:
    """An engineer needs codes, states and problems; the bytes carry results that nobody has approved."""
    placed = await story.order(["GLU"], by="hekim")
    await story.measure(placed.number, {"GLU": "187.5"})
    page = (await (await site.as_("yonetici")).get("/cihazlar/genel")).text
    found = re.search(r"/cihazlar/mesaj/(\d+)", page)
    assert found
    message = (await (await site.as_("yonetici")).get(f"/cihazlar/mesaj/{found[1]}")).text
    assert "GLU" in message and placed.number in message
    assert "187.5" not in message and "laboratuvar görevlileri görür" in message
    assert "187.5" in (await (await site.as_("teknisyen")).get(f"/cihazlar/mesaj/{found[1]}")).text
