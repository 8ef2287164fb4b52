"""What a gateway and the centre ask of each other beside deliveries: work steps, and what screens want of its lines.

| topic                   | from    | to      | what |
|-------------------------|---------|---------|------|
| `numune/masa/<g>`       | gateway | a core  | `DeskCall`: the work desk is asked, or told (QoS 1, shared) |
| `numune/masa-yanit/<g>` | core    | gateway | `DeskReply` (QoS 1) |
| `numune/iste/<g>`       | core    | gateway | `Wishes`: lines that somebody watches, trials to do |
| `numune/hat/<g>`        | gateway | a core  | `LineNews`: history, trials, whom a line turned away (QoS 1, shared) |
| `numune/bayt/<g>`       | gateway | cores   | `Bytes` of watched lines, for the core that asked (QoS 0) |
"""

from __future__ import annotations

from typing import Literal

import msgspec

from drivers.messages import Query, Shipment, StepAnswer, WorkOrder
from lis_core.services.line_watch import Chunk, Event, TrialRequest

Method = Literal["answer", "planned", "unanswered", "reopened", "store", "sending", "answered", "given_up"]


class DeskCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call of `drivers.gateway.work_line.Desk`, with what that method takes."""

    id: str
    method: Method
    line: str = ""
    query: Query | None = None
    broadcast: bool = False
    shipment: Shipment | None = None
    seconds: float | None = None
    control_id: str = ""
    code: str = ""
    text: str = ""
    raw: bytes = b""
    answers: list[StepAnswer] = []


class DeskReply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of it. problem: why it could not be done; then it may be asked again, unless that is `final`."""

    id: str
    orders: list[WorkOrder] = []
    shipments: list[Shipment] = []
    sentences: list[str] = []
    problem: str = ""
    final: bool = False


class Wishes(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the screens want of a gateway's lines for the next seconds. core: who is to be sent the bytes."""

    core: str
    watched: list[str] = []
    trials: list[TrialRequest] = []


class LineNews(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What happened on a gateway's lines. trial: its number, its steps so far and its verdict, once it has one."""

    events: list[Event] = []
    trial: int = 0
    steps: list[tuple[float, str]] = []
    verdict: str = ""
    line: str = ""
    turned_away: list[tuple[float, str, int]] = []


class Bytes(msgspec.Struct, frozen=True):
    """Bytes of watched lines in order."""

    core: str
    chunks: list[Chunk]


decode_call = msgspec.msgpack.Decoder(DeskCall).decode
decode_reply = msgspec.msgpack.Decoder(DeskReply).decode
decode_wishes = msgspec.msgpack.Decoder(Wishes).decode
decode_news = msgspec.msgpack.Decoder(LineNews).decode
decode_bytes = msgspec.msgpack.Decoder(Bytes).decode
