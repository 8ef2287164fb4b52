"""HIV and its like (9.8.5): who reads it, under which name it is printed, what its patient sees on the internet."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

from lis_core.domain.online import NEUTRAL
from lis_core.domain.permission_templates import Job
from lis_core.services.passwords import hash_password
from lis_core.services.permissions import Subject, add_member
from lis_core.storage.tables import User
from tests.patients.conftest import Ordered, Ward, knock, text_of

PASSWORD = "Sorumlu-Parolasi-41"
POSITIVE, NEGATIVE = "Pozitif 7q31", "Negatif"


@pytest.fixture(scope="module")
async def chief(ward: Ward) -> AsyncIterator[str]:
    """The laboratory's chief, and a technician of haematology only."""
    async with ward.house.database.work(await ward.house.actor("yonetici")) as work:
        for name, job, benches in (("sorumlu", Job.CHIEF, ()), ("hematolog", Job.TECHNICIAN, ("HEMATOLOJI",))):
            row = User(username=name, given_name="Ek", family_name=name, password_hash=await hash_password(PASSWORD))
            work.session.add(row)
            await work.session.flush()
            await add_member(work, await ward.house.group(job), Subject(user_id=row.id), benches)
    await ward.clinic.as_("sorumlu", PASSWORD)
    await ward.clinic.as_("hematolog", PASSWORD)
    yield "sorumlu"


def look(page: str, of: Ordered) -> str:
    """A page without what belongs to this visit and this person alone."""
    page = re.sub(r'name="_form" value="[^"]+"', "", page).replace(of.number, "N")
    page = re.sub(r'content="\d+;url', 'content="url', page)
    return re.sub(r"Sayfa \d\d:\d\d saatinde|\d\d\.\d\d\.\d{4} \d\d:\d\d", "", page)


def paper(pdf: bytes, of: Ordered) -> str:
    """A report without number, times and what belongs to this person."""
    text = " ".join(text_of(pdf).split()).replace(of.number, "N").replace(of.patient["family_name"], "S")
    return re.sub(r"900\*+\d\d|\d\d\.\d\d\.\d{4}( \d\d:\d\d)?", "", text)


@pytest.mark.clause("9.8.5")
@pytest.mark.parametrize("test", ["ANTIHIV", "HBSAG"])
async def test_a_withheld_positive_negative_and_unfinished_one_look_alike(ward: Ward, test: str) -> None:
    """Page and report are the same to the letter: the value, its flag, its range, its time are in neither."""
    positive = await ward.order("GLU", test, GLU="92", **{test: POSITIVE})
    negative = await ward.order("GLU", test, GLU="92", **{test: NEGATIVE})
    measured = await ward.order("GLU", test, GLU="92")
    await ward.clinic.measure(measured.number, **{test: POSITIVE})
    ordered = await ward.order("GLU", test, GLU="92")
    repeated = await ward.order("GLU", test, GLU="92", **{test: POSITIVE})
    result = await ward.clinic.result_id(repeated.number, test)
    assert (await ward.clinic.decide("withdraw", result, "uzman", reason="doğrulama")).status_code == 200
    pages, papers = set(), set()
    for one in (positive, negative, measured, ordered, repeated):
        phone = await ward.enters(one)
        page = await phone.get("/sonuc/istem")
        pages.add(look(page.text, one))
        papers.add(paper((await phone.get("/sonuc/rapor.pdf")).content, one))
        assert NEUTRAL in page.text and "92" in page.text
        assert "Pozitif" not in page.text and "Negatif" not in page.text and "7q31" not in page.text
    assert len(pages) == 1, "\n".join(pages)
    assert len(papers) == 1, "\n".join(papers)
    [text] = papers
    assert NEUTRAL.split(".")[0] in " ".join(text.split())
    assert "Pozitif" not in text and "7q31" not in text


async def test_an_order_of_withheld_tests_alone_has_no_report_before_and_after(ward: Ward) -> None:
    before, after = await ward.order("ANTIHIV"), await ward.order("ANTIHIV", ANTIHIV=POSITIVE)
    for one in (before, after):
        phone = await ward.enters(one)
        assert "Raporu aç" not in (await phone.get("/sonuc/istem")).text
        assert (await phone.get("/sonuc/rapor.pdf")).status_code == 303


@pytest.mark.clause("9.8.5")
async def test_a_confidential_result_is_read_by_its_bench_and_its_physician_and_printed_under_a_code(
    ward: Ward, chief: str
) -> None:
    clinic = ward.clinic
    mine = await ward.order("GLU", "ANTIHIV", GLU="92", ANTIHIV=POSITIVE)
    for who, reads in (
        ("uzman", True), ("hekim", True), ("hematolog", False), ("kabul", False), ("yonetici", False),
    ):  # fmt: skip
        client = await clinic.as_(who, PASSWORD if who == "hematolog" else "Deneme-Parola-1")
        shown = [
            answer.text
            for path in (
                f"/api/v1/orders/{mine.number}",
                f"/api/v1/results?order={mine.number}",
                f"/istem/{mine.number}",
            )
            if (answer := await client.get(path, headers={"accept": "text/html, application/json"})).status_code == 200
        ]
        assert any("7q31" in text for text in shown) is reads, who
        assert all(("7q31" in text) is reads for text in shown if "GLU" in text), who
    line = await clinic.line(mine.number, "ANTIHIV", "hekim")
    assert line["result"]["value"] == POSITIVE
    other = await (await clinic.as_("hematolog", PASSWORD)).get(f"/api/v1/orders/{mine.number}")
    hidden = next(row for row in other.json()["tests"] if row["code"] == "ANTIHIV")
    assert hidden["result"] is None and "gizli" in hidden["withheld"]
    seen = next(row for row in other.json()["tests"] if row["code"] == "GLU")
    assert seen["result"]["value"] == "92"

    for who in ("uzman", "hekim"):
        reader = await clinic.as_(who)
        named = text_of((await reader.get(f"/api/v1/orders/{mine.number}/report.pdf")).content)
        assert mine.patient["family_name"] in named and "92" in named
        assert "7q31" not in named and "kodlu raporda" in named
        coded = text_of((await reader.get(f"/api/v1/orders/{mine.number}/report.pdf?kodlu=1")).content)
        assert "7q31" in coded and mine.number in coded and "92" not in re.sub(r"\d{3,}|\d\d[.:]\d\d", "", coded)
        assert "IŞÇI80" in coded
        for secret in (mine.patient["family_name"], "Işıl", mine.tc, mine.tc[:3] + "*", "17.05.1980"):
            assert secret not in coded
    assert (
        await (await clinic.as_("hematolog", PASSWORD)).get(f"/api/v1/orders/{mine.number}/report.pdf?kodlu=1")
    ).status_code == 409
    assert (
        await (await clinic.as_("kabul")).get(f"/api/v1/orders/{mine.number}/report.pdf?kodlu=1")
    ).status_code == 403
    views = await clinic.sql(
        "select distinct yapan from denetim where islem = 'goruntuledi' and sonraki->'istemler' ? :n", n=mine.number
    )
    assert {"uzman", "hekim", "hematolog"} <= {who for (who,) in views}


async def test_the_emergency_print_bears_no_confidential_result_under_a_name(ward: Ward) -> None:
    placed = await ward.clinic.place("GLU", "ANTIHIV", priority="urgent")
    await ward.clinic.receive(placed)
    await ward.clinic.measure(placed["number"], GLU="92", ANTIHIV=POSITIVE)
    wanted = {"acil": "1", "gerekce": "ameliyata alınıyor"}
    made = await (await ward.clinic.as_("uzman")).get(f"/api/v1/orders/{placed['number']}/report.pdf", params=wanted)
    text = text_of(made.content)
    assert "92" in text and "7q31" not in text


# --- the chief -------------------------------------------------------------------------------------------------------


async def test_the_chief_writes_a_rule_and_the_patient_sees_it_at_once(ward: Ward, chief: str) -> None:
    mine = await ward.order("TSH", "FT4", TSH="2.13", FT4="1.37")
    phone = await ward.enters(mine)
    assert "2.13" in (await phone.get("/sonuc/istem")).text
    desk = await ward.clinic.as_("sorumlu", PASSWORD)
    rule = {"tetkik": "TSH", "kosul": "her", "cumle": "Sonucunuzu hekiminiz açıklayacaktır.", "neden": "kurul kararı 4"}
    for wrong in (
        {"cumle": "Sonuç yüksek çıktı"}, {"neden": " "}, {"kosul": "pozitif"}, {"kosul": "ustunde", "kabul": "1"},
        {"tetkik": "YOK"}, {"grup": "HORMON"}, {"kosul": "bazen"}, {"sinir": "çok"},
    ):  # fmt: skip
        refused = await desk.post("/gizlilik/internet/kural", data=rule | wrong)
        assert refused.status_code == 422, wrong
    assert (await desk.post("/gizlilik/internet/kural", data=rule)).status_code == 303
    page = (await phone.get("/sonuc/istem")).text
    assert "2.13" not in page and "Sonucunuzu hekiminiz açıklayacaktır." in page and "1.37" in page
    [(rule_id,)] = await ward.clinic.sql("select max(cevrimici_kural_kodu) from cevrimici_kural")
    assert (await desk.post(f"/gizlilik/internet/kural/{rule_id}/kaldir")).status_code == 303
    assert "2.13" in (await phone.get("/sonuc/istem")).text
    assert (await desk.post(f"/gizlilik/internet/kural/{rule_id}/kaldir")).status_code == 404
    kept = await ward.clinic.sql(
        "select islem from denetim where nesne_turu = 'cevrimici_kural' and nesne_kodu = :id order by sira",
        id=str(rule_id),
    )
    assert [deed for (deed,) in kept] == ["kaydet", "kaldir"]
    with pytest.raises(Exception, match="degistirilemez"):
        await ward.clinic.sql("update cevrimici_kural set cumle = 'x' where cevrimici_kural_kodu = :id", id=rule_id)


async def test_a_rule_by_value_hides_what_it_says_and_no_more(ward: Ward, chief: str) -> None:
    """The chief has said that he knows what the difference tells: potassium that must be told by a person."""
    desk = await ward.clinic.as_("sorumlu", PASSWORD)
    rule = {"tetkik": "K", "kosul": "ustunde", "sinir": "6,5", "kabul": "1", "neden": "hasta aranarak bildirilir"}
    assert (await desk.post("/gizlilik/internet/kural", data=rule)).status_code == 303
    high, usual = await ward.order("K", K="6.91"), await ward.order("K", K="4.21")
    assert "6.91" not in await ward.sees(high) and NEUTRAL in await ward.sees(high)
    assert "4.21" in await ward.sees(usual)


async def test_a_confirmation_test_is_on_no_page_and_in_no_count(ward: Ward, chief: str) -> None:
    desk = await ward.clinic.as_("sorumlu", PASSWORD)
    rule = {"tetkik": "PSA", "kosul": "her", "gorunum": "yok", "neden": "doğrulama tetkiki"}
    assert (await desk.post("/gizlilik/internet/kural", data=rule)).status_code == 303
    reactive, plain = await ward.order("GLU", "PSA", GLU="92", PSA="4.4"), await ward.order("GLU", GLU="92")
    first, second = await ward.enters(reactive), await ward.enters(plain)
    assert look((await first.get("/sonuc/istem")).text, reactive) == look(
        (await second.get("/sonuc/istem")).text, plain
    )
    papers = [(await phone.get("/sonuc/rapor.pdf")).content for phone in (first, second)]
    assert "PSA" not in text_of(papers[0])


async def test_the_chief_opens_and_closes_the_page_and_sets_its_standards(ward: Ward, chief: str) -> None:
    mine = await ward.order("GLU", GLU="92")
    desk = await ward.clinic.as_("sorumlu", PASSWORD)
    phone = await ward.enters(mine)
    assert (await desk.post("/gizlilik/internet/ayar", data={"deneme": "99", "acik": "1"})).status_code == 422
    assert (await desk.post("/gizlilik/internet/ayar", data={"deneme": "x", "acik": "1"})).status_code == 422
    assert (await desk.post("/gizlilik/internet/ayar", data={"deneme": "3"})).status_code == 303  # not ticked: closed
    assert (await phone.get("/sonuc/istem")).status_code == 303
    closed = await knock(ward.visitor(), mine)
    assert closed.status_code == 403 and "kapalı" in closed.text
    assert "kapalı" in (await ward.visitor().get("/sonuc")).text
    refused = await (await ward.clinic.as_("kabul")).post(f"/istem/{mine.number}/belge", data={"neden": "x"})
    assert refused.status_code == 409
    assert (await desk.post("/gizlilik/internet/ayar", data={"acik": "1"})).status_code == 303
    thief = ward.visitor()
    assert [(await knock(thief, mine, kod="x")).status_code for _ in range(4)] == [403, 403, 403, 429]
    assert (await desk.post("/gizlilik/internet/ayar", data={"acik": "1", "deneme": "5"})).status_code == 303


async def test_the_chiefs_page_tells_what_nobody_has_decided_and_how_often_guessing_was_tried(
    ward: Ward, chief: str
) -> None:
    desk = await ward.clinic.as_("sorumlu", PASSWORD)
    mine = await ward.order("GLU", GLU="92")
    await knock(ward.visitor(), mine, kod="x")
    page = (await desk.get("/gizlilik/internet")).text
    assert "ANTIHIV" in page and 'id="uncovered"' not in page  # HIV is confidential, hepatitis has its rules
    rule = await ward.clinic.sql(
        "select cevrimici_kural_kodu from cevrimici_kural r join tetkik using (tetkik_kodu) where tetkik_kisa_kodu = 'HBSAG'"
    )
    await desk.post(f"/gizlilik/internet/kural/{rule[0][0]}/kaldir")
    uncovered = re.search(r'id="uncovered".*?</p>', (await desk.get("/gizlilik/internet")).text, re.S)
    assert uncovered and "HBSAG" in uncovered[0]
    row = re.search(
        r'id="attempts".*?<tbody><tr><td>[\d.]+</td><td class="num">(\d+)</td><td class="num">(\d+)', page, re.S
    )
    assert row and int(row[1]) >= 0 and int(row[2]) >= 1
    assert (
        await desk.post("/gizlilik/internet/gizli", data={"tetkik": "HBSAG", "gizli": "1", "neden": " "})
    ).status_code == 422
    said = await desk.post("/gizlilik/internet/gizli", data={"tetkik": "HBSAG", "gizli": "1", "neden": "kurul kararı"})
    assert said.status_code == 303
    assert (await ward.clinic.sql("select gizli_mi from tetkik where tetkik_kisa_kodu = 'HBSAG'")) == [(True,)]


async def test_only_the_chief_decides(ward: Ward) -> None:
    for who in ("uzman", "teknisyen", "kabul", "hekim", "yonetici"):
        client = await ward.clinic.as_(who)
        assert (await client.get("/gizlilik/internet")).status_code == 403, who
        assert (await client.post("/gizlilik/internet/ayar", data={"acik": "1"})).status_code == 403, who
