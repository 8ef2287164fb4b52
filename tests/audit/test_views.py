"""Whoever sees a result leaves a row: who, whose, which order, on which page. Generated from the application."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import openpyxl
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from psycopg import Error
from pypdf import PdfReader

from api.app import create_app
from api.exports import as_csv, as_xlsx, safe_cell
from lis_core.services import audit
from lis_core.settings import Settings
from lis_core.storage.database import Actor, Database
from tests.api.conftest import Clinic, person
from tests.conftest import DEMO_PASSWORD
from tests.services import steps

SECRET = {"GLU": "417.25", "K": "5.913"}
"""Values that stand nowhere else: a page that holds one of them shows a result."""


@pytest.fixture
async def clinic(lab: Database) -> AsyncIterator[Clinic]:
    made = Clinic(create_app(lab, Settings()), lab)
    yield made
    await made.close()


def routes(holder: Any, prefix: str = "") -> Iterator[tuple[str, APIRoute]]:
    """Every handler of the application with its whole path, whatever it is wrapped in."""
    for route in holder.routes:
        if isinstance(route, APIRoute):
            yield prefix + route.path, route
        elif hasattr(route, "original_router"):
            yield from routes(route.original_router, prefix + (route.include_context.prefix or ""))


def readers(app: FastAPI) -> list[str]:
    return sorted({path for path, route in routes(app.router) if "GET" in route.methods} - {"/olay"})


class Case:
    """An order with an approved and an unapproved value and one that waits unmatched; what addresses may name of it."""

    def __init__(self, placed: dict[str, Any]) -> None:
        self.number = str(placed["number"])
        self.barcode = str(placed["specimens"][0]["barcode"])
        self.names: dict[str, str] = {}

    def address(self, path: str) -> str:
        for name, value in self.names.items():
            path = path.replace(f"{{{name}}}", value)
        return path + QUERIES.get(path.split("?")[0], "")


QUERIES = {
    "/istem/hasta": "?tc={tc}",
    "/api/v1/patients": "?q=gorulen",
    "/okut": "?metin=1",
    "/istem/numara": "?metin=1",
}


async def a_case(clinic: Clinic) -> Case:
    who = person(given_name="Gizem", family_name="Görülen")
    placed = await clinic.place("GLU", "K", by="hekim", patient=who)
    await clinic.receive(placed)
    case = Case(placed)
    await clinic.measure(case.barcode, **SECRET)
    await clinic.measure("424242", GLU="998.71")
    await clinic.release(case.number, "GLU")
    [(message, test)] = await clinic.sql("select max(ham_mesaj_kodu), max(istem_tetkik_kodu) from tetkik_sonuc")
    [(unmatched,)] = await clinic.sql("select max(eslesmeyen_sonuc_kodu) from eslesmeyen_sonuc")
    case.names = {
        "number": case.number, "barcode": case.barcode, "message_id": str(message), "ordered_test_id": str(test),
        "unmatched_id": str(unmatched), "code": "genel", "key": "orders", "access_id": "1", "patient_id": "1", "id": "1",
    }  # fmt: skip
    QUERIES["/istem/hasta"] = f"?tc={who['tc']}"
    return case


async def at_the_desk(clinic: Clinic, username: str) -> httpx.AsyncClient:
    client = clinic.anonymous()
    answer = await client.post("/giris", data={"kullanici": username, "parola": DEMO_PASSWORD})
    assert answer.status_code in (200, 303)
    return client


def text_of(answer: httpx.Response) -> str:
    if answer.headers.get("content-type") == "application/pdf":
        return "".join(page.extract_text() for page in PdfReader(io.BytesIO(answer.content)).pages)
    return answer.text


async def rows_of(clinic: Clinic, who: str) -> list[Any]:
    return await clinic.sql(
        "select nesne_kodu, sonraki, hastalar from denetim where islem = 'goruntuledi' and yapan = :who order by sira",
        who=who,
    )


async def test_every_page_that_shows_a_value_leaves_one_row(clinic: Clinic) -> None:
    """Every address that can be read, asked by a specialist and by the physician; a new one is in it by itself."""
    case = await a_case(clinic)
    values = (*SECRET.values(), "998.71")
    showed: set[str] = set()
    silent: set[tuple[str, str]] = set()
    for username in ("uzman", "hekim", "yonetici"):
        client = await at_the_desk(clinic, username)
        token = (await clinic.as_(username)).headers["Authorization"]
        for path in readers(clinic.app):
            before = len(await rows_of(clinic, username))
            headers = {"Authorization": token} if path.startswith("/api/") else {}
            answer = await client.get(case.address(path), headers=headers)
            written = (await rows_of(clinic, username))[before:]
            assert len(written) <= 1, path
            if answer.status_code == 200 and any(value in text_of(answer) for value in values):
                showed.add(path)
                if not written:
                    silent.add((username, path))
        await client.aclose()
    assert not silent, "a value was seen and the audit does not know"
    assert {"/istem/{number}", "/teknik-onay/liste", "/klinik-onay/{number}", "/api/v1/results", "/eslesmeyen",
            "/api/v1/orders/{number}", "/api/v1/orders/{number}/report.pdf", "/cihazlar/mesaj/{message_id}"} <= showed  # fmt: skip
    assert await clinic.sql("select * from denetim_dogrula()") == []


async def test_a_list_of_many_results_is_one_row_with_their_ids(clinic: Clinic) -> None:
    for _ in range(5):
        placed = await clinic.place("GLU", "K", "UREA")
        await clinic.receive(placed)
        await clinic.measure(placed["specimens"][0]["barcode"], GLU="93", K="4.1", UREA="30")
    await (await clinic.as_("uzman")).get("/api/v1/results")
    [(route, facts, patients)] = await rows_of(clinic, "uzman")
    assert route == "/api/v1/results"
    assert len(facts["sonuclar"]) == 15
    assert len(facts["istemler"]) == len(patients) == 5
    assert "93" not in str(facts["istemler"])


@pytest.mark.clause("4.8.7")
async def test_who_did_what_is_found_by_person_by_day_and_by_record(clinic: Clinic) -> None:
    """The operations of the test are all there, whichever way one asks."""
    case = await a_case(clinic)
    await (await clinic.as_("hekim")).get(f"/api/v1/orders/{case.number}")
    chief = await at_the_desk(clinic, "yonetici")
    page = await chief.get(f"/denetim?hasta={case.barcode}&islem=goruntuledi")
    assert page.status_code == 200
    assert page.text.count("<td>hekim") == 1
    assert case.number in page.text
    assert SECRET["GLU"] not in page.text
    mine = await chief.get("/denetim?kim=teknisyen")
    assert "teknik onay" in mine.text
    [(test,)] = await clinic.sql("select max(nesne_kodu) from denetim where islem = 'klinik_onay'")
    record = await chief.get(f"/denetim?nesne=istem_tetkik&nesne_kodu={test}")
    assert "klinik onay" in record.text
    assert "tetkik_durumu" in record.text
    assert "Bu soruya uyan kayıt yok" in (await chief.get("/denetim?kim=teknisyen&ilk=01.01.2020&son=02.01.2020")).text
    assert "Takvimde böyle bir gün yok" in (await chief.get("/denetim?ilk=31.02.2026")).text
    assert "bulunamadı" in (await chief.get("/denetim?hasta=yok-boyle-biri")).text
    looked = await clinic.sql("select hastalar from denetim where islem = 'denetim_goruntuledi' and yapan = 'yonetici'")
    assert len(looked) == 4  # the refused questions showed nothing
    assert looked[0][0] is not None


async def test_only_whoever_may_reads_or_takes_the_audit_and_taking_it_is_kept(clinic: Clinic) -> None:
    await a_case(clinic)
    for who in ("hekim", "teknisyen", "uzman", "kabul"):
        client = await at_the_desk(clinic, who)
        for path in ("/denetim", "/denetim/dosya.csv", "/denetim/dosya.xlsx"):
            assert (await client.get(path)).status_code == 403
    chief = await at_the_desk(clinic, "yonetici")
    csv = await chief.get("/denetim/dosya.csv?kim=hekim")
    assert csv.status_code == 200
    assert csv.content.startswith("\ufeff".encode())
    assert '"hekim"' in csv.text
    book = openpyxl.load_workbook(io.BytesIO((await chief.get("/denetim/dosya.xlsx?kim=hekim")).content))
    rows = list(book.active.iter_rows(values_only=True))
    assert rows[0][3] == "Yapan"
    assert {row[3] for row in rows[1:]} == {"hekim"}
    assert len(await clinic.sql("select 1 from denetim where islem = 'denetim_disa_aktardi'")) == 2


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\n@x"])
def test_a_file_never_holds_a_formula(text: str) -> None:
    assert safe_cell(text).startswith("'")
    assert f'"{safe_cell(text)}"' in as_csv(["a"], [[text]]).decode("utf-8-sig")
    sheet = openpyxl.load_workbook(io.BytesIO(as_xlsx("x", ["a"], [[text]]))).active
    assert sheet["A2"].data_type == "s"
    assert str(sheet["A2"].value).startswith("'")


async def test_where_the_row_cannot_be_written_nothing_is_shown(clinic: Clinic) -> None:
    case = await a_case(clinic)
    reader = await clinic.as_("uzman")
    await clinic.sql(
        "alter table denetim_zinciri add constraint kapali check (zincir <> 'erisim' or son_sira < 0) not valid"
    )
    answer = await reader.get(f"/api/v1/orders/{case.number}")
    assert answer.status_code >= 500
    assert SECRET["GLU"] not in answer.text
    await clinic.sql("alter table denetim_zinciri drop constraint kapali")
    assert (await reader.get(f"/api/v1/orders/{case.number}")).status_code == 200


async def test_views_of_many_at_once_share_transactions_and_none_is_lost(clinic: Clinic) -> None:
    case = await a_case(clinic)
    reader = await clinic.as_("uzman")
    before = len(await rows_of(clinic, "uzman"))
    await asyncio.gather(*(reader.get(f"/api/v1/orders/{case.number}") for _ in range(30)))
    assert len(await rows_of(clinic, "uzman")) - before == 30
    assert await clinic.sql("select * from denetim_dogrula()") == []
    [(transactions,)] = await clinic.sql("select count(distinct xmin::text) from denetim where islem = 'goruntuledi'")
    assert transactions < before + 30


async def test_a_refused_attempt_is_kept_though_nothing_else_is(lab: Database) -> None:
    actor = await steps.user(lab, "kabul")
    await audit.record_refused(lab, actor, "sonuc.gor", "tetkik_istem", 7, {"adres": "/istem/{number}"}, [3])
    rows = await steps.audit_of(lab, "tetkik_istem", 7)
    assert [(row.actor, row.action, row.after, row.patients) for row in rows] == [
        ("kabul", "reddedildi", {"yetki": "sonuc.gor", "adres": "/istem/{number}"}, [3])
    ]


async def test_what_cannot_be_written_is_told_to_everybody_who_waits(lab: Database) -> None:
    actor = Actor(name="x" * 10)
    with pytest.raises(Error, match="too long"):
        await audit.record_refused(lab, actor, "y", "n" * 500, 1)
    await audit.record_refused(lab, actor, "y", "n", 1)


async def test_the_logs_of_a_busy_run_name_nobody(clinic: Clinic, caplog: pytest.LogCaptureFixture) -> None:
    """Everything at its most talkative: no name, no TC number, no result."""
    caplog.set_level(logging.DEBUG)
    for noisy in ("sqlalchemy.engine", "psycopg", "httpx", "httpcore", "fontTools"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    case = await a_case(clinic)
    client = await at_the_desk(clinic, "uzman")
    for path in readers(clinic.app):
        await client.get(case.address(path))
    await client.get("/istemler?ara=Görülen")
    await (await clinic.as_("hekim")).post("/api/v1/orders", json={"patient": {"tc": "1"}, "tests": ["YOK"]})
    [(tc,)] = await clinic.sql("select tc_kimlik_numarasi from hasta where soyadi = 'Görülen'")
    said = "\n".join(f"{record.getMessage()} {record.exc_text or ''} {record.__dict__}" for record in caplog.records)
    for word in ("Görülen", "Gizem", tc, *SECRET.values()):
        assert word not in said, word
