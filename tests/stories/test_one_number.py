"""One barcode number, four kinds of analysers (the tender's excluding clauses; invariant 8)."""

from __future__ import annotations

import pytest

from lis_core.domain.states import TubeState
from lis_core.services.instruments import set_service
from lis_core.services.specimens import move_tube
from tests.stories.conftest import Laboratory

HAEMOGRAM = {"WBC", "RBC", "HGB", "HCT", "PLT"}


@pytest.mark.clause("INTRO.26")
@pytest.mark.clause("INTRO.27")
@pytest.mark.clause("INTRO.28")
@pytest.mark.clause("9.2b")
@pytest.mark.clause("9.2.2a")
async def test_four_analysers_ask_for_one_number_and_each_gets_its_own_tests(laboratory: Laboratory) -> None:
    order = await laboratory.order(["GLU", "K", "CBC", "TSH", "ESR"])
    await laboratory.receives(order)
    assert len({tube.barcode[: len(order.number)] for tube in order.specimens}) == 1

    offered = {}
    for line in ("hemogram", "biyokimya", "hormon", "sedim"):
        async with laboratory.analyser(line) as analyser:
            report = await analyser.runs(order.number)
            assert report is not None, f"{line} was offered nothing"
            offered[line] = {result.code for result in report.results}
            assert analyser.surprises == []
    await laboratory.settled()

    states = await laboratory.states(order.number)
    assert set(states.values()) == {"sonuclandi"}, states
    for test, line in {
        "GLU": "biyokimya",
        "K": "biyokimya",
        "WBC": "hemogram",
        "TSH": "hormon",
        "ESR": "sedim",
    }.items():
        assert await laboratory.instrument_of(order.number, test) == line
    assert offered["sedim"].isdisjoint(offered["hemogram"])
    assert await laboratory.unmatched() == []
    assert await laboratory.value(
        "select count(*) from barkod_kayit where tetkik_istem_kodu = :id", id=order.order_id
    ) == (1 + len(order.specimens))


@pytest.mark.clause("INTRO.22")
async def test_haemogram_and_sedimentation_from_one_tube_or_from_two(laboratory: Laboratory) -> None:
    one, two = await laboratory.order(["CBC", "ESR"]), await laboratory.order(["CBC", "ESR"])
    for order in (one, two):
        await laboratory.receives(order)
    edta = laboratory.barcode(one, "Hemogram")
    own = laboratory.barcode(two, "Sedim")
    async with laboratory.analyser("hemogram") as haematology, laboratory.analyser("sedim") as sedimentation:
        await haematology.runs(edta)
        await sedimentation.runs(edta)
        await haematology.runs(laboratory.barcode(two, "Hemogram"))
        await sedimentation.runs(own)
    await laboratory.settled()
    for order in (one, two):
        states = await laboratory.states(order.number)
        assert {states["WBC"], states["ESR"]} == {"sonuclandi"}


@pytest.mark.clause("INTRO.23")
@pytest.mark.clause("INTRO.25")
@pytest.mark.clause("9.2c")
async def test_the_biochemistry_tube_runs_on_the_hormone_analyser(laboratory: Laboratory) -> None:
    """The hormone tube never arrived; nobody relabels anything."""
    order = await laboratory.order(["GLU", "TSH"])
    serum = laboratory.barcode(order, "Biyokimya")
    async with laboratory.database.work(await laboratory.actor("kabul")) as work:
        await move_tube(work, serum, TubeState.RECEIVED)
    async with laboratory.analyser("hormon") as hormone:
        offer = (await hormone.asks(serum))[serum]
        assert len(offer.codes) == 1
        await hormone.runs(serum)
    await laboratory.settled()
    assert (await laboratory.states(order.number))["TSH"] == "sonuclandi"
    assert await laboratory.instrument_of(order.number, "TSH") == "hormon"


@pytest.mark.clause("9.2d")
async def test_the_hormone_tube_runs_on_the_biochemistry_analyser(laboratory: Laboratory) -> None:
    order = await laboratory.order(["GLU", "TSH"])
    await laboratory.receives(order)
    async with laboratory.analyser("biyokimya") as chemistry:
        await chemistry.runs(laboratory.barcode(order, "Hormon-ELISA"))
    await laboratory.settled()
    assert (await laboratory.states(order.number))["GLU"] == "sonuclandi"


async def test_an_edta_tube_is_never_offered_potassium(laboratory: Laboratory) -> None:
    """The number may be any tube's; the material may not."""
    order = await laboratory.order(["K", "GLU", "CBC"])
    await laboratory.receives(order)
    edta = laboratory.barcode(order, "Hemogram")
    async with laboratory.analyser("biyokimya") as chemistry:
        assert (await chemistry.asks(edta))[edta].negative
        assert len((await chemistry.asks(order.number))[order.number].codes) == 2
    async with laboratory.analyser("genel") as generic:
        codes = set((await generic.asks(edta))[edta].codes)
        assert codes >= HAEMOGRAM
        assert codes.isdisjoint({"K", "GLU"})


@pytest.mark.clause("INTRO.24")
async def test_analyser_a_breaks_down_and_b_runs_its_tubes(laboratory: Laboratory) -> None:
    order = await laboratory.order(["GLU"])
    await laboratory.receives(order)
    async with laboratory.analyser("biyokimya") as broken:
        assert (await broken.asks(order.number))[order.number].codes
    async with laboratory.database.work(await laboratory.actor("teknisyen")) as work:
        await set_service(work, "biyokimya", False, "lamba arızası")
    async with laboratory.analyser("biyokimya") as broken:
        assert (await broken.asks(order.number))[order.number].negative
    async with laboratory.analyser("genel") as other:
        await other.runs(order.number)
    await laboratory.settled()
    assert await laboratory.instrument_of(order.number, "GLU") == "genel"


async def test_an_unknown_number_gets_the_negative_answer(laboratory: Laboratory) -> None:
    for line in ("hemogram", "biyokimya", "hormon", "sedim", "genel"):
        async with laboratory.analyser(line) as analyser:
            answer = await analyser.asks("98765432")
            assert answer["98765432"].negative, line
            assert analyser.surprises == [], line


async def test_a_result_that_is_there_is_not_offered_again(laboratory: Laboratory) -> None:
    order = await laboratory.order(["GLU"])
    await laboratory.receives(order)
    async with laboratory.analyser("biyokimya") as chemistry:
        await chemistry.runs(order.number)
        await laboratory.settled()
        assert (await chemistry.asks(order.number))[order.number].negative


async def test_a_rejected_tube_is_offered_nothing_and_its_result_is_held(laboratory: Laboratory) -> None:
    order = await laboratory.order(["GLU"])
    [tube] = order.specimens
    async with laboratory.database.work(await laboratory.actor("kabul")) as work:
        await move_tube(work, tube.barcode, TubeState.REJECTED, "pıhtılı")
    async with laboratory.analyser("genel") as analyser:
        assert (await analyser.asks(tube.barcode))[tube.barcode].negative
        await analyser.reports(tube.barcode, {"GLU": ("92", "mg/dL")})
    await laboratory.settled()
    [waiting] = await laboratory.unmatched()
    assert waiting.neden == "kapali"


async def test_an_hl7_analyser_asks_and_reports_over_mllp(laboratory: Laboratory) -> None:
    """IHE LAW: QBP^Q11, RSP^K11, OML^O33, then OUL^R22."""
    order = await laboratory.order(["GLU", "TSH"])
    await laboratory.receives(order)
    async with laboratory.analyser("law") as analyser:
        report = await analyser.runs(order.number)
        assert report is not None
        assert (await analyser.asks("98765432"))["98765432"].negative
    await laboratory.settled()
    assert "sonuclandi" in set((await laboratory.states(order.number)).values())
    assert await laboratory.unmatched() == []


async def test_urgent_tubes_come_first_when_an_analyser_asks_for_everything(laboratory: Laboratory) -> None:
    from drivers.messages import Query
    from lis_core.domain.states import Priority
    from lis_core.services.orders import OrderRequest, place_order
    from lis_core.services.routing import answer_query
    from tests.ingest.conftest import PatientData

    await laboratory.rows("select 1")
    routine = await laboratory.order(["GLU"])
    async with laboratory.database.work(await laboratory.actor("hekim")) as work:
        urgent = await place_order(
            work,
            OrderRequest(
                patient=PatientData(given_name="Acil", family_name="Hasta", tc="10000000146", sex="M"),
                tests=["GLU"],
                priority=Priority.URGENT,
            ),
        )
    for order in (routine, urgent):
        await laboratory.receives(order)
    answers = await answer_query(laboratory.database, "biyokimya", Query(everything=True))
    asked = [answer.specimen for answer in answers]
    assert asked.index(urgent.specimens[0].barcode) < asked.index(routine.specimens[0].barcode)


async def test_a_query_for_a_range_is_answered_for_every_tube_in_it_that_has_work(laboratory: Laboratory) -> None:
    from drivers.messages import Query
    from lis_core.services.routing import answer_query

    orders = [await laboratory.order(tests) for tests in (["GLU"], ["CBC"], ["GLU"], ["GLU"])]
    for order in orders[:3]:
        await laboratory.receives(order)
    first, blood, third, beyond = (order.number for order in orders)
    query = Query(specimens=[first], until=third)
    answers = await answer_query(laboratory.database, "biyokimya", query)
    assert [answer.specimen for answer in answers] == [first, third], "no work for the blood count, none behind the end"
    assert all(answer.tests for answer in answers)
    generic = laboratory.house.gateway.catalog.generic("astm")
    [message] = laboratory.house.gateway.write(generic, query, answers)
    assert [line.split(b"|")[2].decode() for line in message.split(b"\r") if line[:2] == b"O|"] == [first, third]
    assert (await laboratory.states(beyond))["GLU"] != "calisiyor"
    [nothing] = await answer_query(laboratory.database, "biyokimya", Query(specimens=[blood], until=blood[:-1]))
    assert not nothing.tests
