"""Instruments with protocols of their own, over real sockets and a real spool; the core is a list."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from drivers.definition import Catalog
from drivers.gateway.gateway import Gateway
from drivers.gateway.line import LineSpec
from drivers.messages import Delivery, Query, WorkOrder, WorkTest
from lis_core.settings import ISTANBUL
from tests.gateway.conftest import ACK, EOT, Wire, free_port

MESSAGES = Path(__file__).parents[1] / "drivers" / "messages"
NAK = b"\x15"


class Post:
    """A gateway whose core only collects."""

    def __init__(self, folder: Path, catalog: Catalog, model: str, **settings: Any) -> None:
        self.port = free_port()
        self.delivered: list[Delivery] = []
        self.orders: dict[str, WorkOrder] = {}
        self.asked: list[Query] = []
        self.model = model
        self.settings = settings
        self.gateway = Gateway(folder, catalog, answer=self._answer, deliver=self._deliver, zone=ISTANBUL)

    async def _answer(self, line: str, query: Query) -> Sequence[WorkOrder]:
        self.asked.append(query)
        return [self.orders.get(specimen, WorkOrder(specimen=specimen, known=False)) for specimen in query.specimens]

    async def _deliver(self, delivery: Delivery) -> None:
        self.delivered.append(delivery)

    async def __aenter__(self) -> Post:
        spec = LineSpec("hat", "tcp-sunucu", "metin", f"127.0.0.1:{self.port}", self.model, dict(self.settings))
        await self.gateway.start_lines([spec])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.gateway.stop()

    @property
    def history(self) -> str:
        return "\n".join(sentence for _, sentence in self.gateway.lines["hat"].events)

    async def arrived(self, number: int) -> list[Delivery]:
        for _ in range(200):
            if len(self.delivered) >= number:
                return self.delivered
            await asyncio.sleep(0.02)
        raise AssertionError(f"{len(self.delivered)} messages, not {number}; {self.history}")


def message(key: str) -> bytes:
    return (MESSAGES / f"{key}.bin").read_bytes()


async def test_a_fixed_column_counter_is_stored_acknowledged_and_read(tmp_path: Path, catalog: Catalog) -> None:
    async with Post(tmp_path, catalog, "sysmex-kx-21n") as post:
        watched: list[tuple[str, bytes]] = []
        post.gateway.lines["hat"].taps = (lambda way, data: watched.append((way, data)),)
        wire = await Wire.to(post.port)
        blocks = message("sysmex-kx-21n").split(b"\x03")
        await wire.ask(blocks[0] + b"\x03")
        (delivery,) = await post.arrived(1)
        assert watched == [("gelen", blocks[0] + b"\x03"), ("giden", ACK)]

    assert (delivery.protocol, delivery.definition, delivery.whole) == ("metin", "sysmex-kx-21n", True)
    assert delivery.raw == blocks[0] + b"\x03"  # verbatim
    assert [one.value for one in delivery.observations[:3]] == ["6.5", "4.52", "13.5"]


async def test_eighty_blocks_of_a_tosoh_are_one_message(tmp_path: Path, catalog: Catalog) -> None:
    async with Post(tmp_path, catalog, "tosoh-g8") as post:
        wire = await Wire.to(post.port)
        await wire.send(message("tosoh-g8"))
        first, second = await post.arrived(2)

    assert {one.specimen for one in first.observations} == {"26000145"}
    assert {one.specimen for one in second.observations} == {None}
    assert first.raw + second.raw == message("tosoh-g8")


async def test_a_full_disk_is_a_refusal_and_nothing_is_delivered(
    tmp_path: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Post(tmp_path, catalog, "sysmex-kx-21n") as post:
        wire = await Wire.to(post.port)
        append = post.gateway.spool.append
        full = {"disk": True}

        def failing(*arguments: Any) -> Any:
            if not full["disk"]:
                return append(*arguments)
            place = append(*arguments[:-1], lambda error: None)
            asyncio.get_running_loop().call_soon(arguments[-1], OSError(28, "No space left on device"))
            return place

        monkeypatch.setattr(post.gateway.spool, "append", failing)
        block = message("sysmex-kx-21n").split(b"\x03")[0] + b"\x03"
        await wire.ask(block, NAK)
        assert post.delivered == []
        full["disk"] = False
        await wire.ask(block)
        await post.arrived(1)
        assert "Diske yazılamadı" in post.history


@pytest.mark.parametrize("hat", [{}, {"join": "CR"}], ids=["as the model", "as this line was set"])
async def test_what_was_acknowledged_is_there_after_a_crash_under_the_same_key(
    tmp_path: Path, catalog: Catalog, hat: dict[str, Any]
) -> None:
    """The database never confirmed: the next process takes it up, message by message, and reads it the same way."""
    post = Post(tmp_path, catalog, "tosoh-g8", hat=hat)
    await post.__aenter__()
    wire = await Wire.to(post.port)
    await wire.send(message("tosoh-g8"))
    before = [(one.key, one.raw, one.whole, one.observations, one.problem) for one in await post.arrived(2)]
    await post.gateway.stop()

    async with Post(tmp_path, catalog, "tosoh-g8", hat=hat) as again:
        after = [(one.key, one.raw, one.whole, one.observations, one.problem) for one in await again.arrived(2)]
    assert after == before


async def test_a_run_that_breaks_off_is_kept_and_not_applied(tmp_path: Path, catalog: Catalog) -> None:
    async with Post(tmp_path, catalog, "tosoh-g8") as post:
        wire = await Wire.to(post.port)
        half = message("tosoh-g8").split(EOT)[0][:200]
        last = half.rindex(b"\x03") + 2
        await wire.send(half[:last])
        await asyncio.sleep(0.2)
        wire.writer.close()
        (delivery,) = await post.arrived(1)

    assert not delivery.whole and delivery.observations == [] and delivery.raw == half[:last]
    assert "Mesajın sonu gelmedi" in (delivery.problem or "")


async def test_a_dimension_asks_and_hears_the_order(tmp_path: Path, catalog: Catalog) -> None:
    async with Post(tmp_path, catalog, "siemens-dimension-exl") as post:
        post.orders["26000145"] = WorkOrder(
            specimen="26000145", known=True, material="SER", tests=(WorkTest("GLU"), WorkTest("CREA", priority="S"))
        )
        wire = await Wire.to(post.port)
        poll, query, results = (part + b"\x03" for part in message("siemens-dimension-exl").split(b"\x03")[:3])
        await wire.send(poll)
        assert await wire.reader.readexactly(7) == ACK + b"\x02N\x1c6A\x03"
        await wire.send(ACK)
        await wire.ask(query)
        order = await asyncio.wait_for(wire.reader.readuntil(b"\x03"), 5)
        assert order[:-3] == (
            b"\x02D\x1c0\x1c0\x1cA\x1c\x1c26000145\x1c1\x1c\x1c1\x1c1\x1c**\x1c1\x1c2\x1cGLU\x1cCREA\x1c"
        )
        assert int(order[-3:-1], 16) == sum(order[1:-3]) % 256
        await wire.send(ACK)
        await wire.ask(results)
        assert await wire.reader.readuntil(b"\x03") == b"\x02M\x1cA\x1c\x1cE2\x03"
        delivered = await post.arrived(2)

    assert post.asked[0].specimens == ["26000145"]
    assert [one.test for one in delivered[1].observations] == ["GLU", "CREA", "ALTI"]


async def test_a_ca_600_without_work_hears_000_and_never_999(tmp_path: Path, catalog: Catalog) -> None:
    async with Post(tmp_path, catalog, "sysmex-ca-600") as post:
        wire = await Wire.to(post.port)
        await wire.ask(message("sysmex-ca-600").split(b"\x03")[0] + b"\x03")
        answer = await asyncio.wait_for(wire.reader.readuntil(b"\x03"), 5)

    assert answer == b"\x02S2210101U0101260905001203     26000145B           000      \x03"


async def test_an_au_with_other_widths_is_refused_and_told(tmp_path: Path, catalog: Catalog) -> None:
    """The machine is set to identifiers of ten characters, the line to twenty: nothing is read from the record."""
    record = message("beckman-au5800").split(b"\x03")[1] + b"\x03"
    async with Post(tmp_path / "a", catalog, "beckman-au5800", parametre={"kimlik": 10}) as post:
        wire = await Wire.to(post.port)
        await wire.ask(record)
        (delivery,) = await post.arrived(1)
        assert delivery.observations == [] and "tanıma uymuyor" in (delivery.problem or "")
    async with Post(tmp_path / "b", catalog, "beckman-au5800", parametre={"kimlik": 20}) as post:
        wire = await Wire.to(post.port)
        await wire.ask(record)
        (delivery,) = await post.arrived(1)
        assert delivery.observations[0].specimen == "26000145"


async def test_a_parameter_that_the_model_does_not_have_is_told_at_once(tmp_path: Path, catalog: Catalog) -> None:
    async with Post(tmp_path, catalog, "beckman-au5800", parametre={"genislik": 10}) as post:
        assert "böyle bir parametresi yok: genislik" in post.history


async def test_a_line_of_another_protocol_than_its_definition_does_not_open(tmp_path: Path, catalog: Catalog) -> None:
    async with Post(tmp_path, catalog, "sysmex-xn") as post:
        assert "Hat açılamadı" in post.history


async def test_the_settings_of_a_line_change_its_frames(tmp_path: Path, catalog: Catalog) -> None:
    """An AU with its check character on: hat = {check = xor}."""
    block = message("beckman-au5800").split(b"\x03")[1] + b"\x03"
    check = 0
    for byte in block[1:]:
        check ^= byte
    async with Post(tmp_path, catalog, "beckman-au5800", hat={"check": "xor"}) as post:
        wire = await Wire.to(post.port)
        await wire.ask(block + bytes([check ^ 1]), NAK)
        await wire.ask(block + bytes([check]))
        assert len(await post.arrived(1)) == 1
