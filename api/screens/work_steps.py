"""Work steps of an analyser that is told what to do step by step (IHE LAW): given, accepted, refused, taken back."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path, Query
from fastapi.responses import Response
from markupsafe import Markup
from sqlalchemy import select

from api.access import needs
from api.context import Db
from api.screens.shell import Screen, said, screen
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.services.work_steps import cancel_step, decide_doubt, resend_step
from lis_core.storage.database import Database
from lis_core.storage.tables import Instrument
from lis_core.views.work_steps import StepLine, step_counts, step_of, steps_of_instrument

router = APIRouter(prefix="/cihazlar")
Here = Annotated[Screen, Depends(screen("instruments"))]
Step = Annotated[str, Path(max_length=50)]
Reason = Annotated[str, Form(alias="neden", max_length=300)]
All = Annotated[bool, Query(alias="hepsi")]
decides = Depends(needs(P.RESULT_TECHNICAL))

STATES: dict[str, tuple[str, str, str]] = {
    "planlandi": ("", "○", "hazırlandı, gönderilecek"),
    "gonderildi": ("", "→", "gönderildi, yanıt bekleniyor"),
    "kabul": ("good", "✓", "cihaz kabul etti"),
    "calisiyor": ("good", "◕", "çalışılıyor"),
    "tamam": ("good", "✓✓", "tamamlandı"),
    "reddedildi": ("bad", "✕", "cihaz kabul etmedi"),
    "belirsiz": ("bad", "?", "belirsiz: cihazda olabilir"),
    "basarisiz": ("bad", "✕", "cihaz bıraktı"),
    "iptal_bekliyor": ("warn", "…", "iptal istendi, yanıt bekleniyor"),
    "iptal": ("", "–", "iptal edildi"),
    "vazgecildi": ("", "–", "vazgeçildi"),
}
"""Look, sign and words of each state."""
MESSAGE_KINDS = {"NW": "yeni iş", "CA": "iptal", "DC": "iş yok"}
MESSAGE_STATES = {
    "bekliyor": "gönderilmeyi bekliyor",
    "gonderildi": "gönderildi, yanıt yok",
    "yanitlandi": "yanıtlandı",
    "reddedildi": "cihaz almadı",
    "vazgecildi": "vazgeçildi",
}
WORDS: dict[str, Any] = {"step_states": STATES, "message_kinds": MESSAGE_KINDS, "carried_states": MESSAGE_STATES}


@router.get("/{code}/isler")
async def page(
    here: Here, db: Db, code: str, every: All = False, opened: Annotated[str, Query(alias="ac", max_length=50)] = ""
) -> Response:
    """The steps of one analyser: those that are open, or all; `ac`: the one to begin with."""
    return await here.page("work_steps/page.html", opened=opened, **await _facts(db, code, every))


@router.get("/{code}/isler/liste")
async def rows(here: Here, db: Db, code: str, every: All = False) -> Response:
    """The list, as a part that renews itself."""
    return here.part("work_steps/rows.html", opened="", **await _facts(db, code, every))


async def _facts(db: Database, code: str, every: bool) -> dict[str, Any]:
    async with db.reading() as session:
        instrument = await session.scalar(select(Instrument).where(Instrument.code == code))
        if instrument is None:
            raise NumuneError(errors.UNKNOWN_INSTRUMENT, instrument=code)
        found = await steps_of_instrument(session, code, open_only=not every)
        counts = await step_counts(session, code)
    return {"instrument": instrument, "steps": found, "open_counts": counts, "every": every, **WORDS}


@router.get("/adim/{step}")
async def detail(here: Here, db: Db, step: Step) -> Response:
    """One step: every message that carried it, every answer, and what may be done."""
    return await _detail(here, db, step, None)


@router.get("/adim/{step}/govde")
async def body(here: Here, db: Db, step: Step) -> Response:
    """State and messages of a step again, as a part that renews itself."""
    return here.part("work_steps/body.html", step=await _found(db, step), **WORDS)


@router.post("/adim/{step}/iptal", dependencies=[decides])
async def cancel(here: Here, db: Db, step: Step, reason: Reason = "") -> Response:
    """Take a step back from the analyser."""
    _reasoned(reason)
    async with db.work(here.actor) as work:
        await cancel_step(work, step, reason.strip())
    return await _detail(here, db, step, said("İptal istendi; cihazın yanıtı birazdan burada görünür.", "warn"))


@router.post("/adim/{step}/yeniden", dependencies=[decides])
async def resend(here: Here, db: Db, step: Step, reason: Reason = "") -> Response:
    """Send a step again."""
    _reasoned(reason)
    async with db.work(here.actor) as work:
        number = await resend_step(work, step, reason.strip())
    sentence = "Yeniden gönderiliyor." if number == step else f"Yerine {number} numaralı iş adımı gönderiliyor."
    return await _detail(here, db, number, said(sentence))


@router.post("/adim/{step}/karar", dependencies=[decides])
async def decide(
    here: Here, db: Db, step: Step, reason: Reason = "", var: Annotated[str, Form(max_length=1)] = ""
) -> Response:  # fmt: skip
    """Say what became of a step in doubt: the analyser has it, or it has not."""
    _reasoned(reason)
    async with db.work(here.actor) as work:
        await decide_doubt(work, step, accepted=bool(var), reason=reason.strip())
    sentence = "İş cihazda sayıldı; sonucu bekleniyor." if var else "İş cihazda yok sayıldı; yeniden verilebilir."
    return await _detail(here, db, step, said(sentence))


def _reasoned(reason: str) -> None:
    if not reason.strip():
        raise NumuneError(errors.REASON_NEEDED)


async def _found(db: Database, number: str) -> StepLine:
    async with db.reading() as session:
        found = await step_of(session, number)
    if found is None:
        raise NumuneError(errors.UNKNOWN_STEP, step=number)
    return found


async def _detail(here: Screen, db: Database, number: str, message: Markup | None) -> Response:
    return here.part("work_steps/detail.html", step=await _found(db, number), said=message, **WORDS)
