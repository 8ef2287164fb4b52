"""A patient and his results; and everybody who would like to see them as well."""

from __future__ import annotations

import io
import logging
import re
import time

import pytest
import zxingcpp
from PIL import Image
from sqlalchemy import event

from api.patient import pages
from api.patient.slip import make_slip, slip_data
from lis_core.services.patient_access import Blocked
from lis_core.services.patient_access_slips import IssuedSlip
from tests.conftest import DEMO_PASSWORD
from tests.patients.conftest import PHONE, Ordered, Ward, knock, text_of

VALUE = "137.31"
NOBODY = Ordered("99999999", "90000000012", "ABCDE-FGHJK")


async def deeds(ward: Ward, what: str) -> list[tuple[str, dict[str, object], list[int] | None]]:
    rows = await ward.clinic.sql(
        "select adres, sonraki, hastalar from denetim where yapan = 'hasta' and islem = :w order by zincir, sira",
        w=what,
    )
    return [(address, facts, patients) for address, facts, patients in rows]


@pytest.mark.clause("9.8.8a")
@pytest.mark.clause("9.11.12a")
async def test_a_patient_reads_his_approved_results_and_only_those(ward: Ward) -> None:
    mine = await ward.order("GLU", "UREA", "K", GLU=VALUE)
    await ward.clinic.measure(mine.number, UREA="41.77")  # measured, approved by nobody
    other = await ward.order("GLU", GLU="88.18")
    phone = await ward.enters(mine)
    page = await phone.get("/sonuc/istem")
    assert page.status_code == 200
    assert VALUE in page.text and "Glukoz" in page.text
    assert "41.77" not in page.text and page.text.count(pages.PREPARING) >= 2
    assert "88.18" not in page.text and other.number not in page.text
    assert mine.tc not in page.text
    paper = await phone.get("/sonuc/rapor.pdf")
    assert paper.headers["content-type"] == "application/pdf"
    text = text_of(paper.content)
    assert VALUE in text and "41.77" not in text and mine.tc not in text
    seen = await deeds(ward, "goruntuledi")
    assert seen[-1][1]["istemler"] == [mine.number]
    assert len(seen[-1][1]["sonuclar"]) == 1  # type: ignore[arg-type]


@pytest.mark.clause("9.8.8a")
async def test_before_approval_and_after_its_withdrawal_there_is_no_value(ward: Ward) -> None:
    mine = await ward.order("GLU", GLU=VALUE, release=False)
    phone = await ward.enters(mine)
    assert VALUE not in (await phone.get("/sonuc/istem")).text
    assert (await phone.get("/sonuc/rapor.pdf")).headers["location"] == "/sonuc/istem"
    await ward.clinic.release(mine.number, "GLU")
    assert VALUE in (await phone.get("/sonuc/istem")).text
    result = await ward.clinic.result_id(mine.number, "GLU")
    assert (await ward.clinic.decide("withdraw", result, "uzman", reason="yanlış tüp")).status_code == 200
    assert VALUE not in (await phone.get("/sonuc/istem")).text
    assert (await phone.get("/sonuc/rapor.pdf")).status_code == 303


async def test_the_page_is_closed_to_caches_scripts_frames_and_search_engines(ward: Ward) -> None:
    mine = await ward.order("GLU", GLU="92")
    phone = ward.visitor()
    form = await phone.get("/sonuc")
    entered = await knock(phone, mine)
    cookie = entered.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "path=/sonuc" in cookie
    page = await phone.get("/sonuc/istem")
    for answer in (form, entered, page, await phone.get("/sonuc/rapor.pdf")):
        assert answer.headers["cache-control"] == "no-store, private"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "noindex" in answer.headers["x-robots-tag"]
        assert "<script" not in answer.text
        for number in (mine.number, mine.tc):
            assert number not in str(answer.url) and number not in answer.headers.get("location", "")
    assert 'http-equiv="refresh"' in page.text  # a page left open goes by itself


# --- guessing --------------------------------------------------------------------------------------------------------


async def wrong_ways(ward: Ward) -> dict[str, tuple[Ordered, dict[str, str]]]:
    """Every way in which it can be wrong, each with what is typed."""
    mine, other = await ward.order("GLU", GLU="92"), await ward.order("GLU", GLU="93")
    without = await ward.order("GLU", slip=False)
    expired, hidden, unwilling, erased = [await ward.order("GLU", GLU="94") for _ in range(4)]
    sql = ward.clinic.sql
    of_order = "where tetkik_istem_kodu = (select tetkik_istem_kodu from tetkik_istem where numune_numarasi = :n)"
    of_tc = "where tc_kimlik_numarasi = :tc"
    await sql(f"update hasta_erisim_belgesi set bitis_zamani = now() - interval '1 day' {of_order}", n=expired.number)
    await sql(f"update hasta set gizlilik_numarasi = 'G-111111' {of_tc}", tc=hidden.tc)
    desk = await ward.clinic.as_("kabul")
    said = await desk.post(f"/istem/{unwilling.number}/belge/istemiyor", data={"aciklama": "kendisi söyledi"})
    assert said.status_code == 303
    await sql(f"update hasta set anonimlesme_zamani = now() {of_tc}", tc=erased.tc)
    renewed = mine
    mine = await ward.slip(mine, neden="belge kayboldu")
    return {
        "nobody's number": (NOBODY, {}),
        "a number that was never given": (mine, {"numara": str(int(mine.number) + 500)}),
        "no code": (mine, {"kod": ""}),
        "a wrong code": (mine, {"kod": "ABCDE-FGHJK"}),
        "another order's code": (mine, {"kod": other.code}),
        "the code of a slip that was renewed": (renewed, {}),
        "another's identity number": (mine, {"kimlik": other.tc}),
        "no identity number": (mine, {"kimlik": ""}),
        "the name instead of a number": (mine, {"kimlik": "Işıl Çığır"}),
        "the birth date of somebody with a TC number": (mine, {"kimlik": "17.05.1980"}),
        "another's order": (mine, {"numara": other.number}),
        "no slip was given": (without, {"kod": mine.code}),
        "the slip is too old": (expired, {}),
        "he is followed by number": (hidden, {}),
        "he does not want it": (unwilling, {}),
        "his identity was erased": (erased, {}),
        "nothing at all": (Ordered("", ""), {}),
        "letters that no database takes": (mine, {"numara": "\x00'--", "kimlik": "\x00", "kod": "\ud7ff\x00"}),
        "far too much": (mine, {"numara": mine.number + "9" * 5000, "kimlik": "1" * 5000, "kod": "A" * 5000}),
    }


async def test_enumeration_every_wrong_way_gets_the_same_answer_from_the_same_steps(ward: Ward) -> None:
    """Same status, same bytes, same headers, and as many statements to the database in the same order."""
    answers: dict[str, tuple[object, ...]] = {}
    spoken: list[str] = []
    engine = ward.clinic.database.engine.sync_engine

    def listen(_conn: object, _cursor: object, statement: str, *_more: object) -> None:
        spoken.append(statement)

    for name, (of, wrong) in (await wrong_ways(ward)).items():
        phone = ward.visitor()
        spoken.clear()
        event.listen(engine, "before_cursor_execute", listen)
        answer = await knock(phone, of, **wrong)
        event.remove(engine, "before_cursor_execute", listen)
        headers = sorted((key, value) for key, value in answer.headers.items())
        answers[name] = (answer.status_code, answer.content, headers, list(spoken))
        assert "set-cookie" not in answer.headers, name
    expected = answers["nobody's number"]
    assert expected[0] == 403
    for name, answer_seen in answers.items():
        assert answer_seen == expected, name


async def test_what_was_wrong_is_told_to_the_audit_alone(ward: Ward) -> None:
    mine = await ward.order("GLU", GLU="92")
    phone = ward.visitor("10.99.0.1")
    await knock(phone, mine, kod="ABCDE-FGHJK")
    await knock(phone, NOBODY)
    refused = [row for row in await deeds(ward, "hasta_girisi_reddi") if row[0] == "10.99.0.1"]
    [(patient,)] = await ward.clinic.sql("select hasta_kodu from hasta where tc_kimlik_numarasi = :tc", tc=mine.tc)
    assert [(facts["neden"], facts["istem"], patients) for _, facts, patients in refused] == [
        ("kod", mine.number, [patient]),
        ("istem yok, belge yok, kimlik numarası, kod", None, None),
    ]
    await knock(phone, mine)
    entered = [row for row in await deeds(ward, "hasta_girisi") if row[0] == "10.99.0.1"]
    assert [(facts["istem"], patients) for _, facts, patients in entered] == [(mine.number, [patient])]
    kept = await ward.clinic.sql(
        "select kullanici_adi from basarisiz_giris where kullanici_adi like '%' || :tc || '%'", tc=mine.tc
    )
    audit = await ward.clinic.sql(
        "select 1 from denetim where yapan = 'hasta' and (onceki::text || sonraki::text) like '%' || :tc || '%'",
        tc=mine.tc,
    )
    assert kept == audit == []
    assert await ward.clinic.sql("select * from denetim_dogrula()") == []


@pytest.mark.clause("9.8.8b")
async def test_five_wrong_attempts_lock_the_door_for_whoever_made_them(ward: Ward) -> None:
    """The right data do not help him either; the patient comes in from his own telephone all the same."""
    mine = await ward.order("GLU", GLU=VALUE)
    thief = ward.visitor("10.99.0.2")
    for _ in range(5):
        assert (await knock(thief, mine, kod="ABCDE-FGHJK")).status_code == 403
    locked = await knock(thief, mine)
    assert locked.status_code == 429 and int(locked.headers["retry-after"]) > 800
    assert VALUE not in locked.text
    nobody = ward.visitor("10.99.0.3")
    for _ in range(5):
        await knock(nobody, NOBODY)
    unknown = await knock(nobody, NOBODY)  # a number that does not exist locks in the same words
    strip = re.compile(r"\d+ saniye")
    assert (unknown.status_code, strip.sub("", unknown.text)) == (429, strip.sub("", locked.text))
    assert VALUE in await ward.sees(mine)
    waited = [facts for address, facts, _ in await deeds(ward, "hasta_girisi_bekletildi") if address == "10.99.0.2"]
    assert waited == [{"yer": "10.99.0.2", "deneme": 1}]
    assert await ward.clinic.sql("select 1 from denetim where islem = 'giris_bekletme' and adres = '10.99.0.2'")
    await ward.clinic.sql("update basarisiz_giris set son_deneme = son_deneme - interval '16 minutes'")
    assert (await knock(thief, mine)).status_code == 303  # the lock ends by itself


async def test_brute_force_over_order_numbers_stops_at_the_address(ward: Ward) -> None:
    """One guess each at thirty numbers, then the address waits, whatever number comes next; its /64 is one address."""
    mine = await ward.order("GLU", GLU="92")
    statuses = []
    for n in range(33):
        robot = ward.visitor(f"2001:db8:7:7::{n + 1:x}")
        statuses.append((await knock(robot, mine, numara=str(26_800_000 + n), kimlik=str(n))).status_code)
    assert statuses[:30] == [403] * 30
    assert 429 in statuses[30:]
    assert (await knock(ward.visitor("2001:db8:7:8::1"), mine)).status_code == 303
    staff = ward.visitor("2001:db8:7:7::1")  # who signs in from there is not slowed by it
    signed = await staff.post("/giris", data={"kullanici": "teknisyen", "parola": DEMO_PASSWORD})
    assert signed.status_code == 303


async def test_brute_force_of_one_patients_number_over_many_orders_stops_too(ward: Ward) -> None:
    mine = await ward.order("GLU", GLU="92")
    robot = ward.visitor("10.99.0.4")
    statuses = [(await knock(robot, mine, numara=str(26_810_000 + n))).status_code for n in range(6)]
    assert statuses == [403] * 5 + [429]


async def test_guessing_with_an_own_slip_in_between_does_not_wash_the_address_clean(ward: Ward) -> None:
    own, victim = await ward.order("GLU", GLU="92"), await ward.order("GLU", GLU="93")
    robot = ward.visitor("10.99.0.5")
    for _ in range(5):
        await knock(robot, victim, kod="ABCDE-FGHJK")
        assert (await knock(robot, own)).status_code == 303
    assert (await knock(robot, victim)).status_code == 429


async def test_no_answer_comes_sooner_than_another(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = await ward.order("GLU", GLU="92")
    monkeypatch.setattr(pages, "ANSWER_SECONDS", 0.3)
    for of, wrong in ((NOBODY, {}), (mine, {"kod": "ABCDE-FGHJK"}), (mine, {})):
        phone = ward.visitor()
        started = time.monotonic()
        await knock(phone, of, **wrong)
        assert time.monotonic() - started >= 0.29


def test_a_flood_of_locked_attempts_is_counted_and_does_not_fill_the_audit() -> None:
    from datetime import UTC, datetime, timedelta

    blocked, now = Blocked(), datetime(2026, 1, 1, tzinfo=UTC)
    assert blocked.note("10.0.0.1", now) == 1
    assert [blocked.note("10.0.0.1", now + timedelta(seconds=n)) for n in range(1, 59)] == [None] * 58
    assert blocked.note("10.0.0.2", now) == 1
    assert blocked.note("10.0.0.1", now + timedelta(seconds=61)) == 59
    for n in range(20_000):
        blocked.note(f"10.1.{n // 250}.{n % 250}", now)
    assert len(blocked._places) == 10_000


async def test_another_sites_form_is_refused(ward: Ward) -> None:
    mine = await ward.order("GLU", GLU="92")
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "http://kotu.test"}):
        phone = ward.visitor(**headers)
        assert (await knock(phone, mine)).status_code == 403
        assert "numune_hasta" not in phone.cookies


# --- visits ----------------------------------------------------------------------------------------------------------


@pytest.mark.clause("9.8.8b")
@pytest.mark.clause("9.11.12b")
async def test_a_visit_opens_its_own_order_and_no_other_whatever_is_asked(ward: Ward) -> None:
    mine, other = await ward.order("GLU", GLU="92"), await ward.order("GLU", GLU=VALUE)
    phone = await ward.enters(mine)
    for path in (
        f"/sonuc/istem?numara={other.number}",
        f"/sonuc/istem/{other.number}",
        f"/sonuc/rapor.pdf?numara={other.number}&istem={other.number}",
        f"/istem/{other.number}",
        f"/api/v1/orders/{other.number}",
        f"/api/v1/orders/{other.number}/report.pdf",
        f"/api/v1/orders/{mine.number}",  # the patient's cookie is no session of the staff's screens
        "/istemler",
    ):
        answer = await phone.get(path)
        shown = text_of(answer.content) if answer.content.startswith(b"%PDF") else answer.text
        assert VALUE not in shown and other.tc not in shown, path
        if not path.startswith("/sonuc/"):
            assert answer.status_code in (303, 401), path
    refused = await knock(phone, other, kod=mine.code)
    assert refused.status_code == 403
    assert (await deeds(ward, "hasta_girisi_reddi"))[-1][1]["istem"] == other.number  # refused and logged


async def test_a_stolen_or_ended_visit_opens_nothing(ward: Ward) -> None:
    mine = await ward.order("GLU", GLU=VALUE)
    phone = await ward.enters(mine)
    secret = phone.cookies["numune_hasta"]

    def with_secret(agent: str = PHONE) -> object:
        return ward.visitor(agent=agent, cookie=f"numune_hasta={secret}")

    thief = with_secret("Mozilla/5.0 (Windows NT 10.0) Firefox/130.0")
    assert (await thief.get("/sonuc/istem")).status_code == 303  # type: ignore[attr-defined]
    assert (await phone.get("/sonuc/istem")).status_code == 303  # ended for both
    assert (await deeds(ward, "hasta_oturumu_reddi"))[-1][1]["istem"] == mine.number
    assert (await ward.visitor(cookie="numune_hasta=uydurma").get("/sonuc/istem")).status_code == 303

    phone = await ward.enters(mine)
    secret = phone.cookies["numune_hasta"]
    token = re.search(r'name="_form" value="([^"]+)"', (await phone.get("/sonuc/istem")).text)
    assert token
    assert (await phone.post("/sonuc/cikis", data={"_form": "x"})).status_code == 403
    left = await phone.post("/sonuc/cikis", data={"_form": token[1]})
    assert left.headers["location"] == "/sonuc"
    assert (await with_secret().get("/sonuc/istem")).status_code == 303  # type: ignore[attr-defined]
    assert (await with_secret().get("/sonuc/rapor.pdf")).status_code == 303  # type: ignore[attr-defined]


@pytest.mark.clause("9.11.12b")
@pytest.mark.parametrize(
    "change",
    [
        "update hasta_oturumu set son_kullanim = now() - interval '6 minutes'",
        "update hasta_oturumu set bitis_zamani = now() - interval '1 second'",
        "update hasta_erisim_belgesi set bitis_zamani = now() where kapanma_zamani is null",
        "update hasta_erisim_belgesi set kapanma_zamani = now() where kapanma_zamani is null",
        "update hasta set gizlilik_numarasi = 'G-2' where tc_kimlik_numarasi = :tc",
        "update hasta set anonimlesme_zamani = now() where tc_kimlik_numarasi = :tc",
    ],
)
async def test_a_visit_ends_with_its_time_its_slip_and_its_patients_wish(ward: Ward, change: str) -> None:
    mine = await ward.order("GLU", GLU=VALUE)
    phone = await ward.enters(mine)
    assert VALUE in (await phone.get("/sonuc/istem")).text
    await ward.clinic.sql(change, **({"tc": mine.tc} if ":tc" in change else {}))
    ended = await phone.get("/sonuc/istem")
    assert (ended.status_code, ended.headers["location"]) == (303, "/sonuc?bitti=1")
    await ward.clinic.sql("update hasta set gizlilik_numarasi = null where gizlilik_numarasi = 'G-2'")


# --- patients without a TC number --------------------------------------------------------------------------------------


async def test_a_foreigner_uses_the_passport_and_a_newborn_the_day_of_birth(ward: Ward) -> None:
    mine = await ward.order("GLU", GLU=VALUE)
    await ward.clinic.sql(
        "update hasta set tc_kimlik_numarasi = null, pasaport_numarasi = 'U-1234567' where tc_kimlik_numarasi = :tc",
        tc=mine.tc,
    )
    assert (await knock(ward.visitor(), mine)).status_code == 403
    await ward.enters(mine, kimlik="u 1234567")
    await ward.clinic.sql(
        "update hasta set pasaport_numarasi = null, hbys_hasta_numarasi = 'H-77', dogum_tarihi = '2026-11-01' "
        "where pasaport_numarasi = 'U-1234567'"
    )
    assert (await knock(ward.visitor(), mine, kimlik="U1234567")).status_code == 403
    await ward.enters(mine, kimlik="01.11.2026")
    await ward.enters(mine, kimlik="h77")
    again = await ward.slip(mine, neden="eski belge ıslandı")
    assert "Hastane hasta numaranız ya da doğum tarihi" in " ".join(text_of(again.slip).split())


async def test_a_merged_record_keeps_its_results_and_its_wish(ward: Ward) -> None:
    """Two records become one: the slip goes on with the survivor's number; a refusal of either holds for both."""
    mine, other = await ward.order("GLU", GLU=VALUE), await ward.order("GLU", slip=False)
    await ward.clinic.sql(
        "update tetkik_istem set hasta_kodu = (select hasta_kodu from hasta where tc_kimlik_numarasi = :kept) "
        "where numune_numarasi = :n",
        kept=other.tc,
        n=mine.number,
    )
    await ward.clinic.sql(
        "update hasta set birlestigi_hasta_kodu = (select hasta_kodu from hasta where tc_kimlik_numarasi = :kept) "
        "where tc_kimlik_numarasi = :tc",
        kept=other.tc,
        tc=mine.tc,
    )
    assert (await knock(ward.visitor(), mine)).status_code == 403
    phone = await ward.enters(mine, kimlik=other.tc)
    await ward.clinic.sql(
        "insert into cevrimici_ret (hasta_kodu, aciklama, ekleyen_kullanici_kodu) "
        "select hasta_kodu, 'x', (select min(kullanici_kodu) from kullanici) from hasta where tc_kimlik_numarasi = :tc",
        tc=mine.tc,
    )
    assert (await phone.get("/sonuc/istem")).status_code == 303
    assert (await knock(ward.visitor(), mine, kimlik=other.tc)).status_code == 403


# --- the slip --------------------------------------------------------------------------------------------------------


async def test_the_slip_says_what_is_needed_and_nothing_that_a_finder_could_use(ward: Ward) -> None:
    mine = await ward.order("GLU", GLU="92")
    text = text_of(mine.slip)
    assert mine.number in text and "http://numune.test/sonuc" in text
    for secret in (mine.tc, mine.patient["given_name"], mine.patient["family_name"], "1980", "Glukoz"):
        assert secret not in text
    given = IssuedSlip(mine.number, "K7MPA4RTC9", "Iş** Çı***", "T.C. kimlik numaranız", *_days())
    picture = await make_slip(slip_data(given, "Merkez Laboratuvarı", "https://lab.ornek.gov.tr/sonuc"), "png")
    read = {found.format.name: found.text for found in zxingcpp.read_barcodes(Image.open(io.BytesIO(picture)))}
    assert read == {"QRCode": "https://lab.ornek.gov.tr/sonuc", "Code128": mine.number}
    stored = await ward.clinic.sql("select kod_ozeti from hasta_erisim_belgesi")
    assert all(mine.code.encode() not in bytes(row[0]) and len(row[0]) == 32 for row in stored)


def _days() -> tuple[object, object]:
    from datetime import UTC, datetime

    return datetime(2026, 11, 22, tzinfo=UTC), datetime(2027, 1, 21, tzinfo=UTC)


async def test_a_second_slip_needs_a_reason_and_ends_the_first(ward: Ward) -> None:
    mine = await ward.order("GLU", GLU=VALUE)
    desk = await ward.clinic.as_("kabul")
    bare = await desk.post(f"/istem/{mine.number}/belge", data={"neden": "  "})
    assert bare.status_code == 409 and "NUM-0073" not in bare.text and "daha önce verilmiş" in bare.text
    await ward.enters(mine)  # still good
    again = await ward.slip(mine, neden="belge kayboldu")
    assert (await knock(ward.visitor(), mine)).status_code == 403
    assert VALUE in await ward.sees(again)
    given = await ward.clinic.sql(
        "select yapan, sonraki->>'neden' from denetim where islem = 'hasta_belgesi' and sonraki->>'istem' = :n order by sira",
        n=mine.number,
    )
    assert given == [("kabul", ""), ("kabul", "belge kayboldu")]
    page = await desk.get(f"/istem/{mine.number}/belge")
    assert "1 kez açıldı" in page.text and mine.code not in page.text and again.code not in page.text


async def test_who_may_hand_out_slips(ward: Ward) -> None:
    mine = await ward.order("GLU", slip=False)
    for who, status in (("yonetici", 403), ("ailehekimi", 403), ("hekim", 200)):
        answer = await (await ward.clinic.as_(who)).post(f"/istem/{mine.number}/belge")
        assert answer.status_code == status, who


async def test_a_patient_who_does_not_want_it_is_on_no_page(ward: Ward) -> None:
    mine = await ward.order("GLU", GLU=VALUE)
    phone = await ward.enters(mine)
    desk = await ward.clinic.as_("kabul")
    address = f"/istem/{mine.number}/belge"
    assert (await desk.post(f"{address}/istemiyor", data={"aciklama": " "})).status_code == 422
    assert (await desk.post(f"{address}/istemiyor", data={"aciklama": "kendisi söyledi"})).status_code == 303
    assert (await phone.get("/sonuc/istem")).status_code == 303
    refused = await desk.post(address, data={"neden": "yine de"})
    assert refused.status_code == 409 and "istemiyor" in refused.text
    assert (await desk.post(f"{address}/istemiyor", data={"aciklama": "yine"})).status_code == 409
    assert (await desk.post(f"{address}/istiyor", data={"aciklama": "fikrini değiştirdi"})).status_code == 303
    assert (await knock(ward.visitor(), mine)).status_code == 403  # the old slip stays ended
    assert VALUE in await ward.sees(await ward.slip(mine, neden="yeniden istedi"))


async def test_the_logs_of_the_page_name_nobody(ward: Ward, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for noisy in ("sqlalchemy.engine", "psycopg", "httpx", "httpcore", "fontTools"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    mine = await ward.order("GLU", GLU=VALUE)
    phone = await ward.enters(mine)
    await phone.get("/sonuc/istem")
    await phone.get("/sonuc/rapor.pdf")
    await knock(ward.visitor(), mine, kod="ABCDE-FGHJK")
    said = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    for word in (mine.tc, mine.code, VALUE, mine.patient["family_name"]):
        assert word not in said
