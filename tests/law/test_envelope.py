"""Envelope, connections, acknowledgement modes, refusals: what holds for every LAW message."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import hl7 as independent
import pytest
from hl7.mllp import HL7StreamReader, HL7StreamWriter, open_hl7_connection, start_hl7_server

from drivers.definition import Catalog, Definition, DefinitionError, definition_file
from drivers.gateway.gateway import Gateway
from drivers.gateway.line import LineBook, LineSpec
from drivers.gateway.mllp_session import MllpSession
from drivers.language import DefinitionFile
from drivers.law_reading import law_of
from drivers.protocols import hl7
from drivers.protocols.mllp import BlockReceived, Ignored, MllpLink
from simulators.law_station import LAW_FAULTS, LawFault, LawResult, LawStation, obx
from simulators.segments import segment
from tests.law.conftest import LawLab, fields, names, proves

Pair = tuple[LawLab, LawStation]
LAW_KEYS = (
    "generic-law", "roche-cobas-pure", "roche-cobas-pro", "biosystems-ba400", "roche-cobas-4800", "roche-cobas-5800",
    "abbott-alinity-m",
)  # fmt: skip


def gl(value: str = "5.40") -> LawResult:
    return LawResult("GLU", [obx(1, "NM", "GLU", value, "mg/dL^^UCUM")])


@proves("LAW-F.01")
def test_a_message_cut_at_every_byte_and_two_in_one_piece() -> None:
    message = b"MSH|^~\\&|C|||NUMUNE|20261203||OUL^R22^OUL_R22|1|P|2.5.1\rSPM|1\r"
    framed = b"\x0b" + message + b"\x1c\r"
    for at in range(len(framed) + 1):
        link = MllpLink()
        events = link.receive_data(framed[:at]) + link.receive_data(framed[at:])
        assert [one.payload for one in events if isinstance(one, BlockReceived)] == [message]
    link = MllpLink()
    events = link.receive_data(b"noise" + framed + framed)
    assert [one.payload for one in events if isinstance(one, BlockReceived)] == [message] * 2
    assert [one.data for one in events if isinstance(one, Ignored)] == [b"noise"]


@proves("LAW-F.03")
async def test_the_manager_listens_and_calls(pair: Pair) -> None:
    lab, station = pair
    await station.until(lambda: bool(station._mine))
    assert lab.gateway.lines["law"].status.listening
    assert lab.gateway.lines["law-is"].status.peers == 1


@proves("LAW-F.07")
async def test_a_long_control_id_comes_back_whole(pair: Pair) -> None:
    _, station = pair
    control = "b5f12c06-2d66-4a2e-b1bd-f0423978db99"
    ack = await station.report(station.result_lines("26000145", [gl()]), control=control)
    assert fields(ack, "MSA", 2) == [control] and len(control) == 36


@proves("LAW-F.08", "LAW-F.09")
@pytest.mark.parametrize(("accept", "application"), [("NE", "AL"), ("ER", "AL"), ("", "")])
async def test_one_answer_and_no_commit(pair: Pair, accept: str, application: str) -> None:
    """The newer dialect, the older one, and original mode: one application answer, whose own 15 and 16 are empty."""
    _, station = pair
    station.accept, station.application = accept, application
    ack = await station.report(station.result_lines("26000145", [gl()]))
    await asyncio.sleep(0.2)
    assert ack.code == "AA"
    answers = [one for one in station.received if one.message.answers]
    assert len(answers) == 1
    assert fields(ack, "MSH", 15) in ([""], ["NE"]) and fields(ack, "MSH", 16) in ([""], ["NE"])


async def test_full_enhanced_mode_commits_first(pair: Pair) -> None:
    """Accept AL: CA says that the message is on disk, AA that it was taken."""
    _, station = pair
    station.accept = "AL"
    header = station.header("OUL^R22^OUL_R22", "LAB-29^IHE")
    answers = await station.exchange([header, *station.result_lines("26000145", [gl()])], answers=2)
    assert [one.code for one in answers] == ["CA", "AA"]

    station.application = "NE"
    header = station.header("OUL^R22^OUL_R22", "LAB-29^IHE")
    answers = await station.exchange([header, *station.result_lines("26000146", [gl("5.5")])])
    await asyncio.sleep(0.2)
    assert [one.code for one in answers] == ["CA"]


@pytest.mark.parametrize("fault", ["", "no_commit_ack"])
async def test_work_that_wants_a_commit(
    lawlab: LawLab, catalog: Catalog, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accept AL on our side: CA, then the ORL; an analyser that leaves the CA out is understood too."""
    station = await lawlab.analyser()
    law = law_of(catalog.get("generic-law").file)
    monkeypatch.setattr(law, "accept", "AL")
    await lawlab.open()
    if fault:
        station.arm(fault)
    order = await lawlab.taken(station, await lawlab.tube("GLU"))
    await lawlab.until_step("GLU", "kabul")
    assert fields(order, "MSH", 15) == ["AL"]
    codes = [fields(raw, "MSA", 1)[0] for raw in station.sent if b"\rMSA|" in raw]
    assert codes == (["AA"] if fault else ["CA", "AA"])
    assert len(station.orders()) == 1


async def test_a_commit_without_an_answer_is_not_sent_again(lawlab: LawLab) -> None:
    station = await lawlab.analyser(uygulama_yaniti_saniye=0.5)
    await lawlab.open()
    station.arm("commit_only")
    await lawlab.taken(station, await lawlab.tube("GLU"))
    await lawlab.until_step("GLU", "belirsiz")
    assert len(station.orders()) == 1


async def test_the_answer_may_come_on_another_connection(pair: Pair) -> None:
    """Enhanced mode over two connections: the commit on one, the application answer on the analyser's own."""
    lab, station = pair
    station.arm("commit_only")
    order = await lab.taken(station, await lab.tube("GLU"))
    answer = "".join(f"{line}\r" for line in station._orl(order)).encode()
    assert station._writer is not None
    await station._write(station._writer, answer)
    await lab.until_step("GLU", "kabul")
    assert len(station.orders()) == 1


@proves("LAW-F.09")
async def test_answers_are_never_answered(pair: Pair) -> None:
    lab, station = pair
    await lab.taken(station, await lab.tube("GLU"))
    await lab.until_step("GLU", "kabul")
    await asyncio.sleep(0.2)
    old = [
        station.header("ORL^O34^ORL_O42", "LAB-28^IHE", request=False, f15="ER", f16="NE"),
        segment("MSA", f1="AA", f2="n-0"),
    ]
    before = len(station.received)
    assert station._writer is not None
    await station._write(station._writer, "".join(f"{line}\r" for line in old).encode())
    await asyncio.sleep(0.3)
    assert len(station.received) == before
    assert not [one for one in station.received if one.message.kind == "ACK^O34"]


@proves("LAW-F.13", "LAW-F.12")
@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"f9": "ADT^A01^ADT_A01"}, "200"),
        ({"f9": "OUL^R99^OUL_R22"}, "201"),
        ({"f11": "X"}, "202"),
        ({"f12": "9.9"}, "203"),
    ],
)
async def test_what_nobody_supports_is_rejected(pair: Pair, changed: dict[str, str], code: str) -> None:
    _, station = pair
    header = station.header("OUL^R22^OUL_R22", "LAB-29^IHE", **changed)  # type: ignore[arg-type]
    [answer] = await station.exchange([header, *station.result_lines("26000145", [gl()])])
    assert fields(answer, "MSA", 1) == ["AR"]
    assert fields(answer, "ERR", 3) == [code] and fields(answer, "ERR", 3, 3) == ["HL70357"]
    assert fields(answer, "ERR", 4) == ["E"]


@proves("LAW-F.14", "LAW-F.12")
@pytest.mark.parametrize(
    ("damage", "code", "place"),
    [("no SPM", "100", "OBR"), ("no OBX-3", "101", "OBX"), ("no number", "102", "OBX"), ("no status", "103", "OBX")],
)
async def test_broken_content_is_an_error_and_becomes_nothing(pair: Pair, damage: str, code: str, place: str) -> None:
    lab, station = pair
    tube = await lab.tube("GLU")
    lines = station.result_lines(tube, [gl()])
    lines = {
        "no SPM": [line for line in lines if not line.startswith(("SPM", "SAC"))],
        "no OBX-3": [*lines[:-1], obx(1, "NM", "", "5.4")],
        "no number": [*lines[:-1], obx(1, "NM", "GLU", "abc")],
        "no status": [*lines[:-1], obx(1, "NM", "GLU", "5.4", status="Q")],
    }[damage]
    ack = await station.report(lines)
    await lab.settled()

    assert fields(ack, "MSA", 1) == ["AE"] and fields(ack, "ERR", 3) == [code]
    assert fields(ack, "ERR", 2) == [place] and fields(ack, "ERR", 4) == ["E"]
    assert await lab.results(tube) == [] and await lab.waiting() == []
    [dead] = await lab.rows("select durum, sorun, icerik from ham_mesaj")
    assert dead.durum == "hata" and code in dead.sorun and b"OUL^R22" in bytes(dead.icerik)


@proves("LAW-F.15")
async def test_what_cannot_be_stored_is_not_acknowledged(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """AA means: durable on the spool's disk. Full disk: silence, and the analyser keeps its message."""
    lab, station = pair
    tube = await lab.tube("GLU")
    header = station.header("OUL^R22^OUL_R22", "LAB-29^IHE", control="c-full-1")
    lines = [header, *station.result_lines(tube, [gl()])]

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("drivers.gateway.spool.os.pwritev", full)
        with pytest.raises(TimeoutError):
            await station.exchange(lines, seconds=0.5)
    [ack] = await station.exchange(lines)
    await lab.settled()
    assert ack.code == "AA" and len(await lab.results(tube)) == 1


@proves("LAW-F.16", "LAW-F.17")
async def test_what_is_unknown_is_ignored_and_kept(pair: Pair) -> None:
    lab, station = pair
    tube = await lab.tube("GLU")
    lines = station.result_lines(tube, [LawResult("GLU", [obx(1, "NM", "GLU^a^b^c^d^e^seventh", "5.4", "mg/dL")])])
    lines[0] += "|" * 20 + "beyond"
    lines.append("ZXY|1|unknown")
    ack = await station.report(lines)
    await lab.settled()
    assert ack.code == "AA" and len(await lab.results(tube)) == 1
    assert b"ZXY|1|unknown" in bytes(await lab.value("select icerik from ham_mesaj"))


@proves("LAW-F.17")
def test_empty_and_null_are_two_things() -> None:
    raw = b'MSH|^~\\&|||||||OUL^R22|1|P|2.5.1\rSPM|1|||\rSPM|2|||""\rOBR|1|""\r'
    message = hl7.parse(raw)
    absent, null = message.all("SPM")
    obr = message.first("OBR")
    assert obr is not None
    assert (absent.get(4), null.get(4), obr.get(2)) == ("", hl7.NULL, hl7.NULL)
    assert not hl7.is_null(absent.get(4)) and hl7.is_null(null.get(4)) and hl7.is_null(obr.get(2))


# ---- the catalogue


def table(**law: object) -> DefinitionFile:
    base: dict[str, object] = {
        "key": "try", "revision": 1, "maker": "X", "model": "Y", "family": "generic", "protocol": "hl7", "source": "s",
        "standing": "simulated", "directions": ["results", "query", "orders"], "links": ["tcp"],
        "specimen": {"from": ["SAC-3"]}, "test": {"from": ["OBX-3.1"]}, "value": {"from": ["OBX-5"]},
        "query": {"specimen": ["QPD-3"], "on": {"QBP^Q11": {}}}, "answer": {"law": law},
    }  # fmt: skip
    return definition_file(base)


@proves("LAW-014", "LAW-F.18")
@pytest.mark.parametrize("key", LAW_KEYS)
def test_every_law_definition_reports_and_asks_by_default(catalog: Catalog, key: str) -> None:
    definition = catalog.get(key)
    law = law_of(definition.file)
    assert law is not None and "results" in definition.file.directions
    assert law.mode == "query" and "bi-directional" in law.options


@proves("LAW-014")
def test_a_law_definition_without_results_is_refused() -> None:
    import msgspec

    file = table(system="99X")
    with pytest.raises(DefinitionError, match="LAB-29"):
        Definition(msgspec.structs.replace(file, directions=["query", "orders"]))


@proves("LAW-F.21")
def test_query_variants_need_the_bidirectional_option() -> None:
    with pytest.raises(DefinitionError, match="bi-directional"):
        Definition(table(options=["query-by-rack"]))
    Definition(table(options=["bi-directional", "query-by-rack"]))


# ---- several analysers, faults by name, the independent package as the other side


async def test_several_analysers_behind_one_connection(lawlab: LawLab) -> None:
    """A data manager speaks for two analysers: MSH-3 tells whose message it is."""
    station = await lawlab.analyser(gondericiler={"CHEM1": "law", "CHEM2": "law2-is"})
    other = await lawlab.analyser("law2", name="CHEM2")
    await lawlab.open()
    tube = await lawlab.tube("GLU")
    station.name = "CHEM2"
    await station.ask(tube)
    await other.until(other.orders)
    await lawlab.until_step("GLU", "kabul", "law2")
    await station.report(station.result_lines(tube, [gl()]))
    await lawlab.settled()
    assert station.orders() == []
    code = "select cihaz_kisa_kodu from ham_mesaj join cihaz using (cihaz_kodu) where durum = 'islendi'"
    assert await lawlab.value(code) == "law2"


def test_faults_have_names() -> None:
    station = LawStation(0)
    with pytest.raises(LawFault, match="no_such_fault"):
        station.arm("no_such_fault")
    station.arm(*LAW_FAULTS)


async def test_an_analyser_on_the_independent_package(pair: Pair) -> None:
    """python-hl7 on both ends: its MLLP client asks and reports, its MLLP server takes the work and answers."""
    lab, station = pair
    await station.stop()
    tube = await lab.tube("GLU", "UREA")

    reader, writer = await open_hl7_connection("127.0.0.1", lab.port, encoding="utf-8")
    query = independent.parse(
        "MSH|^~\\&|PEER|||NUMUNE|20261203081500+0300||QBP^Q11^QBP_Q11|p-1|P|2.5.1|||NE|AL||UNICODE UTF-8|||LAB-27^IHE\r"
        f"QPD|WOS^Work Order Step^IHELAW|q-p1|{tube}\rRCP|I||R^Real Time^HL70394\r"
    )

    async def serve(peer_reader: HL7StreamReader, peer_writer: HL7StreamWriter) -> None:
        work = await peer_reader.readmessage()
        answer = independent.parse(
            f"MSH|^~\\&|PEER|||NUMUNE|20261203081502+0300||ORL^O34^ORL_O42|p-2|P|2.5.1||||||UNICODE UTF-8|||LAB-28^IHE\r"
            f"MSA|AA|{work['MSH.F10']}\rSPM|1\rSAC|||{work['SAC.F3']}\r"
            + "".join(f"ORC|OK|{order(2)}|||SC\r" for order in work.segments("OBR"))
        )
        peer_writer.writemessage(answer)
        await peer_writer.drain()

    server = await start_hl7_server(serve, "127.0.0.1", station.port, encoding="utf-8")
    writer.writemessage(query)
    rsp = await asyncio.wait_for(reader.readmessage(), 20)
    assert str(rsp["MSA.F1"]) == "AA" and str(rsp["QAK.F1"]) == "q-p1"
    await lab.until_step("UREA", "kabul", seconds=10)

    steps = {test: await lab.awos(test) for test in ("GLU", "UREA")}
    result = independent.parse(
        "MSH|^~\\&|PEER|||NUMUNE|20261203083715+0300||OUL^R22^OUL_R22|p-3|P|2.5.1|||NE|AL||UNICODE UTF-8|||LAB-29^IHE\r"
        f"SPM|1|||SER|||||||P^^HL70369\rSAC|||{tube}\r"
        f"OBR|1|{steps['GLU']}||GLU\rORC|SC||||CM\rOBX|1|NM|GLU|1|97|mg/dL^^UCUM|||||F|||||op||M^X~S1^X|20261203083712+0300\r"
    )
    writer.writemessage(result)
    ack = await asyncio.wait_for(reader.readmessage(), 20)
    await lab.settled()
    assert str(ack["MSA.F1"]) == "AA" and str(ack["MSA.F2"]) == "p-3"
    assert [row.test for row in await lab.results(tube)] == ["GLU"]
    assert (await lab.steps())["GLU"] == "tamam"
    writer.close()
    server.close()


async def test_a_line_that_is_not_law_goes_as_before(tmp_path: Path, catalog: Catalog) -> None:
    """generic-hl7 takes what others send: an ADT is no error there."""

    async def nothing(*_: object) -> list[object]:
        return []

    from lis_core.settings import ISTANBUL

    gateway = Gateway(tmp_path, catalog, answer=nothing, deliver=nothing, zone=ISTANBUL)  # type: ignore[arg-type]
    book = LineBook(LineSpec("x", "tcp-sunucu", "hl7", "0", "generic-hl7"))
    assert MllpSession and gateway.law.acknowledgements(book, catalog.get("generic-hl7"), None, None) is None  # type: ignore[arg-type]
    assert names(b"MSH|^~\\&|||||||ADT^A01|1|P|2.5\rPID|1\r") == ["MSH", "PID"]
