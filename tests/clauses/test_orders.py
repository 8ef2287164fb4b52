"""Clauses on orders, numbers, labels and reading results, checked the way their own `check` says."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from barcode.numbers import TubeKind, printed_set
from drivers.messages import Query
from lis_core.services.routing import answer_query
from lis_core.storage.tables import TubeType
from tests.api.conftest import Clinic, order_body, person


@pytest.mark.clause("8.2.1.6")
async def test_clinic_physician_user_and_time_are_on_an_order_without_anybody_typing_them(clinic: Clinic) -> None:
    number = (await clinic.place("GLU", by="hekim"))["number"]
    [row] = await clinic.sql(
        "select b.birim_adi, p.soyadi, u.kullanici_adi, now() - i.istem_zamani < interval '1 minute' from tetkik_istem i "
        "join birim b using (birim_kodu) join personel p on p.personel_kodu = i.isteyen_hekim_kodu "
        "join kullanici u on u.kullanici_kodu = i.ekleyen_kullanici_kodu where i.numune_numarasi = :n",
        n=number,
    )
    unit, physician, user, fresh = row
    assert unit and physician and user == "hekim" and fresh


@pytest.mark.clause("8.2.1.7a")
@pytest.mark.clause("8.2.1.7b")
@pytest.mark.clause("8.1.4.3b")
async def test_an_order_of_the_clinic_is_in_the_laboratory_at_once_and_its_result_comes_back_when_approved(
    clinic: Clinic,
) -> None:
    placed = await clinic.place("GLU", by="hekim")
    assert (await clinic.line(placed["number"], "GLU", "teknisyen"))["state"] == "ordered"
    await clinic.receive(placed)
    await clinic.measure(placed["number"], GLU="93")
    result = await clinic.result_id(placed["number"], "GLU")
    await clinic.decide("technical-approval", result, "teknisyen")
    assert (await clinic.line(placed["number"], "GLU", "hekim"))["result"] is None
    await clinic.decide("clinical-approval", result, "uzman")
    assert (await clinic.line(placed["number"], "GLU", "hekim"))["result"]["value"] == "93"


@pytest.mark.clause("9b")
async def test_two_people_of_one_name_get_two_numbers_and_a_bound_number_is_refused(clinic: Clinic) -> None:
    desk = await clinic.as_("hekim")
    same = {"given_name": "Ayşe", "family_name": "Yılmaz"}
    first, second = [
        (await desk.post("/api/v1/orders", json=order_body("GLU", patient=person(**same), number=number))).json()
        for number in ("1021", "1022")
    ]
    tubes = [tube["barcode"] for order in (first, second) for tube in order["specimens"]]
    assert first["number"] != second["number"] and len(set(tubes)) == len(tubes)
    refused = await desk.post("/api/v1/orders", json=order_body("GLU", patient=person(**same), number="1021"))
    assert refused.status_code == 409 and "1021" in refused.json()["message"]


@pytest.mark.clause("9.2.1a")
async def test_any_label_of_a_printed_set_opens_its_order(clinic: Clinic) -> None:
    """Sets of one, three, four and five labels; whichever label sticks on the tube finds the order."""
    async with clinic.database.reading() as session:
        kinds = [
            TubeKind(row.code, row.caption) for row in await session.scalars(select(TubeType).order_by(TubeType.code))
        ]
    desk = await clinic.as_("kabul")
    for number, size in (("1031", 1), ("1032", 3), ("1033", 4), ("1034", 5)):
        labels = printed_set(number, kinds[:size])
        assert len(labels) == size and {label.number for label in labels} == {number}
        placed = await clinic.place("GLU", "CBC", "TSH", "TIT", "ESR", number=number)
        assert placed["number"] == number
        ordered = {tube["barcode"] for tube in placed["specimens"]}
        for label in labels:
            answer = await desk.get(f"/api/v1/orders/{label.barcode}")
            assert (answer.status_code, answer.json()["number"]) == (200, number)
        assert {label.barcode for label in labels} & ordered


@pytest.mark.clause("9.2.1c")
async def test_the_program_finds_out_how_many_labels_an_order_needs(clinic: Clinic) -> None:
    placed = await clinic.place("GLU", "UREA", "CBC", "TIT")
    assert [len(tube["tests"]) > 0 for tube in placed["specimens"]] == [True, True, True]
    assert len({tube["tube"] for tube in placed["specimens"]}) == 3


@pytest.mark.clause("2.8.17")
async def test_a_result_typed_by_hand_goes_through_both_approvals_and_is_marked(clinic: Clinic) -> None:
    from tests.services import steps
    from tests.services.test_unmatched_and_manual import typed

    number = (await clinic.place("ESR"))["number"]
    result = await typed(clinic.database, number, "ESR", "15")
    technician = await steps.user(clinic.database, "teknisyen")
    [(user, instrument, at)] = await clinic.sql(
        "select ekleyen_kullanici_kodu, cihaz_kodu, sonuc_zamani from tetkik_sonuc where tetkik_sonuc_kodu = :r",
        r=result,
    )
    assert (user, instrument) == (technician.user_id, None) and at is not None
    assert (await clinic.line(number, "ESR"))["state"] == "resulted"
    await clinic.release(number, "ESR")
    assert (await clinic.line(number, "ESR", "hekim"))["result"]["value"] == "15"


@pytest.mark.clause("9.11.4")
async def test_approved_results_open_and_print_by_number_identity_or_name_for_the_own_physician(clinic: Clinic) -> None:
    who = person(given_name="Ayşe", family_name="Yılmazer")
    placed = await clinic.place("GLU", by="ailehekimi", patient=who)
    number, tube = placed["number"], placed["specimens"][0]["barcode"]
    await clinic.receive(placed)
    await clinic.measure(number, GLU="93")
    await clinic.release(number, "GLU")
    physician = await clinic.as_("ailehekimi")
    for words in (who["tc"], "Ayşe Yılmazer"):
        assert number in (await physician.get("/istemler", params={"ara": words})).text
        assert number not in (await (await clinic.as_("hekim")).get("/istemler", params={"ara": words})).text
    for scanned in (number, tube):
        assert (await clinic.line(scanned, "GLU", "ailehekimi"))["result"]["value"] == "93"
    printed = await physician.get(f"/api/v1/orders/{number}/report.pdf")
    assert printed.headers["content-type"] == "application/pdf"
    async with clinic.anonymous() as nobody:
        for path in (f"/api/v1/orders/{number}", f"/api/v1/orders/{number}/report.pdf", f"/istemler?ara={who['tc']}"):
            answer = await nobody.get(path)
            assert answer.status_code in (401, 303) and "Yılmazer" not in answer.text


@pytest.mark.clause("9.11.10a")
@pytest.mark.clause("9.11.10b")
async def test_a_family_medicine_program_orders_and_reads_through_the_web_service(clinic: Clinic) -> None:
    program = await clinic.as_("ailehekimi")
    body = order_body("GLU", "TSH", number="1041")
    placed = await program.post("/api/v1/orders", json=body)
    assert placed.status_code == 201 and placed.json()["number"] == "1041"
    again = await program.post("/api/v1/orders", json=body)
    assert again.status_code == 409
    [(orders,)] = await clinic.sql("select count(*) from tetkik_istem where numune_numarasi = '1041'")
    assert orders == 1
    unknown = await program.post("/api/v1/orders", json=order_body("YOKTUR"))
    assert unknown.status_code == 422 and "YOKTUR" in unknown.json()["message"]
    await clinic.receive(placed.json())
    await clinic.measure("1041", GLU="130")
    await clinic.release("1041", "GLU")
    tests = {line["code"]: line for line in (await program.get("/api/v1/orders/1041")).json()["tests"]}
    glucose = tests["GLU"]["result"]
    assert (glucose["value"], glucose["unit"], bool(glucose["reference"]), bool(glucose["flag"])) == (
        "130",
        "mg/dL",
        True,
        True,
    )
    assert tests["TSH"]["result"] is None and tests["TSH"]["state"] == "accepted"


@pytest.mark.clause("9.6.3")
async def test_an_emergency_comes_first_on_the_list_and_on_the_instrument(clinic: Clinic) -> None:
    """Twenty routine orders wait; the emergency that came last is first for people and analysers, and is called urgent."""
    routine = [await clinic.place("GLU", "UREA") for _ in range(20)]
    emergency = await clinic.place("GLU", "UREA", priority="urgent")
    for placed in (*routine, emergency):
        await clinic.receive(placed)
    offered = await answer_query(clinic.database, "biyokimya", Query(everything=True))
    assert offered[0].specimen == emergency["specimens"][0]["barcode"]
    assert {test.priority for test in offered[0].tests} == {"S"}
    assert {test.priority for order in offered[1:] for test in order.tests} == {"R"}
    for placed in (*routine, emergency):
        await clinic.measure(placed["number"], GLU="93")
    page = (await (await clinic.as_("teknisyen")).get("/teknik-onay")).text
    listed = list(dict.fromkeys(re.findall(r'data-row="(\d{8})"', page)))
    assert len(listed) == 21 and listed[0] == emergency["number"]
