"""The catalogue in memory is the one in the database; instruments, codes and number ranges are set up with care."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text, update

from drivers.messages import Observation, Query
from lis_core.domain import errors
from lis_core.domain.errors import ErrorKind, NumuneError
from lis_core.domain.states import TestState
from lis_core.services.approvals import request_repeat
from lis_core.services.barcode_ranges import given_ranges, hand_out
from lis_core.services.catalog import Catalog, CatalogTest, CodeMapping, catalog
from lis_core.services.instruments import (
    ConnectionData,
    InstrumentData,
    MappingData,
    save_connection,
    save_instrument,
    save_mapping,
    set_service,
)
from lis_core.services.orders import add_tests
from lis_core.services.result_rows import Judged, judge, judge_value
from lis_core.services.routing import answer_query
from lis_core.storage.database import Database
from lis_core.storage.tables import RawMessage, Result, Test
from rules.interpretation import cut_offs_of
from rules.reference import PatientFacts, RangeBook, ReferenceRange
from tests.services import steps


async def current(lab: Database) -> Catalog:
    async with lab.reading() as session:
        return await catalog(session)


async def expect(kind: ErrorKind, action: Any) -> NumuneError:
    with pytest.raises(NumuneError) as refusal:
        await action
    assert refusal.value.kind is kind
    return refusal.value


# -- the catalogue


async def test_the_catalogue_is_loaded_once_and_knows_everything(lab: Database) -> None:
    known = await current(lab)
    assert await current(lab) is known
    assert known.test_by_code["CBC"].panel
    assert known.test_by_id[known.test_by_code["CBC"].members[0]].code == "WBC"
    chemistry = known.instrument_by_line("biyokimya")
    assert chemistry is not None
    assert known.test_by_id[known.mapping(chemistry.id)["717"].test_id].code == "GLU"
    assert known.instrument_by_line("böyle hat yok") is None
    assert known.mapping(999_999) == {}
    assert [tube.code for tube in known.tube_by_code.values()] == ["01", "02", "03", "04", "05"]
    of_glucose = {
        known.instrument_by_id[m.instrument_id].code for m in known.mappings_of_test[known.test_by_code["GLU"].id]
    }
    assert of_glucose == {"genel", "biyokimya", "law"}


async def test_a_change_by_any_hand_is_seen_at_the_next_use(lab: Database) -> None:
    before = await current(lab)
    async with lab.reading() as session:  # not through a service: somebody repairs a row with a SQL tool
        await session.execute(text("update tetkik set tetkik_adi = 'Şeker' where tetkik_kisa_kodu = 'GLU'"))
        await session.commit()
    after = await current(lab)
    assert after.test_by_code["GLU"].name == "Şeker"
    assert after.version != before.version


async def test_what_was_rolled_back_is_never_seen(lab: Database) -> None:
    async with lab.reading() as session:
        await session.execute(update(Test).where(Test.code == "GLU").values(name="Yanlış"))
        assert (await catalog(session)).test_by_code["GLU"].name == "Yanlış"  # its own change it does see
        await session.rollback()
    assert (await current(lab)).test_by_code["GLU"].name == "Glukoz"
    async with lab.reading() as session:
        await session.execute(update(Test).where(Test.code == "UREA").values(name="Üre (BUN değil)"))
        await session.commit()
    known = await current(lab)
    assert (known.test_by_code["GLU"].name, known.test_by_code["UREA"].name) == ("Glukoz", "Üre (BUN değil)")


# -- judging

BOOK = RangeBook(
    [
        ReferenceRange(id=1, test_id=1, low=Decimal(70), high=Decimal(100), valid_from=date(2020, 1, 1), version="1"),
        ReferenceRange(id=2, test_id=2, normal_text="Negatif", valid_from=date(2020, 1, 1), version="1"),
        ReferenceRange(id=3, test_id=3, high=Decimal(80), valid_from=date(2020, 1, 1), version="1"),
    ]
)
GLUCOSE = CatalogTest(1, "GLU", "Glukoz", False, "B", "01", frozenset({"SER"}), "mg/dL", None, None, 1, True, None)
NITRITE = replace(GLUCOSE, id=2, code="NIT", unit="")
ANA = replace(GLUCOSE, id=3, code="ANA", unit="titre")
NOBODY = PatientFacts(None, None)
PLAIN = CodeMapping(1, 1, 1, "G", "G", frozenset({"SER"}), {"negative": "Negatif"}, None, "")
TODAY = date(2026, 11, 22)


def judged(value: str, mapping: CodeMapping = PLAIN, test: CatalogTest = GLUCOSE, **more: Any) -> Judged:
    return judge(Observation(kind="result", value=value, **more), mapping, test, NOBODY, TODAY, BOOK)


@pytest.mark.clause("9.6.4a")
async def test_negative_is_stored_in_turkish_and_stays_in_the_raw_message(lab: Database) -> None:
    placed = await steps.order(lab, ["HBSAG"])
    await steps.analyser_sends(lab, "genel", placed.number, "HBSAG", "negative")
    async with lab.reading() as session:
        (result,) = await session.scalars(select(Result))
        message = await session.get_one(RawMessage, result.raw_message_id)
    assert (result.value, result.instrument_value, result.flag) == ("Negatif", "negative", "")
    assert b"negative" in message.content


@pytest.mark.parametrize("sent", ["negative", "NEGATIVE", " Negative "])
def test_a_foreign_word_becomes_turkish_and_the_decision_says_so(sent: str) -> None:
    found = judged(sent, test=NITRITE)
    assert (found.value, found.flag) == ("Negatif", "")
    assert [decision["r"] for decision in found.decisions] == ["CEVIRI/1", "REF/1"]


def test_the_definitions_word_is_used_where_the_laboratory_has_none() -> None:
    assert judged("neg.", test=NITRITE, translation="Negatif").value == "Negatif"
    assert judged("negative", test=NITRITE, translation="Olumsuz").value == "Negatif"


@pytest.mark.parametrize(
    ("sent", "told", "value", "flag"),
    [
        ("1:80", "1/80", "1/80", ""),
        ("1:160", "1/160", "1/160", "Y"),
        ("<1:20", "<1/20", "<1/20", ""),
        (">=1:640", ">=1/640", ">=1/640", "Y"),
        (">=1:40", ">=1/40", ">=1/40", ""),
        ("1/320", None, "1/320", "Y"),
    ],
)
def test_a_titre_is_shown_as_a_titre_and_judged_by_its_reciprocal(
    sent: str, told: str | None, value: str, flag: str
) -> None:
    """The laboratory's limit is 1/80, written as 80. Nothing becomes a number, and the decision says what was done."""
    found = judged(sent, test=ANA, translation=told)
    assert (found.value, found.number, found.flag) == (value, None, flag)
    assert found.decisions[-2]["r"] == "TITRE/1"
    typed = judge_value(ANA, sent, NOBODY, TODAY, BOOK)
    assert (typed.value, typed.number, typed.flag) == (sent, None, flag)


ELISA = replace(PLAIN, cut_offs=cut_offs_of([("< 1.0", "Negatif"), (">= 1.0", "Pozitif")]))


@pytest.mark.parametrize(
    ("sent", "value", "number", "flag"),
    [("0.43", "Negatif", "0.43", ""), ("5.20", "Pozitif", "5.20", "A"), ("<0.05", "Negatif", None, ""),
     (">0.5", ">0.5", None, ""), ("reaktif", "reaktif", None, "A")],
)  # fmt: skip
def test_a_number_is_reported_as_the_word_of_its_cut_off_and_kept(
    sent: str, value: str, number: str | None, flag: str
) -> None:
    found = judged(sent, ELISA, NITRITE)
    assert (found.value, found.number, found.flag) == (value, None if number is None else Decimal(number), flag)


def test_a_range_of_numbers_judges_the_number_behind_the_word() -> None:
    found = judged("120", ELISA)
    assert (found.value, found.number, found.flag) == ("Pozitif", Decimal(120), "Y")
    assert [decision["r"] for decision in found.decisions] == ["YORUM/1", "REF/1"]


def test_what_the_cut_offs_leave_open_waits_for_a_person() -> None:
    doubtful = judged(">0.5", ELISA, NITRITE).decisions
    assert doubtful[0] == {
        "o": "H",
        "r": "YORUM/1",
        "why": ">0.5 yorumlanmadı: sınırın iki yanı da olabilir",
        "saw": {},
    }


@pytest.mark.clause("9.6.4b")
async def test_an_elisa_reading_is_taken_in_interpreted(lab: Database) -> None:
    """The rule value of the laboratory is 1.0; the number stays beside the word, the raw text in the message."""
    mapping = MappingData(
        instrument="genel", test="HBSAG", incoming="HBSAG", translations={"< 1.0": "NEGATİF", ">= 1.0": "POZİTİF"}
    )
    async with lab.work(await steps.user(lab, "uzman")) as work:
        await save_mapping(work, mapping)
    found = {}
    for sent in ("0.43", "5.20"):
        placed = await steps.order(lab, ["HBSAG"])
        await steps.analyser_sends(lab, "genel", placed.number, "HBSAG", sent)
        async with lab.reading() as session:
            ordered = await steps.ordered_test(lab, placed.number, "HBSAG")
            result = await session.get_one(Result, ordered.result_id)
            found[sent] = (result.value, result.number, result.instrument_value)

    assert found == {"0.43": ("NEGATİF", Decimal("0.43"), "0.43"), "5.20": ("POZİTİF", Decimal("5.20"), "5.20")}
    with pytest.raises(NumuneError, match="çelişiyor"):
        async with lab.work(await steps.user(lab, "uzman")) as work:
            await save_mapping(work, replace(mapping, translations={"< 2": "NEGATİF", "> 1": "POZİTİF"}))


def test_a_titre_for_a_test_that_gives_none_waits_for_a_person() -> None:
    found = judged("1:160")
    assert found.flag == "" and found.decisions[-1]["o"] == "H"


@pytest.mark.parametrize(
    ("sent", "decimals", "value"),
    [("5.85", None, "105"), ("5.850", None, "105.4"), ("5.85", 1, "105.4"), ("<0.5", None, "<9.01"), ("0", None, "0")],
)
def test_a_value_is_converted_to_our_unit(sent: str, decimals: int | None, value: str) -> None:
    mapping = replace(PLAIN, factor=Decimal("18.016"), unit="mmol/L")
    found = judged(sent, mapping, replace(GLUCOSE, decimals=decimals), unit="mmol/L")
    assert (found.value, found.unit) == (value, "mg/dL")


def test_what_is_no_number_is_never_converted() -> None:
    found = judged("----", replace(PLAIN, factor=Decimal("18.016")))
    assert (found.value, found.number, found.flag) == ("----", None, "")


@pytest.mark.parametrize(
    ("typed", "value", "flag"), [("105,4", "105.4", "Y"), ("<5,5", "<5.5", "D"), ("1,2,3", "1,2,3", "")]
)
def test_a_typed_comma_is_a_comma(typed: str, value: str, flag: str) -> None:
    found = judge_value(GLUCOSE, typed, NOBODY, TODAY, BOOK)
    assert (found.value, found.flag) == (value, flag)


@given(value=st.text(max_size=60), factor=st.decimals(min_value="0.0001", max_value="100000", places=4))
def test_no_text_breaks_the_judgement(value: str, factor: Decimal) -> None:
    for mapping in (PLAIN, replace(PLAIN, factor=factor)):
        found = judged(value, mapping)
        assert found.decisions[-1]["why"]


@given(value=st.from_regex(r"-?[0-9]{1,38}(\.[0-9]{1,10})?([eE][+-]?[0-9]{1,2})?", fullmatch=True))
def test_no_number_breaks_the_conversion(value: str) -> None:
    judged(value, replace(PLAIN, factor=Decimal("18.016")))


# -- instruments


async def offered(lab: Database, line: str, number: str) -> list[str]:
    (order,) = await answer_query(lab, line, Query(specimens=[number]))
    return [test.code for test in order.tests]


@pytest.mark.clause("INTRO.24")
async def test_when_one_analyser_breaks_down_another_takes_its_tubes(lab: Database) -> None:
    admin = await steps.user(lab, "yonetici")
    async with lab.work(admin) as work:
        await save_instrument(
            work,
            InstrumentData(
                code="biyokimya", name="Biyokimya cihazı", definition="roche-cobas-c311", reserve_minutes=240
            ),
        )
    placed = await steps.order(lab, ["GLU"], number="1001")
    await steps.accepted(lab, placed)
    assert await offered(lab, "biyokimya", "1001") == ["717"]
    assert await offered(lab, "genel", "1001") == []  # reserved for the analyser that has it

    async with lab.work(await steps.user(lab, "teknisyen")) as work:
        await set_service(work, "biyokimya", False, "lamba arızası")
    assert (await steps.states(lab, "1001"))["GLU"] is TestState.ACCEPTED
    assert await offered(lab, "biyokimya", "1001") == []
    assert await offered(lab, "genel", "1001") == ["GLU"]  # the same label, another analyser
    await steps.analyser_sends(lab, "genel", "100101", "GLU", "92")
    async with lab.reading() as session:
        (result,) = await session.scalars(select(Result))
    assert (result.value, result.instrument_id) == ("92", (await current(lab)).instrument_by_code["genel"].id)
    known = await current(lab)
    instrument = known.instrument_by_code["biyokimya"]
    assert (instrument.in_service, instrument.service_note) == (False, "lamba arızası")
    entry = (await steps.audit_of(lab, "cihaz", instrument.id))[-1]
    assert entry.after == {"hizmette": False, "hizmet_notu": "lamba arızası", "serbest_tetkik": 1}
    async with lab.work(admin) as work:
        await set_service(work, "biyokimya", True)
    assert (await current(lab)).instrument_by_code["biyokimya"].in_service


async def test_a_repeat_wanted_on_a_broken_analyser_may_run_elsewhere(lab: Database) -> None:
    placed = await steps.order(lab, ["GLU"])
    await steps.accepted(lab, placed)
    result = await steps.result(lab, placed.number, "GLU", "92")
    async with lab.work(await steps.user(lab, "uzman")) as work:
        await request_repeat(work, result, "", "biyokimya")
    assert await offered(lab, "genel", placed.number) == []
    await expect(errors.REASON_NEEDED, service(lab, "biyokimya", False, ""))
    await service(lab, "biyokimya", False, "arıza")
    assert await offered(lab, "genel", placed.number) == ["GLU"]


async def service(lab: Database, code: str, in_service: bool, note: str, by: str = "teknisyen") -> None:
    async with lab.work(await steps.user(lab, by)) as work:
        await set_service(work, code, in_service, note)


async def test_only_those_who_answer_for_instruments_change_them(lab: Database) -> None:
    await expect(errors.NOT_ALLOWED, service(lab, "genel", False, "arıza", by="hekim"))
    await expect(errors.UNKNOWN_INSTRUMENT, service(lab, "yok", False, "arıza"))
    await expect(errors.NOT_ALLOWED, map_code(lab, "GLU", "G1", by="teknisyen"))


async def map_code(lab: Database, test: str, incoming: str, by: str = "uzman", **more: Any) -> None:
    async with lab.work(await steps.user(lab, by)) as work:
        await save_mapping(work, MappingData(instrument="biyokimya", test=test, incoming=incoming, **more))


async def test_a_new_analyser_with_its_line_and_codes(lab: Database) -> None:
    async with lab.work(await steps.user(lab, "yonetici")) as work:
        await save_instrument(
            work, InstrumentData(code="yeni", name="Yeni cihaz", definition="generic-astm", unit="LAB")
        )
        line = ConnectionData(
            name="yeni-hat", instrument="yeni", kind="tcp-sunucu", protocol="astm", address="127.0.0.1:4555"
        )
        await save_connection(work, line)
        await save_mapping(work, MappingData(instrument="yeni", test="GLU", incoming="GLUKOZ"))
    known = await current(lab)
    instrument = known.instrument_by_line("yeni-hat")
    assert instrument is not None
    assert instrument.code == "yeni"
    assert known.mapping(instrument.id)["GLUKOZ"].outgoing == "GLUKOZ"
    async with lab.work(await steps.user(lab, "yonetici")) as work:
        await expect(errors.INVALID_INPUT, save_connection(work, replace(line, name="ikinci")))  # address in use
        await expect(errors.INVALID_INPUT, save_connection(work, replace(line, kind="telepati")))
        await expect(errors.INVALID_INPUT, save_connection(work, replace(line, name=" ")))
        await expect(errors.UNKNOWN_INSTRUMENT, save_connection(work, replace(line, instrument="yok")))


async def test_a_changed_code_is_audited_with_before_and_after(lab: Database) -> None:
    await map_code(lab, "CA", "711")
    await map_code(lab, "CA", "711", factor="4,008", unit="mmol/L")
    await map_code(lab, "CA", "711", factor="4,008", unit="mmol/L")  # nothing new: nothing written
    known = await current(lab)
    mapping = known.mapping(known.instrument_by_code["biyokimya"].id)["711"]
    assert (mapping.factor, mapping.unit) == (Decimal("4.008"), "mmol/L")
    entries = await steps.audit_of(lab, "tetkik_cihaz_eslesme", mapping.id)
    assert [entry.action for entry in entries] == ["kaydet", "guncelle"]
    assert (entries[1].before, entries[1].after) == (
        {"factor": None, "unit": None},
        {"factor": "4.008", "unit": "mmol/L"},
    )
    assert await steps.chain_problems(lab) == []


async def test_a_code_can_narrow_materials_but_never_widen_them(lab: Database) -> None:
    await expect(errors.INVALID_INPUT, map_code(lab, "K", "990", materials=("SER", "EDTA")))
    await map_code(lab, "ESR", "99", materials=("EDTA",))
    for wrong in ({"factor": "çok"}, {"factor": "-1"}, {"factor": "NaN"}, {"materials": ("YOK",)}):
        await expect(errors.INVALID_INPUT, map_code(lab, "CA", "711", **wrong))
    await expect(errors.UNKNOWN_TEST, map_code(lab, "CBC", "1"))


# -- pre-printed numbers


@pytest.mark.clause("9.2.5a")
async def test_numbers_are_handed_out_once(lab: Database) -> None:
    async def give(first: int, last: int, physician: str = "H-100") -> None:
        async with lab.work(await steps.user(lab, "yonetici")) as work:
            await hand_out(work, first, last, physician)

    await give(5001, 5100)
    async with lab.reading() as session:
        given = await given_ranges(session)
    assert ("5001-5100", "Uzm. Dr. Çağla Özışık") in [(f"{one.first}-{one.last}", one.physician) for one in given]
    refusal = await expect(errors.NUMBERS_GIVEN, give(5100, 5200, "H-101"))
    assert "5100-5100" in refusal.message
    assert "Uzm. Dr. Çağla Özışık" in refusal.message
    await expect(errors.NUMBERS_GIVEN, give(500101, 500200, "H-101"))  # reads like tube 01 of 5001
    await expect(errors.INVALID_INPUT, give(20, 10))
    await expect(errors.UNKNOWN_PHYSICIAN, give(9001, 9002, "YOK"))
    placed = await steps.order(lab, ["GLU"], by="ailehekimi", number="5050")
    assert placed.warnings == ["5050 numarası Uzm. Dr. Çağla Özışık için ayrılmış (5001-5100)."]
    outcomes = await asyncio.gather(*(give(7001, 7100) for _ in range(3)), return_exceptions=True)
    assert outcomes.count(None) == 1


async def test_added_tests_wait_for_the_order_that_is_cancelled_at_the_same_time(lab: Database) -> None:
    """Add-on and cancellation of one order at once: one after the other, never a half of each."""
    from lis_core.services.orders import cancel_tests

    placed = await steps.order(lab, ["GLU"])
    doctor = await steps.user(lab, "hekim")

    async def add() -> None:
        async with lab.work(doctor) as work:
            await add_tests(work, placed.number, ["UREA"])

    async def cancel() -> None:
        async with lab.work(doctor) as work:
            await cancel_tests(work, placed.number, None, "vazgeçildi")

    added, _ = await asyncio.gather(add(), cancel(), return_exceptions=True)
    states = await steps.states(lab, placed.number)
    if added is None:  # added first, so cancelled with the rest
        assert set(states.values()) == {TestState.CANCELLED}
    else:
        assert isinstance(added, NumuneError)
        assert states == {"GLU": TestState.CANCELLED}
