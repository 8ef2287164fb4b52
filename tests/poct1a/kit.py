"""A conversation by hand: documents of a device written out, and what the host says in short."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any

from drivers.protocols.poct1a import Operator
from drivers.protocols.poct1a_host import HostLink
from drivers.protocols.poct1a_words import Event, Poct1aOptions
from drivers.protocols.text_link import BlockReceived

NOON = datetime(2026, 1, 1, 12, 0, 0, tzinfo=timezone(timedelta(hours=3)))
DOCUMENT = re.compile(rb"(?:\x0b)?<\?xml.*?(?=\x0b?<\?xml|\Z)", re.S)


def document(kind: str, number: int, body: str = "") -> bytes:
    """A message of a device, with the least that a header needs."""
    head = f'<HDR><HDR.control_id V="{number}"/><HDR.version_id V="POCT1"/></HDR>'
    return f"<{kind}>{head}{body}</{kind}>".encode()


def hello(
    number: int = 1, *, can: str = "START_CONTINUOUS SET_TIME", topics: str = "D_EV", seconds: str = "60"
) -> bytes:
    directives = "".join(f'<DSC.directives_supported_cd V="{one}"/>' for one in can.split())
    listed = "".join(f'<DSC.topics_supported_cd V="{one}"/>' for one in topics.split())
    limit = f'<DCP><DCP.application_timeout V="{seconds}"/></DCP>' if seconds else ""
    named = '<DEV.vendor_id V="DENEME"/><DEV.model_id V="HB-1"/><DEV.serial_id V="417"/>'
    return document("HEL.R01", number, f"<DEV>{named}{limit}<DSC>{directives}{listed}</DSC></DEV>")


def status(number: int = 2, observations: int = 0, events: int = 0) -> bytes:
    counted = f'<DST.new_observations_qty V="{observations}"/><DST.new_events_qty V="{events}"/>'
    return document("DST.R01", number, f"<DST>{counted}</DST>")


def result(number: int, value: str = "5.4", order: str = "26000145") -> bytes:
    obs = f'<OBS><OBS.observation_id V="GLU"/><OBS.value V="{value}" U="mmol/L"/></OBS>'
    svc = f'<SVC><SVC.role_cd V="OBS"/><PT>{obs}</PT><ORD><ORD.order_id V="{order}"/></ORD></SVC>'
    return document("OBS.R01", number, svc)


def end_of_topic(number: int, topic: str = "OBS") -> bytes:
    return document("EOT.R01", number, f'<EOT><EOT.topic_cd V="{topic}"/></EOT>')


def yes(number: int, of: str, kind: str = "AA") -> bytes:
    said = f'<ACK.type_cd V="{kind}"/><ACK.ack_control_id V="{of}"/>'
    return document("ACK.R01", number, f"<ACK>{said}</ACK>")


class Talk:
    """A host link, its clock, and what it said."""

    def __init__(self, operators: list[Operator] | None = None, **options: Any) -> None:
        self.now = 100.0
        self.link = HostLink(Poct1aOptions(**{"turnaround": 0.0, **options}), lambda: NOON, operators)
        self.link.connection_made(self.now)
        self.events: list[Event] = []
        self.raw = b""

    def hears(self, *data: bytes, store: bool = True) -> list[str]:
        """Give it bytes; store what it wants stored; what it says, in short."""
        for one in data:
            self._take(self.link.receive_data(one, self.now), store)
        return self.said()

    def _take(self, events: list[Event], store: bool) -> None:
        self.events += events
        while any(isinstance(event, BlockReceived) for event in events):
            events = self.link.stored(self.now) if store else self.link.not_stored(self.now)
            self.events += events

    def waits(self, seconds: float) -> list[str]:
        """Time passes, timer by timer."""
        end = self.now + seconds
        while (due := self.link.deadline()) is not None and due <= end:
            self.now = due
            self._take(self.link.tick(self.now), True)
        self.now = end
        return self.said()

    def said(self) -> list[str]:
        """What the host said since the last look: `ACK AA 1`, `REQ ROBS`, `DTV SET_TIME`, `EOT OPL` ..."""
        self.raw = self.link.data_to_send()
        return [short(one) for one in DOCUMENT.findall(self.raw)]

    @property
    def last_id(self) -> str:
        """The control id of the last message of the host."""
        return re.findall(rb'<HDR.control_id V="([0-9]+)"', self.raw)[-1].decode()

    def named(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def short(one: bytes) -> str:
    """A document of the host in a few words; read by expressions, not by our own parser."""
    text = one.decode()
    kind = re.search(r"<([A-Z]{3})\.R0", text)
    assert kind is not None, text
    inner = text.split("</HDR>")[1]
    return " ".join([kind[1], *re.findall(r' V="([^"]*)"', inner)])
