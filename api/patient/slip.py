"""The patient's slip on paper: PDF made by typst from `reports/belge.typ`, A6, with the page's address as a QR code."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import segno
import typst

from api.report import TEMPLATES
from barcode.code128 import QUIET_ZONE, bars, modules
from lis_core.domain.online_access import shown_code
from lis_core.services.patient_access_slips import IssuedSlip
from lis_core.settings import ISTANBUL

TEMPLATE = TEMPLATES / "belge.typ"


def slip_data(slip: IssuedSlip, laboratory: str, address: str) -> dict[str, Any]:
    """Everything on the slip. Neither the name nor any identity number is on it: whoever finds it learns neither.

    address: the page, as the patient types it. The QR code holds the address and nothing else.
    """
    return {
        "kurum": laboratory,
        "adres": address,
        "hasta": slip.patient,
        "numara": slip.number,
        "kod": shown_code(slip.code),
        "kimlik": slip.identity_words,
        "verildi": _day(slip.given_at),
        "son": _day(slip.expires_at),
        "qr": qr_modules(address),
        "cubuklar": [[start + QUIET_ZONE, width] for start, width in bars(slip.number)],
        "genislik": sum(modules(slip.number)) + 2 * QUIET_ZONE,
    }


def qr_modules(text: str) -> list[list[int]]:
    """Rows of dark (1) and light (0) modules, quiet zone included."""
    return [[1 if dark else 0 for dark in row] for row in segno.make_qr(text, error="m").matrix_iter(border=4)]


def _day(at: datetime) -> str:
    return at.astimezone(ISTANBUL).strftime("%d.%m.%Y")


_THREADS = ThreadPoolExecutor(max_workers=1, thread_name_prefix="belge")
_of_thread = threading.local()


async def make_slip(data: dict[str, Any], form: str = "pdf") -> bytes:
    """The slip as "pdf" or "png", made in another thread."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, _compiled, data, form)


def _compiled(data: dict[str, Any], form: str) -> bytes:
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
