"""What an OUL^R22 of IHE LAW says beyond its values: work steps, kinds of runs, lots, devices; which rows count.

A definition reads the values (`reading_hl7`); this goes with it where the definition has an [answer.law] table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from drivers.language import DefinitionFile, Law
from drivers.messages import Kind, Lot, Observation, Query, ResultDetail, StepReport
from drivers.protocols.hl7 import Hl7Error, Message, parse
from drivers.protocols.law import (
    Observed,
    OrderReport,
    Report,
    SpecimenReport,
    Verdict,
    check_report,
    check_request,
    read_report,
    read_work_query,
)

_ROLES: dict[str, Kind] = {"": "result", "P": "result", "L": "result", "Q": "qc"}
_NO_RESULT = frozenset("DWXRION")
CONTROL_WITH_PATIENT = "Kontrol numunesi hasta bilgisiyle geldi; kalite kontrol olarak alındı."


class LawReading(NamedTuple):
    """What the manager makes of one message."""

    verdict: Verdict
    steps: list[StepReport]
    problem: str | None
    """Turkish sentence for a person, where the message was taken all the same."""


def law_of(file: DefinitionFile) -> Law | None:
    """The profile's settings of a model whose messages are held to it; None for everything else."""
    law = file.answer.law if file.answer is not None else None
    return law if law is not None and law.strict else None


def judge(text: bytes) -> Verdict:
    """Whether a message can be taken (AA), and why not. Never raises; bytes that are no HL7 are broken content."""
    try:
        message = parse(text)
    except Hl7Error:
        return Verdict("AE")
    verdict = check_request(message)
    if verdict.code == "AA" and message.type[:2] == ("OUL", "R22"):
        verdict = check_report(message)
    return verdict


def read_law(text: bytes, observations: Sequence[Observation], file: DefinitionFile, law: Law) -> LawReading:
    """Work steps and details of a message. Corrects the observations in place: kind, step, lot of a control."""
    verdict = judge(text)
    if verdict.code != "AA":
        return LawReading(verdict, [], verdict.sentence)
    try:
        report = read_report(parse(text, default_encoding=file.encoding or "utf-8", escapes=file.local_escapes or None))
    except Hl7Error:
        return LawReading(verdict, [], None)
    by_record = {observation.raw.get("record", 0): observation for observation in observations}
    steps = [_step(specimen, order, by_record, law) for specimen, order in report.orders()]
    return LawReading(verdict, steps, _contradiction(report))


def refined(query: Query) -> Query:
    """A LAW query with what its place means: an isolate, a tray."""
    try:
        asked = read_work_query(parse(str(query.echo.get("request", "")).encode("latin-1")))
    except Hl7Error:
        return query
    if asked.kind == "WOS_BY_ISOLATE":
        query.isolate = asked.isolate or None
        query.specimens = []
    elif asked.kind == "WOS_BY_TRAY":
        query.tray = True
        query.rack, query.position = asked.tray or None, asked.tray_position or None
        query.specimens = []
    elif asked.kind == "WOS_BY_RACK":
        query.specimens = []
    return query


def control_id_of(message: Message) -> str:
    """MSA-2 of an answer: the message of ours that it answers."""
    msa = message.first("MSA")
    return msa.whole(2).strip() if msa is not None else ""


def _contradiction(report: Report) -> str | None:
    return CONTROL_WITH_PATIENT if any(one.role == "Q" and one.patient for one in report.specimens) else None


def _step(specimen: SpecimenReport, order: OrderReport, by_record: dict[int, Observation], law: Law) -> StepReport:
    reference = order.awos_id if law.steps == "echoed" else ""
    kind: Kind = law.roles.get(specimen.role) or _ROLES.get(specimen.role, "event")
    control = next((lot.lot for lot in specimen.lots if lot.lot), None) if specimen.role == "Q" else None
    details: list[ResultDetail] = []
    for observed in order.results:
        details.append(_detail(observed))
        observation = by_record.get(observed.segment.index)
        if observation is None:
            continue
        observation.reference = reference or None
        observation.hold = observed.status if observed.status in _NO_RESULT else None
        _set_kind(observation, observed, kind)
        observation.lot = control or observation.lot
        if specimen.role == "L" and observation.kind == "result":
            members = ", ".join(specimen.members) or "bilinmiyor"
            observation.comments.append(f"Havuz ({specimen.pooled or '?'} numune): {members}")
    return StepReport(
        reference=reference,
        state=order.state,
        specimen=specimen.container,
        test=order.test,
        parent=order.parent if not reference else "",
        record=order.index,
        note="; ".join(order.notes),
        results=details,
    )


def _set_kind(observation: Observation, observed: Observed, kind: Kind) -> None:
    """A picture stays an event, a control never becomes a patient's result, what is only information is an event."""
    if observation.kind == "event":
        return
    if observed.supplemental or kind == "event":
        observation.kind = "event"
    elif observation.kind == "result":
        observation.kind = kind


def _detail(observed: Observed) -> ResultDetail:
    return ResultDetail(
        record=observed.segment.index,
        status=observed.status,
        model=observed.model,
        serial=observed.serial,
        module=observed.module,
        run=observed.run,
        run_kind=observed.run_kind,
        dilution=observed.dilution,
        lots=[
            Lot(one.substance, one.kind, one.container, one.expires, one.first_used, one.lot) for one in observed.lots
        ],
    )
