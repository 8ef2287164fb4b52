"""What an instrument says and what it is told, in neutral words.

A codec turns bytes into records, an instrument definition turns records into these objects, and nothing behind
this module knows a protocol. They are `msgspec` structures: cheap to make (a busy line makes thousands a second),
and they travel as JSON or MessagePack without code of their own.

Texts are the instrument's own, exactly; nothing here is translated, rounded or guessed. `None` = it did not say.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

Kind = Literal["result", "qc", "query", "event", "order"]


class Observation(msgspec.Struct, kw_only=True, gc=False):
    """One result, QC result, instrument event or order that a message holds (one line of `numune decode`)."""

    kind: Kind
    instrument: str | None = None
    """Model key of the definition that read it, for example `sysmex-xn`."""
    specimen: str | None = None
    """The identifier as the instrument sent it, trimmed as the definition says; never altered otherwise."""
    patient: str | None = None
    test: str | None = None
    """The instrument's own code."""
    test_name: str | None = None
    value: str | None = None
    """The instrument's text, exactly. One exception, where a definition says `scaled`: a power of ten that stood in the
    unit is worked in, and a comment keeps what was sent."""
    number: float | None = None
    """Only where the text is a plain number; `"<0.01"` has none."""
    unit: str | None = None
    flags: list[str] = msgspec.field(default_factory=list)
    range: str | None = None
    status: str | None = None
    """The instrument's own letter (R-9, OBX-11)."""
    measured_at: str | None = None
    """ISO 8601 local time of the instrument's clock, with an offset only where it sent one."""
    rack: str | None = None
    position: str | None = None
    replicate: int | None = None
    operator: str | None = None
    lot: str | None = None
    attachment: str | None = None
    comments: list[str] = msgspec.field(default_factory=list)
    raw: dict[str, int] = msgspec.field(default_factory=dict)
    """`{"record": n}`: 1-based place of the record or segment in its message."""
    translation: str | None = None
    """The value in Turkish, where the definition knows its word (`negative` is `Negatif`); `value` stays as sent."""
    reference: str | None = None
    """Our own identifier of the work step (`WorkTest.reference`), where the instrument sent it back."""
    hold: str | None = None
    """HL7 LAW: the status (OBX-11) by which this is no result to bind: D, W, X, R, I, O, N."""


class Query(msgspec.Struct, kw_only=True):
    """An instrument asks what to do with a tube (ASTM Q, HL7 QBP^Q11 and the dialects that mean the same)."""

    instrument: str | None = None
    specimens: list[str] = msgspec.field(default_factory=list)
    """As asked, in order; empty for "everything" or a query by rack or position."""
    everything: bool = False
    until: str | None = None
    """It asks for every tube from its one specimen to this one (E1394 ending range)."""
    cancels: bool = False
    """The instrument takes an earlier query back (Q-13 `A`): it wants no answer."""
    tests: list[str] = msgspec.field(default_factory=list)
    """Instrument codes it asks about; empty = all."""
    rack: str | None = None
    position: str | None = None
    isolate: str | None = None
    """HL7 LAW: asks only for the work of this child specimen, none of its parent."""
    unasked: bool = False
    """Not asked by the analyser: work is sent before the tube arrives (HL7 LAW broadcast)."""
    tray: bool = False
    """`rack` and `position` are those of a tray."""
    record: int = 0
    echo: dict[str, Any] = msgspec.field(default_factory=dict)
    """What the answer must repeat byte for byte (rack and position dialects, query tags, control ids)."""


class Lot(msgspec.Struct, frozen=True):
    """A substance that took part in a measurement: reagent, calibrator, diluent, calibration (LAW INV, SID)."""

    substance: str
    kind: str = ""
    container: str = ""
    expires: str = ""
    first_used: str = ""
    lot: str = ""


class ResultDetail(msgspec.Struct, frozen=True):
    """What a LAW analyser says of one result beside its value. `record` names the result in its message."""

    record: int
    status: str = ""
    """OBX-11."""
    model: str = ""
    serial: str = ""
    module: str = ""
    run: str = ""
    """OBX-4 as sent."""
    run_kind: str = ""
    """TCD-8: O, R, D, F."""
    dilution: str = ""
    """A factor already in the value: kept, never multiplied."""
    lots: list[Lot] = []


class StepReport(msgspec.Struct, frozen=True):
    """What a LAW analyser says of one work step (one OBR of an OUL^R22)."""

    reference: str
    """Our AWOS id; empty where we did not order it."""
    state: str = ""
    """ORC-5: IP in process, CM complete, CA cancelled, A some results; empty where it does not say."""
    specimen: str = ""
    test: str = ""
    parent: str = ""
    """AWOS id of the step that this reflex came from."""
    record: int = 0
    note: str = ""
    results: list[ResultDetail] = []


class WorkTest(msgspec.Struct, frozen=True, gc=False):
    """One test that an instrument is asked to run, in the instrument's own code."""

    code: str
    name: str = ""
    priority: str = "R"
    """`S` urgent, `A` priority, `R` routine (ASTM O-6; HL7 TQ1-9)."""
    dilution: str = ""
    reference: str = ""
    """Our identifier of this work step, unique for ever (HL7 LAW: the AWOS identifier)."""
    action: Literal["NW", "CA"] = "NW"
    """New, or to be cancelled (HL7 LAW)."""
    loinc: str = ""
    work_order: str = ""
    """The order that the step belongs to (HL7 LAW: ORC-4)."""


class WorkPatient(msgspec.Struct, frozen=True, gc=False):
    """What an instrument may know of a person: the least that it needs."""

    identifier: str = ""
    family_name: str = ""
    given_name: str = ""
    birth_date: str = ""
    """YYYYMMDD or empty."""
    sex: str = "U"


class WorkOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a query about one specimen. `tests` empty = nothing to do; `known` tells why."""

    specimen: str
    """As asked, byte for byte."""
    known: bool
    tests: tuple[WorkTest, ...] = ()
    patient: WorkPatient | None = None
    material: str = ""
    """HL70487 specimen type of the tube (SER, BLD, UR ...)."""
    collected_at: datetime | None = None
    reason: str = ""
    """Turkish sentence for the line's history: why nothing, or what was held back."""
    parent: str = ""
    """Barcode of the primary specimen, where this is an isolate or aliquot."""
    rack: str = ""
    position: str = ""
    role: Literal["P", "Q", "L"] = "P"
    """Patient, control, pool (HL7 LAW: SPM-11)."""
    action: Literal["new", "add", "cancel"] = "new"
    """What the order does to what the analyser has of this tube (orders that the host sends unasked)."""


class PushedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order for a tube of a load list, on its way to an analyser that did not ask (ASTM)."""

    order: WorkOrder
    load: int
    """Which entry of the load list."""
    ordered: tuple[int, ...]
    """The ordered tests behind it: several may share one code."""
    codes: tuple[str, ...]
    """The code of each of them."""


class Shipment(msgspec.Struct, kw_only=True):
    """A message that gives work to an analyser, until it is answered (HL7 LAW: OML^O33 of LAB-28)."""

    control_id: str
    payload: bytes
    kind: Literal["NW", "CA", "DC"]
    container: str = ""
    references: list[str] = []
    """The work steps in it, in order."""
    attempts: int = 0
    expires_at: datetime | None = None
    """Not sent for the first time after this: the tube it was asked for is long past."""


class StepAnswer(msgspec.Struct, frozen=True):
    """What an analyser says to one work step."""

    reference: str
    outcome: str
    """OK, UA, CR, UC."""


class ReadAgain(msgspec.Struct, kw_only=True):
    """What a kept message says when it is read again, and who read it."""

    observations: list[Observation]
    steps: list[StepReport] = []
    definition: str = ""
    revision: int = 0


class Delivery(msgspec.Struct, kw_only=True):
    """One message that a line received, durably kept in the spool, on its way to the database.

    `key` names it for ever: the same spool entry delivered twice has the same key. `fingerprint` is the SHA-256 of
    the content without framing and without the header record, so that a message which an instrument repeats after a
    lost acknowledgement is recognised although its header time differs.
    """

    key: str
    line: str
    received_at: datetime
    protocol: str
    raw: bytes
    fingerprint: bytes = b""
    timed: bool = False
    """Every result in it has its own measuring time: an equal message can only be a repetition."""
    definition: str = ""
    revision: int = 0
    observations: list[Observation] = msgspec.field(default_factory=list)
    queries: int = 0
    problem: str | None = None
    """Turkish sentence when the message is not whole or cannot be read; it then goes to a person."""
    whole: bool = True
    """False: the line broke before the message ended. Its bytes are kept and shown; its results are not applied."""
    steps: list[StepReport] = []
    """HL7 LAW: what the message says of work steps."""
    body: bytes = b""
    """Content without framing and without the header record, to recognise the rest of a message that broke off."""
