"""Each call of the outer contract's HTTP table, as a program would use it."""

from __future__ import annotations

import base64

import pytest

from tests.api.conftest import Clinic, order_body, person

TEST_KEYS = {"code", "state", "result", "name", "panel"}


async def test_a_token_opens_the_interface(clinic: Clinic) -> None:
    async with clinic.anonymous() as nobody:
        refused = await nobody.get("/api/v1/tests")
        assert refused.status_code == 401
        assert refused.json()["code"] == "NUM-0002"
        wrong = await nobody.post("/api/v1/auth/token", json={"username": "hekim", "password": "yanlış"})
        assert wrong.status_code == 401
        assert wrong.json()["code"] == "NUM-0003"
        unknown = await nobody.post("/api/v1/auth/token", json={"username": "yok-böyle-biri", "password": "yanlış"})
        assert (unknown.status_code, unknown.json()) == (401, wrong.json())
    me = await (await clinic.as_("hekim")).get("/api/v1/auth/me")
    said = me.json()
    assert (said["username"], said["full_name"], said["groups"]) == ("hekim", "Çağla Özışık", ["Klinisyen"])
    assert "istem.gir" in said["permissions"]
    assert "sonuc.gor_onaysiz" not in said["permissions"]


@pytest.mark.clause("9.2.2a")
async def test_one_number_holds_four_kinds_of_tests(clinic: Clinic) -> None:
    """The family physician enters 1001 once; chemistry, haematology, hormone and urine stand in one order."""
    placed = await clinic.place("GLU", "CBC", "TSH", "U-PH", by="ailehekimi", number="1001")
    assert placed["number"] == "1001"
    assert {tube["caption"] for tube in placed["specimens"]} >= {"Biyokimya", "Hemogram"}
    assert len(placed["specimens"]) == 4
    assert all(tube["barcode"] == "1001" + tube["tube"] for tube in placed["specimens"])
    assert set(placed) == {"number", "specimens", "warnings"}
    again = await (await clinic.as_("ailehekimi")).post("/api/v1/orders", json=order_body("GLU", number="1001"))
    assert (again.status_code, again.json()["code"]) == (409, "NUM-0104")


@pytest.mark.clause("9.2.2b")
async def test_all_results_of_the_number_are_in_one_answer(clinic: Clinic) -> None:
    await clinic.place("GLU", "CBC", "TSH", "U-PH", by="ailehekimi", number="1002")
    await clinic.measure("1002", **{"GLU": "92", "WBC": "6.52", "TSH": "2.1", "U-PH": "6"})
    seen = await clinic.order("1002")
    values = {line["code"]: line["result"]["value"] for line in seen["tests"] if line["result"]}
    assert values == {"GLU": "92", "WBC": "6.52", "TSH": "2.1", "U-PH": "6"}
    assert all(set(line) >= TEST_KEYS for line in seen["tests"])


async def test_an_order_is_found_by_its_number_and_by_any_tube(clinic: Clinic) -> None:
    placed = await clinic.place("GLU", "CBC")
    by_number = await clinic.order(placed["number"], by="hekim")
    for tube in placed["specimens"]:
        assert await clinic.order(tube["barcode"], by="hekim") == by_number
        assert await clinic.order(f"]C0{tube['barcode']}%0D", by="hekim") == by_number
    assert by_number["patient"]["family_name"].startswith("Çığır")
    assert by_number["physician"] == {"code": "H-100", "name": "Uzm. Dr. Çağla Özışık"}
    assert by_number["priority"] == "routine"
    panel = next(panel for panel in by_number["panels"] if panel["code"] == "CBC")
    assert panel["state"] == "ordered"
    assert "WBC" in panel["tests"]
    assert {line["code"] for line in by_number["tests"] if line["panel"] == "CBC"} == set(panel["tests"])


async def test_an_unknown_number_is_not_found(clinic: Clinic) -> None:
    desk = await clinic.as_("teknisyen")
    answer = await desk.get("/api/v1/orders/99887766")
    assert (answer.status_code, answer.json()["code"]) == (404, "NUM-0202")
    assert (await desk.get("/api/v1/specimens/99887766")).json()["code"] == "NUM-0202"
    assert (await desk.get("/api/v1/orders/99887766/report.pdf")).json()["code"] == "NUM-0202"
    assert (await desk.post("/api/v1/specimens/99887766/receive")).status_code == 404


async def test_a_tube_goes_from_the_arm_to_the_laboratory(clinic: Clinic) -> None:
    placed = await clinic.place("GLU")
    barcode = placed["specimens"][0]["barcode"]
    doctor, desk = await clinic.as_("hekim"), await clinic.as_("kabul")
    assert (await doctor.post(f"/api/v1/specimens/{barcode}/collect")).json()["state"] == "collected"
    sent = await doctor.post(f"/api/v1/specimens/{barcode}/dispatch", json={"position": "çanta 3"})
    assert sent.json()["state"] == "dispatched"
    here = (await desk.post(f"/api/v1/specimens/{barcode}/receive", json={})).json()
    assert (here["state"], here["place"], here["order"]) == ("received", "Laboratuvarda", placed["number"])
    assert [event["action"] for event in here["events"]] == ["collected", "dispatched", "received"]
    assert here["events"][1]["position"] == "çanta 3"
    assert here["events"][2]["by"] == "Kâmil Şahin"
    assert (await clinic.line(placed["number"], "GLU"))["state"] == "accepted"
    assert (await desk.get(f"/api/v1/specimens/{barcode}")).json() == here
    assert (await desk.get(f"/api/v1/specimens/{placed['number']}")).json() == here  # its only tube


async def test_a_rejection_needs_a_reason(clinic: Clinic) -> None:
    placed = await clinic.place("GLU", "CBC")
    desk = await clinic.as_("kabul")
    glucose, blood = (tube["barcode"] for tube in placed["specimens"])
    bare = await desk.post(f"/api/v1/specimens/{glucose}/reject")
    assert (bare.status_code, bare.json()["code"]) == (422, "NUM-0201")
    said = await desk.post(f"/api/v1/specimens/{glucose}/reject", json={"reason": "hemolizli"})
    assert (said.json()["state"], said.json()["reason"]) == ("rejected", "hemolizli")
    kept = await desk.post(f"/api/v1/specimens/{blood}/accept-conditionally", json={"reason": "hekim ısrarı"})
    assert kept.json()["state"] == "conditional"
    back = await desk.post(f"/api/v1/specimens/{glucose}/receive")
    assert (back.status_code, back.json()["code"]) == (409, "NUM-0200")
    number = await desk.get(f"/api/v1/specimens/{placed['number']}")
    assert (number.status_code, number.json()["code"]) == (409, "NUM-0203")


async def test_the_two_approvals_release_a_result(clinic: Clinic) -> None:
    placed = await clinic.place("GLU")
    number = placed["number"]
    await clinic.receive(placed)
    await clinic.measure(number, GLU="92")
    result_id = await clinic.result_id(number, "GLU")

    early = await clinic.decide("clinical-approval", result_id, "uzman")
    assert (early.status_code, early.json()["code"]) == (409, "NUM-0301")
    technical = await clinic.decide("technical-approval", result_id, "teknisyen")
    assert technical.json() == {
        "id": result_id, "order": number, "test": "GLU", "state": "technically_approved", "result": result_id
    }  # fmt: skip
    assert (await clinic.line(number, "GLU", "hekim"))["result"] is None
    not_his = await clinic.decide("clinical-approval", result_id, "teknisyen")
    assert (not_his.status_code, not_his.json()["code"]) == (403, "NUM-0004")
    assert (await clinic.decide("clinical-approval", result_id, "uzman")).json()["state"] == "clinically_approved"

    seen = (await clinic.line(number, "GLU", "hekim"))["result"]
    assert (seen["value"], seen["number"], seen["unit"], seen["flag"]) == ("92", 92.0, "mg/dL", "")
    assert seen["state"] == "clinically_approved"
    assert seen["instrument"] == "genel"


@pytest.mark.clause("9.7.9")
async def test_who_approved_and_when_is_told(clinic: Clinic) -> None:
    placed = await clinic.place("GLU")
    await clinic.measure(placed["number"], GLU="92")
    await clinic.release(placed["number"], "GLU")
    seen = (await clinic.line(placed["number"], "GLU", "hekim"))["result"]
    assert seen["technical_approval"]["by"] == "Tuğba Işıklı"
    assert seen["clinical_approval"]["by"] == "Ufuk Çınar"
    assert seen["technical_approval"]["at"] <= seen["clinical_approval"]["at"]


async def test_a_repeat_may_name_reason_and_instrument(clinic: Clinic) -> None:
    placed = await clinic.place("GLU")
    await clinic.receive(placed)
    await clinic.measure(placed["number"], GLU="92")
    result_id = await clinic.result_id(placed["number"], "GLU")
    await clinic.decide("technical-approval", result_id, "teknisyen")
    answer = await clinic.decide("repeat", result_id, "uzman", reason="şüpheli", instrument="biyokimya")
    assert (answer.status_code, answer.json()["state"]) == (200, "accepted")
    wanted = await clinic.sql(
        "select cihaz_kisa_kodu from istem_tetkik join cihaz on cihaz_kodu = istenen_cihaz_kodu "
        "join tetkik_istem using (tetkik_istem_kodu) where numune_numarasi = :number",
        number=placed["number"],
    )
    assert wanted == [("biyokimya",)]
    unknown = await clinic.decide("repeat", result_id, "uzman", instrument="yok")
    assert unknown.status_code in (404, 409)


async def test_a_withdrawal_needs_a_reason_and_hides_the_value_again(clinic: Clinic) -> None:
    placed = await clinic.place("GLU")
    await clinic.measure(placed["number"], GLU="92")
    await clinic.release(placed["number"], "GLU")
    result_id = await clinic.result_id(placed["number"], "GLU")
    bare = await clinic.decide("withdraw", result_id, "uzman")
    assert (bare.status_code, bare.json()["code"]) == (422, "NUM-0201")
    assert (await clinic.line(placed["number"], "GLU", "hekim"))["result"] is not None
    done = await clinic.decide("withdraw", result_id, "uzman", reason="yanlış tüp")
    assert (done.status_code, done.json()["state"]) == (200, "technically_approved")
    assert (await clinic.line(placed["number"], "GLU", "hekim"))["result"] is None


async def test_many_results_are_approved_in_one_call(clinic: Clinic) -> None:
    placed = await clinic.place("GLU", "UREA", "CREA")
    await clinic.measure(placed["number"], GLU="92", UREA="30", CREA="0.8")
    ids = [await clinic.result_id(placed["number"], test) for test in ("GLU", "UREA", "CREA")]
    desk = await clinic.as_("teknisyen")
    answer = await desk.post("/api/v1/results/technical-approval", json={"ids": [*ids, 987654321]})
    assert answer.status_code == 200
    assert [(one["id"], one["ok"]) for one in answer.json()] == [*((i, True) for i in ids), (987654321, False)]
    assert answer.json()[-1]["error"]["code"] == "NUM-0005"


async def test_the_feed_of_results_can_be_asked_in_every_way(clinic: Clinic) -> None:
    placed = await clinic.place("GLU", "UREA", "WBC")
    number = placed["number"]
    tubes = {tube["caption"]: tube["barcode"] for tube in placed["specimens"]}
    await clinic.measure(number, GLU="92")
    await clinic.measure(tubes["Hemogram"], WBC="6.5")
    await clinic.release(number, "GLU")
    desk = await clinic.as_("teknisyen")

    async def tests(**question: str) -> list[str]:
        answer = await desk.get("/api/v1/results", params={"order": number} | question)
        assert answer.status_code == 200, answer.text
        return sorted(row["test"] for row in answer.json())

    assert await tests() == ["GLU", "WBC"]
    assert await tests(specimen=tubes["Hemogram"]) == ["WBC"]
    assert await tests(specimen=tubes["Biyokimya"]) == ["GLU"]  # read by the number, meant for this tube
    assert await tests(state="clinically_approved") == ["GLU"]
    assert await tests(state="resulted") == ["WBC"]
    assert await tests(instrument="genel") == ["GLU", "WBC"]
    assert await tests(instrument="hemogram") == []
    assert await tests(since="2020-01-01") == ["GLU", "WBC"]
    assert await tests(since="2999-01-01T00:00:00") == []
    bad = await desk.get("/api/v1/results", params={"state": "onaylandi"})
    assert (bad.status_code, bad.json()["code"]) == (422, "NUM-0001")
    assert "clinically_approved" in bad.json()["message"]
    nowhere = await desk.get("/api/v1/results", params={"instrument": "yok"})
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "NUM-0400")


async def test_pages_of_the_feed_miss_nothing_and_repeat_nothing(clinic: Clinic) -> None:
    placed = await clinic.place("GLU", "UREA", "CREA", "ALT", "AST")
    await clinic.measure(placed["number"], GLU="92", UREA="30", CREA="0.8", ALT="20", AST="22")
    desk = await clinic.as_("teknisyen")
    address, seen = f"/api/v1/results?order={placed['number']}&limit=2", []
    while True:
        answer = await desk.get(address)
        assert len(answer.json()) <= 2
        seen += [row["test"] for row in answer.json()]
        if "link" not in answer.headers:
            break
        address = answer.links["next"]["url"]
    assert sorted(seen) == ["ALT", "AST", "CREA", "GLU", "UREA"]
    broken = await desk.get("/api/v1/results?cursor=AAAA")
    assert (broken.status_code, broken.json()["code"]) == (422, "NUM-0001")


async def test_the_catalogue_stands_under_the_tubes(clinic: Clinic) -> None:
    groups = (await (await clinic.as_("hekim")).get("/api/v1/tests")).json()
    captions = [group["caption"] for group in groups]
    assert captions[:2] == ["Biyokimya", "Hemogram"]
    blood = next(group for group in groups if group["caption"] == "Hemogram")
    assert blood["tests"][0]["code"] == "CBC"
    assert "WBC" in blood["tests"][0]["members"]
    chemistry = {test["code"] for test in groups[0]["tests"]}
    assert {"GLU", "UREA", "K"} <= chemistry
    assert not chemistry & {test["code"] for test in blood["tests"]}


async def test_a_patient_is_found_whatever_the_letters(clinic: Clinic) -> None:
    who = person(given_name="Çağrı", family_name="Şığırcıoğlu")
    await clinic.place("GLU", patient=who)
    doctor, other, desk = await clinic.as_("hekim"), await clinic.as_("ailehekimi"), await clinic.as_("kabul")
    for words in ("sigirci", "ŞIĞIRCI", "cagri sigir", "sigircioglu cag", who["tc"]):
        found = (await desk.get("/api/v1/patients", params={"q": words})).json()
        assert [line["family_name"] for line in found] == ["Şığırcıoğlu"], words
    assert (await doctor.get("/api/v1/patients", params={"q": "sigirci"})).json()[0]["tc"] == who["tc"]
    assert (await other.get("/api/v1/patients", params={"q": "sigirci"})).json() == []  # not his patient
    assert len((await other.get("/api/v1/patients", params={"q": who["tc"]})).json()) == 1  # but he may order for him
    assert (await desk.get("/api/v1/patients", params={"q": "%"})).json() == []
    assert (await desk.get("/api/v1/patients", params={"q": "s_g_rci"})).json() == []


async def test_instruments_tell_how_their_lines_do(clinic: Clinic) -> None:
    cards = (await (await clinic.as_("teknisyen")).get("/api/v1/instruments")).json()
    codes = {card["code"] for card in cards}
    assert {"genel", "hemogram", "biyokimya", "hormon", "sedim", "law"} <= codes
    line = next(card for card in cards if card["code"] == "genel")["lines"][0]
    assert (line["protocol"], line["address"]) == ("astm", "127.0.0.1:4000")
    assert line["health"] == "kotu"  # no gateway writes in this test


async def test_raw_messages_are_kept_and_shown_with_their_control_characters(clinic: Clinic) -> None:
    placed = await clinic.place("GLU")
    await clinic.measure(placed["number"], GLU="92")
    desk = await clinic.as_("teknisyen")
    rows = (await desk.get("/api/v1/raw-messages", params={"instrument": "genel", "state": "processed"})).json()
    assert rows[0]["results"] == 1
    assert rows[0]["instrument"] == "genel"
    one = (await desk.get(f"/api/v1/raw-messages/{rows[0]['id']}")).json()
    assert one["text"].startswith("<STX>H|\\^&<CR>\nP|1<CR>\n")
    assert base64.b64decode(one["content"]).startswith(b"\x02H|\\^&\rP|1\r")
    assert [(part["test"], part["value"]) for part in one["read"]] == [("GLU", "92")]
    assert (await desk.get("/api/v1/raw-messages", params={"state": "failed"})).json() == []
    assert (await desk.get("/api/v1/raw-messages/999999999")).status_code == 404
    assert (await desk.get("/api/v1/raw-messages", params={"state": "islendi"})).status_code == 422


async def test_a_kept_message_is_read_again_without_doubling(clinic: Clinic) -> None:
    """The result waited because nobody knew the number; the order came later, and the message is replayed."""
    await clinic.measure("1777", GLU="92")
    desk = await clinic.as_("teknisyen")
    [message] = (await desk.get("/api/v1/raw-messages")).json()
    assert (message["results"], message["unmatched"]) == (0, 1)
    await clinic.place("GLU", by="ailehekimi", number="1777")
    first = await desk.post(f"/api/v1/raw-messages/{message['id']}/replay")
    assert first.json() == {"message_id": message["id"], "results": 1, "unmatched": 0, "problem": None}
    again = await desk.post(f"/api/v1/raw-messages/{message['id']}/replay")
    assert again.status_code == 200
    assert len((await desk.get("/api/v1/results?order=1777&every_run=true")).json()) == 1
    assert (await desk.post("/api/v1/raw-messages/99999999/replay")).status_code == 404
    assert (
        await (await clinic.as_("yonetici")).post(f"/api/v1/raw-messages/{message['id']}/replay")
    ).status_code == 403


async def test_a_result_of_nobody_is_bound_by_a_person_or_closed(clinic: Clinic) -> None:
    placed = await clinic.place("GLU", "UREA")
    await clinic.measure("77665544", GLU="92", UREA="33")
    desk = await clinic.as_("teknisyen")
    queue = (await desk.get("/api/v1/unmatched")).json()
    waiting = {row["observation"]["test"]: row["id"] for row in queue}
    where = {"number": placed["number"], "test": "GLU", "reason": "tüp elle okundu"}
    bare = await desk.post(f"/api/v1/unmatched/{waiting['GLU']}/bind", json=where | {"reason": " "})
    assert bare.status_code == 422
    bound = await desk.post(f"/api/v1/unmatched/{waiting['GLU']}/bind", json=where)
    assert (bound.status_code, bound.json()["state"]) == (200, "resulted"), bound.text
    assert (await clinic.line(placed["number"], "GLU"))["result"]["id"] == bound.json()["result"]
    closed = await desk.post(f"/api/v1/unmatched/{waiting['UREA']}/dismiss", json={"reason": "deneme ölçümü"})
    assert closed.json() == {"id": waiting["UREA"], "state": "dismissed"}
    twice = await desk.post(f"/api/v1/unmatched/{waiting['UREA']}/dismiss", json={"reason": "yine"})
    assert (twice.status_code, twice.json()["code"]) == (409, "NUM-0403")
    assert (await desk.get("/api/v1/unmatched")).json() == []
    done = (await desk.get("/api/v1/unmatched", params={"state": "dismissed"})).json()
    assert [(row["resolved_by"], row["resolution"]) for row in done] == [("Tuğba Işıklı", "deneme ölçümü")]


async def test_control_measurements_are_listed_apart(clinic: Clinic) -> None:
    from lis_core.services.ingest_batch import apply_batch
    from tests.ingest.conftest import message, result

    await apply_batch(clinic.database, [message(result("QC-LOW", "GLU", "81", kind="qc", lot="L77"), line="genel")])
    desk = await clinic.as_("teknisyen")
    rows = (await desk.get("/api/v1/qc/results", params={"instrument": "genel"})).json()
    assert [(row["instrument_test"], row["value"], row["number"]) for row in rows] == [("GLU", "81", 81.0)]
    assert (await desk.get("/api/v1/results")).json() == []
    assert (await (await clinic.as_("hekim")).get("/api/v1/qc/results")).status_code == 403


async def test_the_administrator_reads_the_audit_and_its_proof(clinic: Clinic) -> None:
    placed = await clinic.place("GLU")
    await clinic.receive(placed)
    chief = await clinic.as_("yonetici")
    tubes = (await chief.get("/api/v1/audit", params={"entity": "tetkik_numune"})).json()
    assert tubes[0]["actor"] == "kabul"
    assert tubes[0]["after"]["numune_durumu"] == "kabul"
    one = (await chief.get("/api/v1/audit", params={"entity": "tetkik_numune", "id": tubes[0]["entity_id"]})).json()
    assert {row["entity_id"] for row in one} == {tubes[0]["entity_id"]}
    proof = (await chief.get("/api/v1/audit/verify")).json()
    assert (proof["ok"], proof["problems"]) == (True, [])
    assert (await (await clinic.as_("uzman")).get("/api/v1/audit")).status_code == 403


async def test_a_changed_audit_row_is_found(clinic: Clinic) -> None:
    await clinic.place("GLU")
    await clinic.sql("alter table denetim disable trigger all")
    await clinic.sql("update denetim set yapan = 'kimse' where (zincir, sira) in (select zincir, 1 from denetim)")
    proof = (await (await clinic.as_("yonetici")).get("/api/v1/audit/verify")).json()
    assert proof["ok"] is False
    assert proof["problems"][0]["number"] == 1


async def test_what_the_openapi_document_promises(clinic: Clinic) -> None:
    async with clinic.anonymous() as nobody:
        document = (await nobody.get("/api/openapi.json")).json()
    paths = document["paths"]
    promised = {
        "/api/v1/auth/token": "post", "/api/v1/orders": "post", "/api/v1/orders/{number}": "get",
        "/api/v1/specimens/{barcode}/collect": "post", "/api/v1/specimens/{barcode}/dispatch": "post",
        "/api/v1/specimens/{barcode}/receive": "post", "/api/v1/specimens/{barcode}/reject": "post",
        "/api/v1/specimens/{barcode}/accept-conditionally": "post", "/api/v1/specimens/{barcode}": "get",
        "/api/v1/results": "get", "/api/v1/results/{result_id}/technical-approval": "post",
        "/api/v1/results/{result_id}/clinical-approval": "post", "/api/v1/results/{result_id}/repeat": "post",
        "/api/v1/results/{result_id}/withdraw": "post", "/api/v1/orders/{number}/report.pdf": "get",
        "/api/v1/instruments": "get", "/api/v1/raw-messages": "get",
        "/api/v1/raw-messages/{message_id}/replay": "post", "/api/v1/qc/results": "get",
    }  # fmt: skip
    for path, method in promised.items():
        assert method in paths[path], path
    for path, methods in paths.items():
        for method, call in methods.items():
            assert call["summary"], (path, method)
            assert call["responses"]["422"]["content"]["application/json"]["schema"]["$ref"].endswith("Problem")


async def test_health_is_open_to_everybody(clinic: Clinic) -> None:
    async with clinic.anonymous() as nobody:
        assert (await nobody.get("/healthz")).json() == {"status": "ok"}
        assert (await nobody.get("/readyz")).json() == {"status": "ready"}
        await nobody.get("/api/v1/orders/48151623")
        counted = (await nobody.get("/metrics")).text
    assert 'numune_http_requests_total{method="GET",route="/api/v1/orders/{number}",status="401"}' in counted
    assert "48151623" not in counted


async def test_metrics_tell_what_ingest_counts(clinic: Clinic) -> None:
    from api.metrics import LABORATORY, watch_ingest
    from lis_core.services.ingest import IngestCounters

    watch_ingest(IngestCounters(messages=3, results=41, problem="veritabanı yok"))
    try:
        async with clinic.anonymous() as nobody:
            counted = (await nobody.get("/metrics")).text
    finally:
        LABORATORY.ingest = None
    assert "numune_ingest_results_total 41.0" in counted
    assert "numune_ingest_stopped 1.0" in counted
