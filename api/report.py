"""The result report on paper: PDF made by typst from `reports/rapor.typ`.

The template is code of ours; everything from people (names, texts, values) reaches it as one JSON text through
`sys.inputs`, so nothing of it can ever be read as code.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import typst
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api.metrics import REPORTS
from barcode.code128 import QUIET_ZONE, bars, modules
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.online_access import coded_identity
from lis_core.domain.permissions import P
from lis_core.domain.states import Priority, TestState
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Actor, Database
from lis_core.storage.tables import Institution, Parameter, Test
from lis_core.views.order_view import Decision, OrderView, SpecimenLine, TestLine, order_view
from lis_core.views.seeing import Sight

TEMPLATES = Path(__file__).parent / "reports"
TEMPLATE = TEMPLATES / "rapor.typ"

FORM_CODE = "NUM-R01"
"""Identifier of this report on its own page (4.7.3c)."""

WITHOUT_APPROVAL = "klinik onay alınmadan basılmıştır"
"""The statement that 9.7.8b asks for, word for word."""

CODED = "Kimlik kodludur: adın ve soyadın ilk ikişer harfi, doğum yılının son iki rakamı."

SETTINGS = "rapor"
"""Row of `parametre` with the laboratory's choices: {"tc": "maskeli" | "acik" | "yok", "alt_yazi": text}."""

_SIGNS = {"D": "D (düşük)", "Y": "Y (yüksek)", "P!": "P! (panik)", "A": "A (beklenmeyen)"}
_PRIORITIES = {"urgent": "ACİL", "priority": "Öncelikli", "routine": "Rutin"}
_SEXES = {"F": "Kadın", "M": "Erkek"}


@dataclass(frozen=True, slots=True)
class Report:
    """A made report."""

    number: str
    pdf: bytes


async def released_report(db: Database, actor: Actor, number: str) -> Report:
    """The report of what is clinically approved; everything else stands as "çalışılıyor" (9.7.8a).

    Raises NOT_RELEASED where nothing is, UNKNOWN_BARCODE, NOT_ALLOWED.
    """
    sight = _printer(actor)
    async with db.reading() as session:
        view = await order_view(session, sight, number, values=sight.on_paper(), permission=P.REPORT_TAKE)
        if not any(test.result for test in view.tests):
            raise NumuneError(errors.NOT_RELEASED, number=view.number)
        data = await report_data(session, view, actor, datetime.now(ISTANBUL), emergency=False)
    REPORTS.labels("onayli").inc()
    return Report(view.number, await make_pdf(data))


async def emergency_report(db: Database, actor: Actor, number: str, reason: str) -> Report:
    """The report before clinical approval, which says so across the page; audited (9.7.8b).

    Only for an urgent order, by technician or specialist, with a reason. Raises NOT_ALLOWED, EMERGENCY_ONLY,
    NOT_RELEASED (there is no value at all), UNKNOWN_BARCODE.
    """
    actor.must(P.REPORT_EMERGENCY)
    sight = _printer(actor)
    async with db.work(actor) as work:
        view = await order_view(
            work.session, sight, number, values=sight.on_urgent_paper(), permission=P.REPORT_EMERGENCY
        )
        if view.priority != Priority.URGENT.api or not reason.strip():
            raise NumuneError(errors.EMERGENCY_ONLY)
        printed = [test for test in view.tests if test.result]
        if not printed:
            raise NumuneError(errors.NOT_RELEASED, number=view.number)
        unapproved = [test.code for test in printed if test.state != TestState.CLINICALLY_APPROVED.api]
        work.audit(
            "acil_baski",
            "tetkik_istem",
            view.id,
            None,
            {"numune_numarasi": view.number, "gerekce": reason.strip(), "onaysiz_tetkikler": unapproved},
        )
        data = await report_data(work.session, view, actor, datetime.now(ISTANBUL), emergency=bool(unapproved))
        pdf = await make_pdf(data)  # before the commit: no audit row for a page that could not be made
    REPORTS.labels("acil").inc()
    return Report(view.number, pdf)


async def coded_report(db: Database, actor: Actor, number: str) -> Report:
    """Released results of confidential tests (HIV), under a code instead of the name (9.8.5).

    Whatever the values are: a paper with a code says no more than that such a test was ordered. Raises as
    `released_report`.
    """
    sight = _printer(actor)
    async with db.reading() as session:
        view = await order_view(session, sight, number, values=sight.on_coded_paper(), permission=P.REPORT_TAKE)
        if not any(test.result for test in view.tests):
            raise NumuneError(errors.NOT_RELEASED, number=view.number)
        data = await report_data(session, view, actor, datetime.now(ISTANBUL), emergency=False)
    patient = view.patient
    code = coded_identity(patient.given_name, patient.family_name, patient.birth_date)
    data["hasta"] |= {"ad": code, "kimlik": "kodlu", "dogum": "-"}
    data["alt_yazi"] = f"{CODED} {data['alt_yazi']}".strip()
    REPORTS.labels("kodlu").inc()
    return Report(view.number, await make_pdf(data))


def _printer(actor: Actor) -> Sight:
    sight = Sight(actor)
    actor.must(P.REPORT_TAKE)
    if not sight.reads_values:
        raise actor.rights.refusal(P.RESULT_VIEW)
    return sight


# --- what stands on the page ---------------------------------------------------------------------------------------


async def report_data(
    session: AsyncSession, view: OrderView, actor: Actor, now: datetime, *, emergency: bool
) -> dict[str, Any]:
    """Everything on the page, ready to be read: texts in Turkish, times as shown. Three small queries."""
    chosen = await session.get(Parameter, SETTINGS)
    settings: dict[str, Any] = chosen.value if chosen else {}
    laboratory = await session.scalar(
        select(Institution.name).where(Institution.active).order_by(Institution.id).limit(1)
    )
    methods = await _methods(session, [test.code for test in view.tests])
    return {
        "kurum": laboratory or "Laboratuvar",
        "form": FORM_CODE,
        "acil_yazi": WITHOUT_APPROVAL if emergency else "",
        "hasta": _patient(view, str(settings.get("tc", "maskeli"))),
        "istem": _order(view),
        "barkod": _barcode(view.number),
        "gruplar": _groups(view, methods),
        "bekleyen": _waiting(view),
        "basim": {"zaman": _when(now), "yapan": actor.full_name or actor.name},
        "alt_yazi": str(settings.get("alt_yazi", "")),
    }


async def _methods(session: AsyncSession, codes: Sequence[str]) -> dict[str, str]:
    rows = await session.execute(select(Test.code, Test.method).where(Test.code.in_(codes)))
    return dict(rows.tuples().all())


def masked_tc(tc: str | None, how: str) -> str:
    """The TC number as the laboratory chose to print it: open, left out, or with its middle hidden (the default)."""
    if not tc or how == "yok":
        return ""
    return tc if how == "acik" else f"{tc[:3]}{'*' * max(len(tc) - 5, 0)}{tc[-2:]}"


def _patient(view: OrderView, how: str) -> dict[str, str]:
    patient = view.patient
    return {
        "ad": f"{patient.given_name} {patient.family_name}",
        "kimlik": masked_tc(patient.tc, how) or (patient.foreign_id or patient.hospital_id or ""),
        "cinsiyet": _SEXES.get(patient.sex or "", "-"),
        "yas": "-" if patient.age is None else str(patient.age),
        "dogum": patient.birth_date.strftime("%d.%m.%Y") if patient.birth_date else "-",
    }


def _order(view: OrderView) -> dict[str, str]:
    return {
        "numara": view.number,
        "hekim": view.physician.name if view.physician else "-",
        "birim": view.unit.name if view.unit else "-",
        "oncelik": _PRIORITIES[view.priority],
        "zaman": _when(view.ordered_at),
    }


def _barcode(number: str) -> dict[str, Any]:
    """The order number's Code 128 in modules, quiet zones included."""
    return {
        "cubuklar": [[start + QUIET_ZONE, width] for start, width in bars(number)],
        "genislik": sum(modules(number)) + 2 * QUIET_ZONE,
    }


def _when(at: datetime | None) -> str:
    return "-" if at is None else at.astimezone(ISTANBUL).strftime("%d.%m.%Y %H:%M")


def _groups(view: OrderView, methods: dict[str, str]) -> list[dict[str, Any]]:
    """Work groups with results, in the laboratory's order; a panel's tests stand under its name."""
    panels = {panel.code: panel.name for panel in view.panels}
    tubes = {tube.barcode: tube for tube in view.specimens}
    groups: dict[str, list[TestLine]] = {}
    for test in view.tests:
        if test.result:
            groups.setdefault(test.group_name, []).append(test)
    return [
        {
            "ad": name,
            "numuneler": _tube_lines(tests, tubes),
            "satirlar": _rows(tests, panels, methods),
            "onaylar": _approvals(tests),
        }
        for name, tests in groups.items()
    ]


def _rows(tests: Iterable[TestLine], panels: dict[str, str], methods: dict[str, str]) -> list[dict[str, str]]:
    ordered = list(tests)
    rows: list[dict[str, str]] = []
    for panel in (None, *dict.fromkeys(test.panel for test in ordered if test.panel)):
        if panel:
            rows.append({"panel": panels.get(panel, panel)})
        rows += [_row(test, methods) for test in ordered if test.panel == panel]
    return rows


def _row(test: TestLine, methods: dict[str, str]) -> dict[str, str]:
    result = test.result
    assert result is not None
    return {
        "ad": test.name + (f" ({test.time_point})" if test.time_point else ""),
        "deger": result.value,
        "isaret": result.flag,
        "isaret_adi": _SIGNS.get(result.flag, result.flag),
        "birim": result.unit,
        "referans": result.reference,
        "yontem": " / ".join(part for part in (methods.get(test.code, ""), result.instrument_name or "") if part),
        "zaman": _when(result.measured_at or result.received_at),
        "onaysiz": "evet" if result.clinical_approval is None else "",
    }


def _tube_lines(tests: Iterable[TestLine], tubes: dict[str, SpecimenLine]) -> list[str]:
    found = dict.fromkeys(test.specimen for test in tests if test.specimen in tubes)
    lines = []
    for barcode in found:
        tube = tubes[barcode or ""]
        lines.append(f"{tube.caption}: alındı {_when(tube.collected_at)}, kabul {_when(tube.received_at)}")
    return lines


def _approvals(tests: Sequence[TestLine]) -> list[str]:
    """Who approved and when (9.7.9); one line where all tests of the group share it."""
    shared: dict[tuple[str, str, str], list[str]] = {}
    for test in tests:
        assert test.result is not None
        for word, decision in (
            ("Teknik onay", test.result.technical_approval),
            ("Klinik onay", test.result.clinical_approval),
        ):
            shared.setdefault((word, *_signature(decision)), []).append(test.code)
    lines = []
    for (word, by, at), codes in sorted(shared.items(), key=lambda item: item[0][0] == "Klinik onay"):
        which = "" if len(codes) == len(tests) else f" ({', '.join(codes)})"
        lines.append(f"{word}: {by} {at}".rstrip() + which)
    return lines


def _signature(decision: Decision | None) -> tuple[str, str]:
    return ("verilmedi", "") if decision is None else (decision.by, _when(decision.at))


_NEVER = {TestState.REJECTED.api: "numune reddedildi", TestState.CANCELLED.api: None}


def _waiting(view: OrderView) -> list[str]:
    """Tests without a value on this page, and why; a cancelled one is not the reader's concern."""
    lines = []
    for test in view.tests:
        word = test.withheld or _NEVER.get(test.state, "çalışılıyor")
        if test.result is None and word is not None:
            lines.append(f"{test.name}: {word}")
    return lines


# --- making the page -----------------------------------------------------------------------------------------------

_THREADS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="rapor")
_of_thread = threading.local()


async def make_pdf(data: dict[str, Any]) -> bytes:
    """The PDF, made in another thread (typst lets the event loop run meanwhile); about 20 ms."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, compile_report, data, "pdf")


def compile_report(data: dict[str, Any], form: str) -> bytes:
    """The page as "pdf" (whole) or "png" (first page). Blocks."""
    compiler: typst.Compiler | None = getattr(_of_thread, "compiler", None)
    if compiler is None:
        compiler = typst.Compiler(input=str(TEMPLATE), root=str(TEMPLATES), ignore_system_fonts=True)
        _of_thread.compiler = compiler
    text = json.dumps(data, ensure_ascii=False)
    made = compiler.compile(sys_inputs={"veri": text}, format=form, ppi=200.0)  # type: ignore[arg-type]
    if isinstance(made, list):
        made = made[0]
    assert isinstance(made, bytes)
    return made
