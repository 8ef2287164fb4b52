"""Nothing leaves the laboratory before clinical approval: every role, every state, every call that could show a value.

A value that occurs nowhere else is measured, and every address of the application is read for it: a new screen or
call is covered the day it is added.
"""

from __future__ import annotations

import base64
import io
import re
from typing import Any

import httpx
import pypdf
import pytest
from fastapi.routing import iter_route_contexts

from api.access import Door, doors_of
from api.auth import CurrentActor
from lis_core.domain.permission_templates import Job
from lis_core.services.manual import enter_result
from lis_core.services.passwords import hash_password
from lis_core.services.permissions import Period, Subject, put_in_unit
from tests.api.conftest import Clinic, person
from tests.conftest import DEMO_PASSWORD
from tests.permissions.conftest import House
from tests.services.steps import user

VALUE = "137.31"
"""Stands nowhere else in the program."""
SHOWN_AS = (VALUE, VALUE.replace(".", ","))

NOT_READ = {"/olay", "/cihazlar/hat/{line_id}/akis", "/metrics", "/api/openapi.json", "/static"}
"""No order's page: streams that never end (see test_live; a line's bytes: tests/permissions holds who opens it), counters,
the document, files."""
OF_SOMETHING_ELSE = {"user_id": 1, "group_id": 1, "trial_id": 1, "line_id": 1, "gateway_id": 1, "step": "AW-1"}
"""Names in addresses that lead to a person, a group, a form's trial, a line, a gateway or a work step, not to an
order."""


def pdf_text(content: bytes) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages)


class Matrix:
    """One order of one patient, and everybody who might look at it."""

    def __init__(self, clinic: Clinic, number: str, barcode: str) -> None:
        self.clinic = clinic
        self.number = number
        self.barcode = barcode
        self.ids: dict[str, int] = {}
        self.doors: list[Door] = []
        self.shut: dict[str, set[str]] = {}
        """By person: addresses whose declared permission he lacks, once they have refused him. No state of a result opens
        such a door (tests/permissions/test_matrix.py holds every declaration), so each is knocked at once a story."""

    async def addresses(self) -> list[str]:
        """Every GET of the application, filled in with this order's number, tube and ids."""
        found = []
        for route in iter_route_contexts(self.clinic.app.routes):
            path, methods = route.path, getattr(route, "methods", None) or ()
            if not isinstance(path, str) or "GET" not in methods or path in NOT_READ:
                continue
            own = {"number": self.number, "barcode": self.barcode, "code": "genel", "key": "istem"}
            fills = own | self.ids | OF_SOMETHING_ELSE
            try:
                found.append(path.format(**fills))
            except KeyError as name:
                raise AssertionError(f"{path}: tell this test what {name} is") from name
        asked = [
            f"/api/v1/results?order={self.number}",
            f"/api/v1/results?specimen={self.barcode}&every_run=true",
            "/api/v1/results?every_run=true&state=resulted",
            f"/api/v1/orders/{self.barcode}",
            f"/api/v1/patients?q={self.number}",
            "/api/v1/audit?entity=istem_tetkik",
            "/api/v1/audit?limit=500",
            "/api/v1/unmatched?state=bound",
            f"/okut?metin={self.barcode}",
            f"/istemler?ara={self.number}",
            f"/eslesmeyen/ara?metin={self.number}",
        ]
        return [*(address for address in found if address not in asked), *asked]

    async def showing(self, username: str) -> set[str]:
        """Addresses whose answer to this person holds the value."""
        client = await self.clinic.as_(username)
        actor = await user(self.clinic.database, username)
        shut, found = self.shut.setdefault(username, set()), set()
        for address in await self.addresses():
            if address in shut:
                continue
            answer = await client.get(address, headers={"accept": "text/html, application/json"})
            assert answer.status_code < 500, (username, address, answer.text[:500])
            if self._holds(answer):
                found.add(address)
            elif answer.status_code == 403 and not self._door(address).admits(actor):
                shut.add(address)
        return found

    def _door(self, address: str) -> Door:
        """The declaration behind an address."""
        path = address.partition("?")[0]
        self.doors = self.doors or [door for door in doors_of(self.clinic.app) if door.method == "GET"]
        same = [door for door in self.doors if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", door.path), path)]
        return min(same, key=lambda door: door.path.count("{"))

    def _holds(self, answer: httpx.Response) -> bool:
        if answer.headers.get("content-type", "").startswith("application/pdf"):
            text = pdf_text(answer.content)
        else:
            text = answer.text
            if answer.headers.get("content-type", "").startswith("application/json"):
                text += _decoded(answer.json())
        return any(shown in text for shown in SHOWN_AS)


def _decoded(body: Any) -> str:
    """What base64 fields of an answer hold."""
    if isinstance(body, dict) and isinstance(body.get("content"), str):
        return base64.b64decode(body["content"]).decode("latin-1")
    return ""


OUTSIDE = ("hekim", "ailehekimi", "kabul", "yonetici", "baskalab")
"""Everybody but the laboratory staff who work on the result: the ordering physician, another physician, reception,
the administrator, a technician of another laboratory."""


@pytest.fixture
async def matrix(clinic: Clinic) -> Matrix:
    """GLU ordered urgently by `hekim`; `baskalab` is a technician of haematology only."""
    await clinic.sql(
        "with yeni as (insert into kullanici (kullanici_adi, ad, soyadi, parola, aktiflik_bilgisi) "
        "values ('baskalab', 'Başka', 'Lab', :parola, true) returning kullanici_kodu) "
        "insert into grup_uyeligi (yetki_grubu_kodu, uye_kullanici_kodu, calisma_gruplari) "
        "select yetki_grubu_kodu, kullanici_kodu, '{HEMATOLOJI}' from yeni, yetki_grubu "
        "where yetki_grubu_kisa_kodu = 'UZMAN'",
        parola=await hash_password(DEMO_PASSWORD),
    )
    placed = await clinic.place("GLU", "UREA", priority="urgent")
    await clinic.receive(placed)
    matrix = Matrix(clinic, placed["number"], placed["specimens"][0]["barcode"])
    await clinic.measure(matrix.number, GLU=VALUE)
    line = await clinic.line(matrix.number, "GLU")
    messages = await clinic.sql("select max(ham_mesaj_kodu) from ham_mesaj")
    matrix.ids = {
        "ordered_test_id": line["id"],
        "result_id": line["result"]["id"],
        "message_id": messages[0][0],
        "unmatched_id": 1,
        "notice_id": 1,
    }
    return matrix


async def nobody_outside_sees(matrix: Matrix, when: str) -> None:
    for username in OUTSIDE:
        assert await matrix.showing(username) == set(), (when, username)


@pytest.mark.clause("9.7.8c")
async def test_an_unapproved_value_is_shown_to_those_who_work_on_it_and_to_nobody_else(matrix: Matrix) -> None:
    clinic, result_id = matrix.clinic, matrix.ids["result_id"]
    order = f"/api/v1/orders/{matrix.number}"

    await nobody_outside_sees(matrix, "resulted")
    assert order in await matrix.showing("teknisyen")
    assert order in await matrix.showing("uzman")
    seen = await clinic.line(matrix.number, "GLU", "hekim")
    assert (seen["state"], seen["result"]) == ("resulted", None)

    why = f"arandı: {VALUE} okundu"
    assert (await clinic.decide("technical-approval", result_id, "teknisyen", reason=why)).status_code == 200
    await nobody_outside_sees(matrix, "technically approved")
    assert order in await matrix.showing("uzman")

    assert (await clinic.decide("clinical-approval", result_id, "uzman")).status_code == 200
    shown = await matrix.showing("hekim")
    assert {order, f"/api/v1/results?order={matrix.number}", f"{order}/report.pdf"} <= shown
    assert order in await matrix.showing("baskalab")  # 9.7.1b: approved ones of another laboratory are read
    for username in ("ailehekimi", "kabul", "yonetici"):  # not his patient; tubes, not values; administers, reads none
        assert await matrix.showing(username) == set(), username

    assert (await clinic.decide("withdraw", result_id, "uzman", reason="yanlış tüp")).status_code == 200
    await nobody_outside_sees(matrix, "withdrawn")


@pytest.mark.clause("9.8.5")
async def test_a_released_confidential_value_is_on_no_address_of_those_who_may_not_read_it(clinic: Clinic) -> None:
    """HIV of a physician's patient: another laboratory, a colleague of the same clinic who sees the order itself, and
    both behind the patient's next order."""
    house, patient = House(clinic.database), person()
    [(unit,)] = await clinic.sql("select birim_kodu from birim where birim_kisa_kodu = 'DAHILIYE'")
    [(colleague,)] = await clinic.sql("select personel_kodu from personel where personel_sicil_numarasi = 'H-101'")
    async with clinic.database.work(await house.actor("yonetici")) as work:
        await put_in_unit(work, colleague, unit, Period())
    digest = await hash_password(DEMO_PASSWORD)
    await house.person("servis", Job.CLINICIAN, physician_id=colleague)
    await house.put(await house.group(Job.TECHNICIAN), Subject(user_id=await house.person("baskalab")), "HEMATOLOJI")
    await clinic.sql("update kullanici set parola = :p where kullanici_adi in ('servis', 'baskalab')", p=digest)
    orders = []
    for by in ("hekim", "servis"):
        placed = await clinic.place("GLU", "ANTIHIV", by=by, patient=patient, unit="DAHILIYE")
        await clinic.receive(placed)
        orders.append(Matrix(clinic, placed["number"], placed["specimens"][0]["barcode"]))
    first, second = orders
    await clinic.measure(first.number, GLU="92", ANTIHIV=f"Pozitif {VALUE}")
    await clinic.measure(second.number, GLU="93")
    await clinic.release(first.number, "ANTIHIV")
    for matrix, test in ((first, "ANTIHIV"), (second, "GLU")):
        line = await clinic.line(matrix.number, test)
        ids = {"ordered_test_id": line["id"], "result_id": line["result"]["id"], "unmatched_id": 1, "notice_id": 1}
        matrix.ids = {**ids, "message_id": (await clinic.sql("select min(ham_mesaj_kodu) from ham_mesaj"))[0][0]}

    assert f"/api/v1/orders/{first.number}" in await first.showing("hekim")
    for username in ("baskalab", "servis"):  # reception and administrator read no value at all: above
        assert await first.showing(username) == set(), username
        assert await second.showing(username) == set(), (username, "behind the patient's next order")
    assert (await clinic.line(first.number, "ANTIHIV", "servis"))["withheld"]  # he sees that there is one


@pytest.mark.clause("9.7.8c")
async def test_a_run_that_was_replaced_stays_inside_the_laboratory(matrix: Matrix) -> None:
    """The first run is repeated; the second is released. The first was never approved by anybody."""
    clinic = matrix.clinic
    await clinic.decide("repeat", matrix.ids["result_id"], "teknisyen", reason="pıhtı")
    await nobody_outside_sees(matrix, "repeat wanted")
    await clinic.measure(matrix.number, GLU="92.5")
    await clinic.release(matrix.number, "GLU")
    assert (await clinic.line(matrix.number, "GLU", "hekim"))["result"]["value"] == "92.5"
    await nobody_outside_sees(matrix, "second run released")
    runs = await (await clinic.as_("teknisyen")).get(
        "/api/v1/results", params={"order": matrix.number, "every_run": True}
    )
    assert [(row["result"]["value"], row["current"]) for row in runs.json()] == [(VALUE, False), ("92.5", True)]
    other = await (await clinic.as_("baskalab")).get(
        "/api/v1/results", params={"order": matrix.number, "every_run": True}
    )
    assert [row["result"]["value"] for row in other.json()] == ["92.5"]


@pytest.mark.clause("9.7.8c")
async def test_a_value_typed_by_hand_is_not_read_in_the_audit(clinic: Clinic, matrix: Matrix) -> None:
    urea = await clinic.line(matrix.number, "UREA")
    async with clinic.database.work(await user(clinic.database, "teknisyen")) as work:
        await enter_result(work, urea["id"], "88.88")
    chief = await clinic.as_("yonetici")
    question = {"entity": "istem_tetkik", "id": str(urea["id"])}
    [entry] = (await chief.get("/api/v1/audit", params=question)).json()
    assert (entry["actor"], entry["after"]["tetkik_durumu"]) == ("teknisyen", "sonuclandi")
    assert "88.88" not in str(entry)
    await clinic.release(matrix.number, "UREA")
    released = (await chief.get("/api/v1/audit", params=question)).json()
    assert "88.88" not in str(released)  # to administer is not to read results


@pytest.mark.clause("9.7.8a")
async def test_the_report_holds_only_what_is_clinically_approved(matrix: Matrix) -> None:
    clinic = matrix.clinic
    await clinic.measure(matrix.number, UREA="30.5")
    address = f"/api/v1/orders/{matrix.number}/report.pdf"
    for username in ("hekim", "uzman", "teknisyen"):
        nothing = await (await clinic.as_(username)).get(address)
        assert (nothing.status_code, nothing.json()["code"]) == (409, "NUM-0306")
    await clinic.decide("technical-approval", matrix.ids["result_id"], "teknisyen", reason="deneme")
    await clinic.release(matrix.number, "UREA")
    for username in ("hekim", "uzman", "teknisyen"):
        made = await (await clinic.as_(username)).get(address)
        text = pdf_text(made.content)
        assert "30.5" in text
        assert VALUE not in text
        assert "Glukoz: çalışılıyor" in text
    assert (await (await clinic.as_("kabul")).get(address)).status_code == 403
    assert (await (await clinic.as_("yonetici")).get(address)).status_code == 403
    assert (await (await clinic.as_("ailehekimi")).get(address)).status_code == 403


@pytest.mark.clause("9.7.8b")
async def test_the_emergency_print_says_what_it_is_and_is_recorded(matrix: Matrix) -> None:
    clinic = matrix.clinic
    address = f"/api/v1/orders/{matrix.number}/report.pdf"
    wanted = {"acil": "1", "gerekce": "hasta ameliyata alınıyor"}
    for username in ("hekim", "yonetici", "kabul"):
        assert (await (await clinic.as_(username)).get(address, params=wanted)).status_code == 403
    desk = await clinic.as_("teknisyen")
    for params in ({"acil": "1"}, {"acil": "1", "gerekce": "  "}):
        bare = await desk.get(address, params=params)
        assert (bare.status_code, bare.json()["code"]) == (409, "NUM-0307")
    elsewhere = await desk.get(address, params=wanted, headers={"sec-fetch-site": "cross-site"})
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (403, "NUM-0010")
    other_laboratory = await (await clinic.as_("baskalab")).get(address, params=wanted)
    assert (other_laboratory.status_code, other_laboratory.json()["code"]) == (409, "NUM-0306")
    made = await desk.get(address, params=wanted)
    assert made.status_code == 200
    text = pdf_text(made.content)
    assert VALUE in text
    assert "klinik onay alınmadan basılmıştır" in text
    prints = await clinic.sql("select yapan, sonraki from denetim where islem = 'acil_baski'")
    assert [(who, facts["gerekce"], facts["onaysiz_tetkikler"]) for who, facts in prints] == [
        ("teknisyen", "hasta ameliyata alınıyor", ["GLU"])
    ]


@pytest.mark.clause("9.7.8b")
async def test_a_routine_order_is_never_printed_before_approval(clinic: Clinic) -> None:
    placed = await clinic.place("GLU", priority="priority")
    await clinic.measure(placed["number"], GLU=VALUE)
    answer = await (await clinic.as_("uzman")).get(
        f"/api/v1/orders/{placed['number']}/report.pdf", params={"acil": "1", "gerekce": "acele"}
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "NUM-0307")
    assert await clinic.sql("select 1 from denetim where islem = 'acil_baski'") == []


async def test_this_test_would_notice_a_leak(matrix: Matrix) -> None:
    """The matrix itself is tried on a call that leaks."""

    async def leak(actor: CurrentActor) -> dict[str, str]:
        return {"deger": VALUE}

    matrix.clinic.app.add_api_route("/api/v1/sizinti", leak)
    assert await matrix.showing("hekim") == {"/api/v1/sizinti"}
