"""A point-of-care device on a real socket, a real spool behind it; the core is a list."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from drivers.decode import decode_bytes
from drivers.definition import Catalog, load_catalog
from drivers.gateway import rereading
from drivers.gateway.gateway import Gateway
from drivers.gateway.line import LineSpec
from drivers.messages import Delivery, Query, WorkOrder, WorkPatient
from lis_core.settings import ISTANBUL
from tests.gateway.conftest import Wire, free_port
from tests.poct1a.kit import document, end_of_topic, hello, result, short, status, yes

FILE = Path(__file__).parents[1] / "drivers" / "messages" / "generic-poct1a.xml"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


class Ward:
    """A gateway with one line for a meter."""

    def __init__(self, folder: Path, catalog: Catalog, **settings: Any) -> None:
        self.port = free_port()
        self.delivered: list[Delivery] = []
        self.asked: list[Query] = []
        self.broken = False
        self.gateway = Gateway(folder, catalog, answer=self._answer, deliver=self._deliver, zone=ISTANBUL)
        given = {"ikinci": "birlikte", **settings}
        given["hat"] = {"turnaround": 0.0, **given.get("hat", {})}
        self.spec = LineSpec("servis", "tcp-sunucu", "poct1a", f"127.0.0.1:{self.port}", "generic-poct1a", given)

    async def _answer(self, line: str, query: Query) -> Sequence[WorkOrder]:
        self.asked.append(query)
        if self.broken:
            raise RuntimeError("the database is away")
        patient = WorkPatient("1", "YILMAZ", "AYŞE", "19800102", "K")
        return [WorkOrder(specimen=one, known=one == "26000145", patient=patient) for one in query.specimens]

    async def _deliver(self, delivery: Delivery) -> None:
        self.delivered.append(delivery)

    async def __aenter__(self) -> Ward:
        await self.gateway.start_lines([self.spec])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.gateway.stop()

    @property
    def history(self) -> str:
        return "\n".join(sentence for _, sentence in self.gateway.lines["servis"].events)

    async def arrived(self, number: int) -> list[Delivery]:
        for _ in range(300):
            if len(self.delivered) >= number:
                return self.delivered
            await asyncio.sleep(0.01)
        raise AssertionError(f"{len(self.delivered)} messages, not {number}; {self.history}")


class Meter:
    """The device's end: sends a document, hears documents."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.raw = b""

    async def says(self, data: bytes, *expected: str) -> None:
        await self.wire.send(data)
        for one in expected:
            assert await self.hears() == one

    async def hears(self) -> str:
        head = await asyncio.wait_for(self.wire.reader.readuntil(b"</HDR>"), 5)
        kind = re.search(rb"<([A-Z]{3}\.R0[12])>", head)
        assert kind is not None, head
        self.raw = head + await asyncio.wait_for(self.wire.reader.readuntil(b"</" + kind[1] + b">"), 5)
        return short(self.raw)

    @property
    def id(self) -> str:
        found = re.search(rb'control_id V="([0-9]+)"', self.raw)
        assert found is not None
        return found[1].decode()


async def on_the_line(ward: Ward, **said: str) -> Meter:
    meter = Meter(await Wire.to(ward.port))
    await meter.says(hello(**said), "ACK AA 1")  # type: ignore[arg-type]
    return meter


async def test_a_conversation_from_hello_to_the_end(tmp_path: Path, catalog: Catalog) -> None:
    async with Ward(tmp_path, catalog) as ward:
        seen: list[tuple[str, bytes]] = []
        ward.gateway.lines["servis"].taps = (lambda way, data: seen.append((way, data)),)
        meter = await on_the_line(ward, can="")
        await meter.says(status(observations=1), "ACK AA 2", "REQ ROBS")
        await meter.says(result(3), "ACK AA 3")
        await meter.says(end_of_topic(4), "ACK AA 4", "END NRM")
        await meter.says(yes(5, meter.id))
        assert await meter.wire.reader.read() == b"", "the host hangs up"
        (delivery,) = await ward.arrived(1)

    assert (delivery.protocol, delivery.definition, delivery.raw) == ("poct1a", "generic-poct1a", result(3))
    assert [(one.specimen, one.test, one.number) for one in delivery.observations] == [("26000145", "GLU", 5.4)]
    assert ("gelen", result(3)) in seen and any(way == "giden" and b"REQ.R01" in data for way, data in seen)
    assert "DENEME HB-1 417" in ward.history and "Konuşma bitti" in ward.history


async def test_a_full_disk_is_silence_and_the_repetition_is_taken(
    tmp_path: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Ward(tmp_path, catalog) as ward:
        meter = await on_the_line(ward, can="")
        await meter.says(status(observations=1), "ACK AA 2", "REQ ROBS")
        append = ward.gateway.spool.append

        def failing(*arguments: Any) -> Any:
            place = append(*arguments[:-1], lambda error: None)
            asyncio.get_running_loop().call_soon(arguments[-1], OSError(28, "No space left on device"))
            return place

        with monkeypatch.context() as patched:
            patched.setattr(ward.gateway.spool, "append", failing)
            await meter.says(result(3))
            await meter.says(document("KPA.R01", 9), "ACK AA 9")  # the line is there, and says nothing of the result
        await meter.says(result(3), "ACK AA 3")
        await ward.arrived(1)
        assert "cihaza yanıt verilmedi" in ward.history


async def test_what_was_acknowledged_is_there_after_a_crash_under_the_same_key(
    tmp_path: Path, catalog: Catalog
) -> None:
    async with Ward(tmp_path, catalog) as ward:
        meter = await on_the_line(ward)
        await meter.says(result(3) + result(4, "9.9"), "ACK AA 3", "ACK AA 4")
        before = [(one.key, one.raw) for one in await ward.arrived(2)]
    async with Ward(tmp_path, catalog) as again:
        assert [(one.key, one.raw) for one in await again.arrived(2)] == before


async def test_a_repeated_result_with_a_new_header_has_one_fingerprint(tmp_path: Path, catalog: Catalog) -> None:
    """Sent again after a lost answer, or in another conversation: the same content under another header."""
    async with Ward(tmp_path, catalog) as ward:
        meter = await on_the_line(ward)
        await meter.says(result(3), "ACK AA 3")
        await meter.says(result(77), "ACK AA 77")
        await meter.says(result(78, "5.5"), "ACK AA 78")
        first, again, other = await ward.arrived(3)

    assert first.fingerprint == again.fingerprint != other.fingerprint and first.key != again.key


async def test_what_cannot_be_read_is_kept_for_a_person(tmp_path: Path, catalog: Catalog) -> None:
    async with Ward(tmp_path, catalog) as ward:
        meter = await on_the_line(ward)
        await meter.says(result(3).replace(b"5.4", b"&a;"), "ACK AE 3 document is not well-formed or not allowed")
        (delivery,) = await ward.arrived(1)

    assert (
        delivery.observations == [] and "geçerli bir XML değil" in (delivery.problem or "") and b"&a;" in delivery.raw
    )


async def test_the_ward_tells_the_device_whose_tube_it_is(tmp_path: Path, catalog: Catalog) -> None:
    """The number is a tube's or an order's; one that nobody knows finds nobody; without the database it is told so."""
    ask = '<REQ><REQ.request_cd V="RPAT"/><PT><PT.patient_id V="{}"/></PT></REQ>'
    async with Ward(tmp_path, catalog, hat={"patients": True}) as ward:
        meter = await on_the_line(ward, can="")
        await meter.says(document("REQ.R01", 2, ask.format("26000145")))
        assert await meter.hears() == "PTL 26000145 AYŞE YILMAZ AYŞE YILMAZ 1980-01-02 F"
        await meter.says(yes(3, meter.id))
        await meter.says(document("REQ.R01", 4, ask.format("10000000146")), "PTL")
        await meter.says(yes(5, meter.id))
        ward.broken = True
        await meter.says(document("REQ.R01", 6, ask.format("1")), "ESC 6 OTH not available now")

    assert [one.specimens for one in ward.asked] == [["26000145"], ["10000000146"], ["1"]]


async def test_the_line_gives_its_operators(tmp_path: Path, catalog: Catalog) -> None:
    async with Ward(tmp_path, catalog, kullanicilar=[{"kimlik": "5047", "ad": "Çiğdem Öz", "yetki": "4"}]) as ward:
        meter = await on_the_line(ward, can="", topics="OP_LST")
        await meter.says(status(), "ACK AA 2", "OPL 5047 Çiğdem Öz ALL 4")
    async with Ward(tmp_path / "b", catalog, kullanicilar=[{"ad": "kimliksiz"}]) as ward:
        assert "kullanicilar: her satırda kimlik" in ward.history


async def test_where_the_tube_is_scanned_into_the_patient_field(tmp_path: Path, catalog: Catalog) -> None:
    scanned = result(3, order="").replace(b"<PT>", b'<PT><PT.patient_id V="26000145"/>')
    for parameter, expected in (("istem", (None, "26000145")), ("PT", ("26000145", None))):
        async with Ward(tmp_path / f"barkod{parameter}", catalog, parametre={"barkod": parameter}) as ward:
            meter = await on_the_line(ward)
            await meter.says(scanned, "ACK AA 3")
            (delivery,) = await ward.arrived(1)
        assert [(one.specimen, one.patient) for one in delivery.observations] == [expected]


async def test_a_kept_document_is_read_again(catalog: Catalog) -> None:
    read = rereading.make(catalog)("generic-poct1a", "poct1a", result(3))
    assert [one.value for one in read.observations] == ["5.4"]
    assert (read.definition, read.revision) == ("generic-poct1a", 1)


def test_a_captured_conversation_is_decoded_without_being_told_what_it_is(catalog: Catalog) -> None:
    """Both sides, HEL to EOT: the results come out, the rest is counted."""
    decoded = decode_bytes(FILE.read_bytes(), catalog)

    assert decoded.failures == [] and len(decoded.lines) == 8
    assert decoded.notes == ["4 konuşma belgesi (HEL, DST, ACK ...) sonuç taşımaz; atlandı."]
    cut = decode_bytes(FILE.read_bytes()[:-20], catalog)
    assert len(cut.lines) == 8 and cut.failures == ["1 belge yarım ya da bozuk; okunmadı."]
