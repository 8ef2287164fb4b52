"""Small things that the stories of this folder are told with. Messages are written here by hand, not by our writer."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Self

from sqlalchemy import select, text

from hbys_bridge.app import Bridge
from lis_core.domain.identity import synthetic_tc
from lis_core.domain.states import TubeState
from lis_core.jobs import OutboxWorker
from lis_core.services.approvals import HOSPITAL_TOPIC, approve_clinically, approve_technically, withdraw
from lis_core.storage.database import Database
from lis_core.storage.tables import HospitalMessage, Notice, Order, OrderedTest, Test, Tube
from simulators.hospital import Person
from simulators.segments import Message
from tests.services import steps

_numbers = itertools.count(1)


class MllpClient:
    """A bare MLLP peer: what is sent is what the test wrote."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        """address: of ours, from which we call."""
        self._port = port
        self._address = address

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port, local_addr=(self._address, 0))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def read(self, within: float = 10.0) -> Message:
        """The next block."""
        block = await asyncio.wait_for(self.reader.readuntil(b"\x1c\r"), within)
        return Message(block[block.index(b"\x0b") + 1 : -2])

    async def ask(self, message: str | bytes) -> Message:
        """Send a message, get the answer."""
        data = message.encode() if isinstance(message, str) else message
        await self.write(b"\x0b" + data + b"\x1c\r")
        return await self.read()


def message(
    *segments: str, type: str = "OML^O21^OML_O21", control: str = "", sender: str = "HBYS|HASTANE", **msh: str
) -> str:
    """A message of a hospital. msh: version, processing, accept, application."""
    control = control or f"M{next(_numbers)}"
    fields = [
        "MSH|^~\\&",
        sender,
        "NUMUNE|LAB",
        "20261122103000+0300",
        "",
        type,
        control,
        msh.get("processing", "P"),
        msh.get("version", "2.5.1"),
        "",
        "",
        msh.get("accept", ""),
        msh.get("application", ""),
        "",
        "UNICODE UTF-8",
    ]
    return "\r".join(["|".join(fields), *segments]) + "\r"


def person(**wanted: Any) -> Person:
    """An invented patient of the hospital; a new one each time."""
    n = next(_numbers)
    said = {
        "number": f"H{n:05}",
        "tc": synthetic_tc(700_000 + n),
        "family_name": "ÖĞÜTÇÜ",
        "given_name": "ŞİRİN",
        "birth_date": "19800517",
        "sex": "F",
    }
    return Person(**(said | wanted))


def pid(who: Person) -> str:
    return who.segment()


def order_message(
    who: Person,
    tests: Sequence[str],
    *,
    number: str = "",
    control_code: str = "NW",
    kind: str = "OML",
    **more: str,
) -> str:
    """An order with one ORC/OBR a test: ORC-2 `<number>-1`, `-2` ..., ORC-4 `<number>`."""
    number = number or f"O{next(_numbers)}"
    segments = [pid(who), "PV1|1|O|DAHILIYE"]
    for n, code in enumerate(tests, 1):
        segments += [f"ORC|{control_code}|{number}-{n}||{number}", f"OBR|{n}|{number}-{n}||{code}^{code}^L"]
    type = "OML^O21^OML_O21" if kind == "OML" else "ORM^O01^ORM_O01"
    return message(*segments, type=type, **more)


# -- what the laboratory has


async def order_of(lab: Database, hospital_number: str) -> Order | None:
    async with lab.reading() as session:
        return await session.scalar(select(Order).where(Order.hospital_number == hospital_number))


async def count(lab: Database, what: str, **values: Any) -> int:
    async with lab.reading() as session:
        return await session.scalar(text(f"select count(*) from {what}"), values) or 0


async def barcodes(lab: Database, number: str) -> list[str]:
    async with lab.reading() as session:
        rows = await session.scalars(
            select(Tube.barcode).join(Order, Order.id == Tube.order_id).where(Order.number == number)
        )
        return sorted(rows)


async def kept(lab: Database, control: str) -> list[HospitalMessage]:
    """The hospital's messages under this control id."""
    async with lab.reading() as session:
        rows = select(HospitalMessage).where(HospitalMessage.control_id == control).order_by(HospitalMessage.id)
        return list(await session.scalars(rows))


async def sent(lab: Database) -> list[HospitalMessage]:
    """Result messages that were written, oldest first."""
    async with lab.reading() as session:
        rows = select(HospitalMessage).where(HospitalMessage.direction == "giden").order_by(HospitalMessage.id)
        return list(await session.scalars(rows))


async def notices(lab: Database) -> list[str]:
    async with lab.reading() as session:
        return list(await session.scalars(select(Notice.text).where(Notice.kind == "hbys").order_by(Notice.id)))


# -- the laboratory at work


async def measured(lab: Database, number: str, values: Mapping[str, str]) -> dict[str, int]:
    """The tubes arrive and are measured; result ids by test."""
    for barcode in await barcodes(lab, number):
        await steps.tube_moves(lab, barcode, TubeState.RECEIVED)
    return {code: await steps.result(lab, number, code, value) for code, value in values.items()}


async def technically_approved(lab: Database, results: Mapping[str, int]) -> None:
    async with lab.work(await steps.user(lab, "teknisyen")) as work:
        outcomes = await approve_technically(work, list(results.values()), "arandı")
    assert all(outcome.ok for outcome in outcomes), outcomes


async def clinically_approved(lab: Database, results: Mapping[str, int]) -> None:
    async with lab.work(await steps.user(lab, "uzman")) as work:
        outcomes = await approve_clinically(work, list(results.values()))
    assert all(outcome.ok for outcome in outcomes), outcomes


async def released(lab: Database, number: str, values: Mapping[str, str]) -> dict[str, int]:
    """Measured and approved twice."""
    results = await measured(lab, number, values)
    await technically_approved(lab, results)
    await clinically_approved(lab, results)
    return results


async def withdrawn(lab: Database, result_id: int) -> None:
    async with lab.work(await steps.user(lab, "uzman")) as work:
        await withdraw(work, result_id, "tüp karışmış olabilir")


async def ordered_test_ids(lab: Database, number: str) -> dict[str, int]:
    async with lab.reading() as session:
        rows = await session.execute(
            select(Test.code, OrderedTest.id)
            .join(Test, Test.id == OrderedTest.test_id)
            .join(Order, Order.id == OrderedTest.order_id)
            .where(Order.number == number)
        )
        return dict(rows.tuples().all())


async def post(lab: Database, bridge: Bridge) -> int:
    """The outbox worker does everything that is due; how many entries it took up."""
    worker = OutboxWorker(lab, bridge.handlers)
    done = 0
    while await worker.do_one(HOSPITAL_TOPIC, bridge.handlers[HOSPITAL_TOPIC]):
        done += 1
    return done


async def pauses_pass(lab: Database) -> None:
    """As if the waiting entries' pauses were over."""
    async with lab.work(await steps.user(lab, "yonetici")) as work:
        await work.session.execute(text("update giden_kutusu set sonraki_deneme = now() where bitti_zamani is null"))


async def waiting(lab: Database) -> int:
    """Entries for the hospital that are not done."""
    return await count(lab, "giden_kutusu where konu = 'hbys.sonuc' and bitti_zamani is null")


async def errors(lab: Database) -> list[str]:
    """Why entries of the outbox were put off."""
    async with lab.reading() as session:
        return list(await session.scalars(text("select son_hata from giden_kutusu where son_hata is not null")))
