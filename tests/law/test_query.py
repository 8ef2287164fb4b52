"""LAB-27: an analyser asks for work; what it hears on its own connection, and what comes on the other."""

from __future__ import annotations

import asyncio

import pytest

from lis_core.services.loading import load_tube, unload
from simulators.law_station import LawStation
from simulators.segments import segment
from tests.law.conftest import LawLab, fields, keeps_the_grammar, names, proves

Pair = tuple[LawLab, LawStation]


@proves("LAB27-001", "LAW-F.25", "LAW-F.27")
async def test_three_tubes_are_three_queries(pair: Pair) -> None:
    lab, station = pair
    tubes = [await lab.tube("GLU") for _ in range(3)]

    for tube in tubes:
        await station.ask(tube)

    queries = [raw for raw in station.sent if b"QBP^Q11^QBP_Q11" in raw]
    assert [fields(raw, "QPD", 3) for raw in queries] == [[tube] for tube in tubes]
    assert len({fields(raw, "QPD", 2)[0] for raw in queries}) == 3
    assert all(len(raw.split(b"\rQPD")[1].split(b"\r")[0].split(b"|")) == 4 for raw in queries)  # QPD has three fields
    assert {(fields(raw, "RCP", 1)[0], fields(raw, "RCP", 3)[0]) for raw in queries} == {("I", "R")}
    rsp = await station.ask(tubes[0], rcp="")  # RCP-1 empty is accepted too
    assert rsp.code == "AA"


@proves("LAB27-002", "LAB27-003", "LAW-F.02", "LAW-F.23", "LAW-F.28", "LAW-F.30", "LAW-F.03")
async def test_the_query_is_acknowledged_and_the_work_comes_on_the_other_connection(pair: Pair) -> None:
    lab, station = pair
    tube = await lab.tube("GLU", "UREA")

    rsp = await station.ask(tube)
    await station.until(station.orders)

    query = station.sent[0]
    assert names(query) == ["MSH", "QPD", "RCP"]
    assert names(rsp) == ["MSH", "MSA", "QAK", "QPD"]
    assert fields(rsp, "MSH", 9, 1) + fields(rsp, "MSH", 9, 2) + fields(rsp, "MSH", 9, 3) == ["RSP", "K11", "RSP_K11"]
    assert fields(rsp, "MSA", 1) == ["AA"] and fields(rsp, "MSA", 2) == fields(query, "MSH", 10)
    assert rsp.first("QPD").line == query.decode().split("\r")[1]
    [order] = station.orders()
    assert sorted(fields(order, "OBR", 4)) == ["GLU", "UREA"]
    ways = {one.message.kind: one.way for one in station.received}
    assert ways == {"RSP^K11": "asked", "OML^O33": "work"}
    times = {one.message.kind: one.at for one in station.received}
    assert times["RSP^K11"] <= times["OML^O33"]


@proves("LAB27-004", "LAB28-001", "LAB28-009", "LAW-F.29", "LAW-F.43", "LAW-F.44", "LAW-F.40")
async def test_nothing_to_do_is_said_in_four_segments(pair: Pair) -> None:
    lab, station = pair
    with_work = await station.ask(await lab.tube("GLU"))
    await station.until(station.orders)

    without = await station.ask("26999999")
    await station.until(lambda: len(station.orders()) == 2)

    assert [fields(one, "MSA", 1) + fields(one, "QAK", 2) for one in (with_work, without)] == [["AA", "OK"]] * 2
    nothing = station.orders()[1]
    assert names(nothing) == ["MSH", "SPM", "SAC", "ORC"]
    assert fields(nothing, "ORC", 1) == ["DC"] and fields(nothing, "ORC", 9) != [""]
    assert fields(nothing, "SPM", 11) == ["U"] and fields(nothing, "SAC", 3) == ["26999999"]
    await asyncio.sleep(0.1)
    answers = [raw for raw in station.sent if b"ORL^O34" in raw]
    assert names(answers[-1]) == ["MSH", "MSA"]  # expected: MSH and MSA alone
    assert await lab.value("select count(*) from is_iletisi where tur = 'DC' and durum = 'yanitlandi'") == 1
    assert await lab.value("select count(*) from is_adimi") == 1


@proves("LAB27-005", "LAW-F.35")
async def test_query_all_gives_all_work_of_this_analyser_and_none_of_another(lawlab: LawLab) -> None:
    one = await lawlab.analyser()
    two = await lawlab.analyser("law2", name="CHEM2")
    await lawlab.open()
    tubes = [await lawlab.tube("GLU", "UREA"), await lawlab.tube("CREA", "NA"), await lawlab.tube("K")]
    other = await lawlab.tube("ALT", "AST", "TSH", "FT4")
    for tube in (*tubes, other):
        await lawlab.received(tube)
    await lawlab._do(
        "update istem_tetkik set istenen_cihaz_kodu = (select cihaz_kodu from cihaz where cihaz_kisa_kodu = 'law2') "
        "where tetkik_kodu in (select tetkik_kodu from tetkik where tetkik_kisa_kodu in ('ALT', 'AST', 'TSH', 'FT4'))"
    )

    rsp = await one.ask(kind="WOS_ALL")
    await one.until(lambda: len(one.orders()) >= 3)
    await asyncio.sleep(0.2)

    assert rsp.first("QPD").line.count("|") == 2  # QPD-1 and QPD-2 only
    assert fields(rsp, "QPD", 1) == ["WOS_ALL"] and rsp.code == "AA"
    given = {fields(order, "SAC", 3)[0]: set(fields(order, "OBR", 4)) for order in one.orders()}
    assert [given.get(tube) for tube in tubes] == [{"GLU", "UREA"}, {"CREA", "NA"}, {"K"}]
    assert other not in given and two.orders() == []


@proves("LAB27-006", "LAW-F.33", "LAW-F.41")
async def test_a_tube_without_a_readable_barcode_is_found_by_its_rack(pair: Pair) -> None:
    lab, station = pair
    tube = await lab.tube("GLU")
    async with lab.database.work(await lab.actor("teknisyen")) as work:
        await load_tube(work, "law", tube, "R0412-3")

    rsp = await station.ask(kind="WOS_BY_RACK", rack="R0412", position="3", location="LINE1")
    await station.until(station.orders)
    station.asked.add("")
    await station.ask(kind="WOS_BY_RACK", rack="R0412", position="9")
    await station.until(lambda: len(station.orders()) == 2)

    asked = rsp.first("QPD")
    assert [asked.field(n) for n in (3, 4, 5, 6, 7, 8)] == ["", "R0412", "3", "", "", "LINE1"]
    found, nothing = station.orders()
    assert [fields(found, "SAC", n)[0] for n in (3, 10, 11)] == [tube, "R0412", "3"]
    assert fields(found, "OBR", 4) == ["GLU"]
    assert fields(nothing, "ORC", 1) == ["DC"]
    assert [fields(nothing, "SAC", n)[0] for n in (3, 10, 11)] == ["", "R0412", "9"]

    async with lab.database.work(await lab.actor("teknisyen")) as work:
        await unload(work, "law", "R0412-3")
    await station.ask(kind="WOS_BY_RACK", rack="R0412", position="3")
    await station.until(lambda: len(station.orders()) == 3)
    assert fields(station.orders()[2], "ORC", 1) == ["DC"]  # whoever stands there now, it is not the old tube


@proves("LAB27-007", "LAW-F.34")
async def test_a_tube_is_found_by_its_tray(pair: Pair) -> None:
    lab, station = pair
    tube = await lab.tube("UREA")
    async with lab.database.work(await lab.actor("teknisyen")) as work:
        await load_tube(work, "law", tube, "T07-12")

    rsp = await station.ask(kind="WOS_BY_TRAY", tray="T07", tray_position="12")
    await station.until(station.orders)

    assert [rsp.first("QPD").field(n) for n in (3, 4, 5, 6, 7)] == ["", "", "", "T07", "12"]
    [order] = station.orders()
    assert [fields(order, "SAC", n)[0] for n in (3, 13, 14)] == [tube, "T07", "12"]
    assert fields(order, "OBR", 4) == ["UREA"]


@proves("LAB27-008", "LAW-F.92")
async def test_an_isolate_is_offered_its_own_work_and_none_of_its_parent(pair: Pair) -> None:
    lab, station = pair
    parent = await lab.tube("GLU", "UREA")
    await lab._do(
        "insert into tetkik_numune (tetkik_istem_kodu, barkod, tup_kodu, numune_turu, numune_durumu, ana_numune_kodu) "
        "select tetkik_istem_kodu, barkod || '91', tup_kodu, numune_turu, 'kabul', tetkik_numune_kodu from tetkik_numune "
        "where barkod = :parent",
        parent=parent,
    )
    child = parent + "91"
    await lab._do(
        "insert into barkod_kayit (barkod, tetkik_istem_kodu, tetkik_numune_kodu) select barkod, tetkik_istem_kodu, "
        "tetkik_numune_kodu from tetkik_numune where barkod = :child",
        child=child,
    )
    await lab._do(
        "update istem_tetkik set tetkik_numune_kodu = (select tetkik_numune_kodu from tetkik_numune where barkod = :child) "
        "where tetkik_kodu = (select tetkik_kodu from tetkik where tetkik_kisa_kodu = 'UREA') and tetkik_istem_kodu = "
        "(select tetkik_istem_kodu from tetkik_numune where barkod = :child)",
        child=child,
    )

    await station.ask(kind="WOS_BY_ISOLATE", isolate=child)
    await station.until(station.orders)
    [order] = station.orders()
    from simulators.law_station import LawResult, obx

    ack = await station.report(
        station.result_lines(
            child, [LawResult("UREA", [obx(1, "NM", "UREA", "31", "mg/dL^^UCUM")], awos=fields(order, "OBR", 2)[0])],
            parents=parent,
        )
    )  # fmt: skip
    await lab.settled()

    assert fields(order, "SAC", 3) == [child] and fields(order, "OBR", 4) == ["UREA"]
    assert fields(order, "SPM", 3) == [parent]
    assert ack.code == "AA"
    [row] = await lab.results(parent)
    assert row.test == "UREA"
    reachable = await lab.value(
        "select count(*) from tetkik_sonuc s join tetkik_numune n using (tetkik_numune_kodu) join tetkik_numune p on "
        "p.tetkik_numune_kodu = n.ana_numune_kodu where p.barkod = :parent and n.barkod = :child",
        parent=parent, child=child,
    )  # fmt: skip
    assert reachable == 1


@proves("LAW-F.26")
def test_a_thousand_queries_have_a_thousand_tags() -> None:
    station = LawStation(0)
    queries = ["".join(f"{line}\r" for line in station.query_lines(f"2600{n:04}")).encode() for n in range(1000)]
    tags = {raw.split(b"\rQPD|")[1].split(b"|")[1] for raw in queries}
    assert len(tags) == 1000 and all(0 < len(tag) <= 32 for tag in tags)


@proves("LAW-F.31", "LAW-F.24", "LAW-F.12")
async def test_an_unknown_query_is_refused_and_no_work_follows(pair: Pair) -> None:
    lab, station = pair
    tube = await lab.tube("GLU")

    rsp = await station.ask(tube, kind="WOS_XYZ")
    await asyncio.sleep(0.3)

    assert fields(rsp, "MSA", 1) == ["AE"] and fields(rsp, "QAK", 2) == ["AE"]
    assert rsp.first("ERR").field(2).split("^")[:3] == ["QPD", "1", "1"]
    assert (
        fields(rsp, "ERR", 3) == ["103"] and fields(rsp, "ERR", 3, 3) == ["HL70357"] and fields(rsp, "ERR", 4) == ["E"]
    )
    assert station.orders() == []


@proves("LAW-F.32")
@pytest.mark.parametrize(
    ("query", "missing"),
    [
        ({"kind": "WOS"}, "3"),
        ({"kind": "WOS_BY_RACK", "rack": "R1"}, "5"),
        ({"kind": "WOS_BY_TRAY", "tray_position": "4"}, "6"),
    ],
)
async def test_a_query_without_what_its_name_needs(pair: Pair, query: dict[str, str], missing: str) -> None:
    _, station = pair

    rsp = await station.ask(**query)  # type: ignore[arg-type]
    await asyncio.sleep(0.2)

    assert fields(rsp, "MSA", 1) == ["AE"] and fields(rsp, "ERR", 3) == ["101"]
    assert rsp.first("ERR").field(2).split("^")[0::2] == ["QPD", missing]
    assert station.orders() == []


@proves("LAW-F.36", "LAW-F.42")
async def test_a_second_query_offers_only_what_is_not_accepted_yet(pair: Pair) -> None:
    lab, station = pair
    placed = await lab.order(["GLU", "UREA"])
    tube = placed.specimens[0].barcode
    station.unable = {"UREA"}
    await lab.taken(station, tube)
    await lab.until_step("GLU", "kabul")
    await lab.until_step("UREA", "reddedildi")
    station.unable = set()

    order = await lab.taken(station, tube)

    assert fields(order, "OBR", 4) == ["UREA"]  # GLU is there already
    ids = [number for one in station.orders() for number in fields(one, "OBR", 2)]
    assert len(ids) == len(set(ids)) == 3 and all(0 < len(number) <= 50 for number in ids)
    await lab.until_step("UREA", "kabul")
    again = await lab.taken(station, tube)
    assert fields(again, "ORC", 1) == ["DC"]


@proves("LAW-F.36")
async def test_what_was_sent_and_not_answered_keeps_its_number(pair: Pair) -> None:
    lab, station = pair
    tube = await lab.tube("GLU")
    station.arm("no_orl")
    first = await lab.taken(station, tube)

    second = await lab.taken(station, tube)

    assert fields(first, "OBR", 2) == fields(second, "OBR", 2)


@proves("LAW-F.37")
async def test_dialects_of_the_query(pair: Pair) -> None:
    lab, station = pair
    tubes = [await lab.tube("GLU") for _ in range(3)]

    for n, asked in enumerate(({"system": "IHE_LABTF"}, {"tag": ""}, {"rack": "S07", "position": "4"})):
        rsp = await station.ask(tubes[n], **asked)  # type: ignore[arg-type]
        assert rsp.code == "AA"
        await station.until(lambda n=n: len(station.orders()) > n)

    assert [fields(order, "SAC", 3)[0] for order in station.orders()] == tubes
    seen = await lab.rows("select raf, pozisyon from numune_hareket where islem = 'cihazda' and raf is not null")
    assert [tuple(row) for row in seen] == [("S07", "4")]


@proves("LAW-F.38", "LAW-F.04")
async def test_work_waits_for_the_connection_but_not_for_ever(lawlab: LawLab) -> None:
    station = await lawlab.analyser(sorgu_omru_saniye=8)
    port = station.port
    await lawlab.open()
    await asyncio.sleep(0.2)
    await station.stop_listening()
    await asyncio.sleep(0.2)

    tube = await lawlab.tube("GLU")
    assert (await station.ask(tube)).code == "AA"
    await asyncio.sleep(0.3)
    await station.listen(port)
    await station.until(station.orders)  # the line was closed when it was asked, and opened in time
    await lawlab.until_step("GLU", "kabul")

    await station.stop_listening()
    await asyncio.sleep(0.2)
    late = await lawlab.tube("UREA")
    await station.ask(late)
    await lawlab.until_step("UREA", "vazgecildi", seconds=30)
    await station.listen(port)
    await asyncio.sleep(1.5)
    assert len(station.orders()) == 1
    assert (
        await lawlab.state(
            (await lawlab.rows("select numune_numarasi from tetkik_istem order by tetkik_istem_kodu desc limit 1"))[0][
                0
            ],
            "UREA",
        )
        == "kabul"
    )


@proves("LAW-F.05")
async def test_one_connection_carries_everything_where_the_line_is_set_so(lawlab: LawLab) -> None:
    station = await lawlab.analyser(two=False)
    await lawlab.open()
    tube = await lawlab.tube("GLU")

    order = await lawlab.taken(station, tube)

    assert [one.way for one in station.received] == ["asked", "asked"]
    assert [one.message.kind for one in station.received] == ["RSP^K11", "OML^O33"]
    await lawlab.until_step("GLU", "kabul")
    assert keeps_the_grammar(order.raw)


@proves("LAW-F.30")
async def test_the_answer_leaves_before_the_work_under_load(pair: Pair) -> None:
    lab, station = pair
    tubes = [await lab.tube("GLU") for _ in range(20)]

    await asyncio.gather(*(station.ask(tube) for tube in tubes))
    await station.until(lambda: len(station.orders()) == 20, 15)

    answered = {one.message.first("QPD").get(3): one.at for one in station.received if one.message.kind == "RSP^K11"}
    for one in station.received:
        if one.message.kind == "OML^O33":
            assert answered[one.message.first("SAC").get(3)] <= one.at


def test_segments_of_the_simulator_are_written_apart() -> None:
    """The peer of these tests shares no code with the manager's codec."""
    assert segment.__module__ == "simulators.segments"
