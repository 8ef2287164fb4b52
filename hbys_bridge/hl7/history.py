"""What the hospital has said about an order so far, read again from its own kept messages: the one source of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from drivers.protocols import hl7
from drivers.protocols.hl7 import Segment
from hbys_bridge.hl7.coding import UnclearCode, named_test
from hbys_bridge.hl7.orders import CANCEL, CHANGE, read_order
from hbys_bridge.hl7.refusals import Refused
from lis_core.services.catalog import Catalog
from lis_core.settings import ISTANBUL
from lis_core.storage.tables import HospitalMessage

INCOMING, OUTGOING = "gelen", "giden"
ORDER_TYPES = ("OML", "ORM")


@dataclass(frozen=True, slots=True)
class Step:
    """A single request of the hospital: its test's catalogue code, its number, and the segments that said so."""

    code: str
    number: str
    orc: Segment
    obr: Segment


@dataclass(slots=True)
class OrderHistory:
    """sender: who placed the order ("" = no message of it is kept). steps: by catalogue code, the last one said.
    pid: the patient as last written.
    """

    sender: str = ""
    steps: dict[str, Step] = field(default_factory=dict)
    pid: Segment | None = None

    def codes_numbered(self, number: str) -> set[str]:
        """The tests asked for under this number; several where the hospital numbers whole orders only."""
        return {step.code for step in self.steps.values() if number and step.number == number}


async def order_history(session: AsyncSession, known: Catalog, order_id: int) -> OrderHistory:
    """Read the accepted order messages of an order, oldest first."""
    rows = await session.execute(
        select(HospitalMessage.sender, HospitalMessage.content, HospitalMessage.message_type)
        .where(
            HospitalMessage.order_id == order_id,
            HospitalMessage.direction == INCOMING,
            HospitalMessage.outcome == "AA",
        )
        .order_by(HospitalMessage.id)
    )
    history = OrderHistory()
    for sender, content, message_type in rows:
        if message_type.partition("^")[0] in ORDER_TYPES:
            history.sender = history.sender or sender
            _add(history, known, content)
    return history


def _add(history: OrderHistory, known: Catalog, content: bytes) -> None:
    message = hl7.parse(content)
    try:
        said = read_order(message, ISTANBUL, preprinted=False)
    except Refused:  # taken under other settings; it says nothing now, and its order is there all the same
        return
    history.pid = message.first("PID")
    for line in said.lines:
        if line.obr is None or line.control == CANCEL:
            continue
        try:
            test = named_test(known, line.codes)
        except UnclearCode:  # the catalogue has changed since
            continue
        before = history.codes_numbered(line.step)
        if line.control == CHANGE and len(before) == 1:  # the request became another test
            history.steps.pop(before.pop())
        history.steps[test.code] = Step(test.code, line.step, line.orc, line.obr)
