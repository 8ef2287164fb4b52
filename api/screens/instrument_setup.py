"""Setting an instrument up: what it is, its lines, a trial of a line, stop and start; all without a restart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path, Query
from fastapi.responses import Response
from markupsafe import Markup
from serial.tools.list_ports import comports
from sqlalchemy import select
from starlette.datastructures import FormData

from api.access import needs
from api.context import Db, context_of
from api.screens import line_words
from api.screens.shell import Screen, said, screen
from drivers.definition import Catalog, Definition
from drivers.protocols.astm_link import LinkOptions
from drivers.protocols.mllp import MllpOptions
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.services.instruments import (
    ConnectionData,
    InstrumentData,
    save_connection,
    save_instrument,
    set_line_active,
)
from lis_core.services.line_watch import ask_trial
from lis_core.storage.database import Database
from lis_core.storage.tables import Connection, Unit
from lis_core.views.lines import InstrumentSetup, instrument_setup, line_of, trial

router = APIRouter(prefix="/cihazlar", dependencies=[Depends(needs(P.INSTRUMENT_MANAGE))])
Here = Annotated[Screen, Depends(screen("instruments"))]
Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
Text = Annotated[str, Form(max_length=300)]

CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,29}")
TAKEN = frozenset(
    ("kur", "kodlar", "mesaj", "mesajlar", "hat", "tanim", "tanimlar", "deneme", "tahta", "tanim-bilgisi")
)
"""Words that are addresses of screens beside the instruments' codes."""
_SERIAL_DEFAULTS = {"hiz": "9600", "veri": "8", "parite": "N", "dur": "1", "akis": ""}

_OURS = frozenset((*_SERIAL_DEFAULTS, "ikinci", "hat"))
"""Settings of a line that this form knows; the others stay as they are."""


@dataclass(frozen=True, slots=True)
class LineForm:
    """A line as the form shows it. `hat`: options chosen besides the definition."""

    id: int
    name: str
    kind: str
    address: str
    second: str
    serial: Mapping[str, str]
    hat: Mapping[str, Any]
    active: bool
    remote: bool
    """It stands at a gateway in another house."""


def line_form(line: Connection | None, code: str = "") -> LineForm:
    """The form of a line; None: of a new one."""
    if line is None:
        return LineForm(0, code, "tcp-sunucu", "", "yenisi", dict(_SERIAL_DEFAULTS), {}, True, False)
    settings = line.settings
    serial = {name: str(settings.get(name, usual)) for name, usual in _SERIAL_DEFAULTS.items()}
    return LineForm(
        line.id, line.name, line.kind, line.address, str(settings.get("ikinci", "yenisi")), serial,
        dict(settings.get("hat", {})), line.active, line.gateway_id is not None,
    )  # fmt: skip


async def _catalog(here: Screen) -> Catalog:
    return await context_of(here.request).definitions.catalog()


@router.get("/kur")
async def new(here: Here, db: Db, tanim: Annotated[str, Query(max_length=80)] = "") -> Response:
    """The form of a new instrument."""
    return await _page(here, db, None, None, chosen=tanim)


@router.get("/{code}/kur")
async def edit(here: Here, db: Db, code: str, yeni: bool = False) -> Response:
    """An instrument with its lines, to be changed."""
    message = said("Cihaz kaydedildi. Şimdi hattını ekleyin ve deneyin.") if yeni else None
    return await _page(here, db, await _setup(db, code), message)


@router.get("/tanim-bilgisi")
async def about_definition(here: Here, tanim: Annotated[str, Query(max_length=80)] = "") -> Response:
    """What a definition says of itself: quirks, standing, source, codes."""
    catalog = await _catalog(here)
    return here.part(
        "instruments/definition_facts.html", definition=_definition(catalog, tanim), wanted=tanim, words=line_words
    )


@router.post("/kur")
async def save(here: Here, db: Db) -> Response:
    """Add an instrument or change the one with this code."""
    form = await here.request.form()
    catalog = await _catalog(here)
    code, definition = _word(form, "kod"), _word(form, "tanim")
    if CODE.fullmatch(code) is None or code in TAKEN:
        raise NumuneError(
            errors.INVALID_INPUT,
            problem="kod küçük harf, rakam ve tireden oluşur (örnek: kan2)",
        )
    if definition not in catalog:
        raise NumuneError(errors.UNKNOWN_DEFINITION, definition=definition or "(boş)")
    before = await _setup_or_none(db, code)
    if before is not None and not _word(form, "duzenle"):
        raise NumuneError(errors.INVALID_INPUT, problem=f"{code} kodlu bir cihaz var; başka bir kod verin")
    data = InstrumentData(
        code=code,
        name=_word(form, "ad"),
        definition=definition,
        maker=_word(form, "marka") or catalog.get(definition).maker,
        model=_word(form, "model") or catalog.get(definition).model,
        serial_number=_word(form, "seri") or None,
        unit=_word(form, "birim") or None,
        reserve_minutes=_whole(_word(form, "ayirma") or "0", "ayırma süresi", 1440),
        settings=before.instrument.settings if before else {},
        active=bool(_word(form, "aktif")) if before else True,
    )
    async with db.work(here.actor) as work:
        await save_instrument(work, data)
        if before is not None and before.instrument.definition != definition:
            await _follow_protocol(work, before, catalog.get(definition))
    if before is None:
        return Response(headers={"HX-Redirect": f"/cihazlar/{code}/kur?yeni=1"})
    return await _part(here, db, code, said("Cihaz kaydedildi; hatları birkaç saniye içinde yeni tanımla çalışır."))


async def _follow_protocol(work: Any, before: InstrumentSetup, definition: Definition) -> None:
    """The lines speak what the new definition speaks."""
    for line in before.lines:
        if line.protocol != definition.protocol:
            settings = {name: value for name, value in line.settings.items() if name != "hat"}
            await save_connection(
                work,
                ConnectionData(
                    name=line.name, instrument=before.instrument.code, kind=line.kind, protocol=definition.protocol,
                    address=line.address, settings=settings, active=line.active,
                ),
            )  # fmt: skip


@router.post("/{code}/hat")
async def save_line(here: Here, db: Db, code: str) -> Response:
    """Add a line or change it; the gateway opens it within seconds."""
    form = await here.request.form()
    found = await _setup(db, code)
    definition = _definition(await _catalog(here), found.instrument.definition)
    name, known = _word(form, "ad"), {line.name: line for line in found.lines}
    if _word(form, "eski") and _word(form, "eski") != name:
        raise NumuneError(errors.INVALID_INPUT, problem="hattın adı değişmez; geçmişi bu adla durur")
    async with db.reading() as session:
        taken = await session.scalar(select(Connection).where(Connection.name == name))
    if taken is not None and (name not in known or not _word(form, "eski")):
        raise NumuneError(errors.INVALID_INPUT, problem=f"{name} adlı bir hat var; başka bir ad verin")
    kind, address, settings = _line_of(form, definition)
    settings = {
        **{key: value for key, value in (taken.settings if taken else {}).items() if key not in _OURS},
        **settings,
    }
    data = ConnectionData(
        name=name, instrument=code, kind=kind, protocol=_protocol(definition, taken), address=address,
        settings=settings, active=taken.active if taken else True,
    )  # fmt: skip
    async with db.work(here.actor) as work:
        await save_connection(work, data)
    return await _part(here, db, code, said(f"{name} hattı kaydedildi; geçit birkaç saniye içinde açar."))


@router.post("/hat/{line_id}/durum")
async def switch(here: Here, db: Db, line_id: Id, calissin: Text = "") -> Response:
    """Stop a line or start it."""
    async with db.reading() as session:
        line = await line_of(session, line_id)
    if line is None:
        raise NumuneError(errors.NOT_FOUND, what="Hat")
    async with db.work(here.actor) as work:
        await set_line_active(work, line.name, bool(calissin))
    if calissin:
        message = said(f"{line.name} hattı açılıyor; durumu birkaç saniye içinde görünür.")
    else:
        message = said(f"{line.name} hattı kapatılıyor; cihaz gönderemediğini saklar.", "warn")
    return await _part(here, db, line.instrument.code, message)


@router.post("/{code}/deneme")
async def begin_trial(here: Here, db: Db, code: str) -> Response:
    """Try the line as the form describes it, saved or not."""
    form = await here.request.form()
    found = await _setup(db, code)
    definition = _definition(await _catalog(here), found.instrument.definition)
    known = next((line for line in found.lines if line.name == _word(form, "eski")), None)
    if known is not None and known.gateway_id is not None:
        raise NumuneError(
            errors.INVALID_INPUT, problem="bu hat uzak bir geçitte; denemeyi o geçidin kendi sayfasından yapın"
        )
    kind, address, settings = _line_of(form, definition)
    async with db.work(here.actor) as work:
        number = await ask_trial(
            work,
            name=known.name if known else "",
            kind=kind,
            protocol=_protocol(definition, known),
            address=address,
            settings=settings,
            seconds=_whole(_word(form, "sure") or "15", "süre", 60),
        )
    return await trial_part(here, db, number)


@router.get("/deneme/{trial_id}")
async def trial_part(here: Here, db: Db, trial_id: Id) -> Response:
    """A trial as far as it is; asks for itself again until it has ended."""
    async with db.reading() as session:
        found = await trial(session, trial_id)
    if found is None:
        raise NumuneError(errors.NOT_FOUND, what="Deneme")
    return here.part("instruments/trial.html", trial=found, verdicts=line_words.VERDICTS)


# ---- what a form says


def _line_of(form: FormData, definition: Definition | None) -> tuple[str, str, dict[str, Any]]:
    """Kind, address and settings of a line. Raises INVALID_INPUT for what cannot be opened."""
    kind, address = _word(form, "tur"), _word(form, "adres")
    if kind not in line_words.KINDS:
        raise NumuneError(errors.INVALID_INPUT, problem="hat türü seçilmedi")
    if kind == "seri":
        if not address or any(letter.isspace() for letter in address):
            raise NumuneError(errors.INVALID_INPUT, problem="seri portun yolu yazılmalı (örnek: /dev/ttyUSB0)")
    elif kind == "klasor":
        if not address.startswith("/"):
            raise NumuneError(errors.INVALID_INPUT, problem="klasörün tam yolu yazılmalı (örnek: /srv/cihaz/sonuclar)")
    elif re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}", address) is None or _port(address) > 65535:
        raise NumuneError(errors.INVALID_INPUT, problem="adres sunucu:port biçiminde olmalı (örnek: 0.0.0.0:5001)")
    settings: dict[str, Any] = {}
    if kind == "seri":
        settings |= _serial(form)
    if _word(form, "ikinci") in line_words.SECOND and _word(form, "ikinci") != "yenisi":
        settings["ikinci"] = _word(form, "ikinci")
    protocol = definition.protocol if definition is not None else "astm"
    try:
        hat = line_words.link_settings({name: str(value) for name, value in form.items()}, protocol)
        chosen = {**(definition.link_options() if definition is not None else {}), **hat}
        if protocol == "hl7":
            MllpOptions(**chosen)
        elif protocol == "astm":
            LinkOptions(**chosen)
    except (ValueError, TypeError) as error:
        raise NumuneError(errors.INVALID_INPUT, problem=f"bağlantı seçeneği: {error}") from error
    if hat:
        settings["hat"] = hat
    return kind, address, settings


def _serial(form: FormData) -> dict[str, Any]:
    speed = _whole(_word(form, "hiz") or "9600", "hız", 4_000_000)
    allowed = {
        "veri": ("7", "8"),
        "parite": ("N", "E", "O"),
        "dur": ("1", "1.5", "2"),
        "akis": ("", "xonxoff", "rtscts", "dsrdtr"),
    }
    chosen = {name: _word(form, name) or _SERIAL_DEFAULTS[name] for name in allowed}
    for name, values in allowed.items():
        if chosen[name] not in values:
            raise NumuneError(errors.INVALID_INPUT, problem=f"{name}: {chosen[name]} olamaz")
    return {
        "hiz": speed,
        "veri": int(chosen["veri"]),
        "parite": chosen["parite"],
        "dur": float(chosen["dur"]) if "." in chosen["dur"] else int(chosen["dur"]),
        **({"akis": chosen["akis"]} if chosen["akis"] else {}),
    }


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _protocol(definition: Definition | None, line: Connection | None) -> str:
    return definition.protocol if definition is not None else line.protocol if line is not None else "astm"


def _word(form: FormData, name: str) -> str:
    value = form.get(name)
    return value.strip()[:300] if isinstance(value, str) else ""


def _whole(written: str, caption: str, most: int) -> int:
    if not written.isdecimal() or int(written) > most:
        raise NumuneError(errors.INVALID_INPUT, problem=f"{caption}: 0 ile {most} arasında bir tam sayı yazın")
    return int(written)


def _definition(catalog: Catalog, key: str) -> Definition | None:
    return catalog.get(key) if key in catalog else None


# ---- the page


async def _setup_or_none(db: Database, code: str) -> InstrumentSetup | None:
    async with db.reading() as session:
        return await instrument_setup(session, code)


async def _setup(db: Database, code: str) -> InstrumentSetup:
    found = await _setup_or_none(db, code)
    if found is None:
        raise NumuneError(errors.UNKNOWN_INSTRUMENT, instrument=code)
    return found


async def _page(
    here: Screen, db: Database, found: InstrumentSetup | None, message: Markup | None, chosen: str = ""
) -> Response:
    return await here.page("instruments/setup.html", **await _facts(here, db, found, message, chosen))


async def _part(here: Screen, db: Database, code: str, message: Markup) -> Response:
    facts = await _facts(here, db, await _setup(db, code), message, "")
    return here.part("instruments/setup_body.html", **facts)


async def _facts(
    here: Screen, db: Database, found: InstrumentSetup | None, message: Markup | None, chosen: str
) -> dict[str, Any]:
    catalog = await _catalog(here)
    key = found.instrument.definition if found else chosen
    definition = _definition(catalog, key)
    code = found.instrument.code if found else ""
    async with db.reading() as session:
        units = (await session.execute(select(Unit.code, Unit.name).order_by(Unit.name))).tuples().all()
    forms = [line_form(line) for line in found.lines] if found else []
    return {
        "found": found,
        "definition": definition,
        "wanted": key,
        "catalogue": sorted(catalog, key=lambda one: (one.maker.lower(), one.model.lower())),
        "units": units,
        "lines": forms,
        "new_line": line_form(None, code if not any(form.name == code for form in forms) else ""),
        "options": line_words.options_of(definition.protocol if definition else "astm"),
        "defaults": definition.link_options() if definition else {},
        "ports": sorted(port.device for port in comports()),
        "words": line_words,
        "said": message,
    }
