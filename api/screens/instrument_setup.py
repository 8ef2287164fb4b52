"""Setting an instrument up: what it is, its lines, a trial of a line, stop and start; all without a restart."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path, Query
from fastapi.responses import Response
from markupsafe import Markup
from serial.tools.list_ports import comports
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api.access import needs
from api.context import Db, context_of
from api.screens import line_words
from api.screens.line_form import (
    DISTRIBUTION,
    OURS,
    PUSHING,
    check_work_line,
    line_form,
    line_of,
    options_of,
    whole,
    word,
)
from api.screens.shell import Screen, said, screen
from drivers.definition import Catalog, Definition
from drivers.law_reading import law_of
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
from lis_core.storage.tables import Connection, EdgeGateway, Unit
from lis_core.views.gateways import gateway_names
from lis_core.views.lines import InstrumentSetup, instrument_setup, trial
from lis_core.views.lines import line_of as line_row

router = APIRouter(prefix="/cihazlar", dependencies=[Depends(needs(P.INSTRUMENT_MANAGE))])
Here = Annotated[Screen, Depends(screen("instruments"))]
Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
Text = Annotated[str, Form(max_length=300)]

CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,29}")
TAKEN = frozenset(
    (
        *("kur", "kodlar", "mesaj", "mesajlar", "hat", "tanim", "tanimlar", "deneme", "tahta", "tanim-bilgisi"),
        *("gecit", "gecitler", "adim"),
    )
)
"""Words that are addresses of screens beside the instruments' codes."""


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
    code, definition = word(form, "kod"), word(form, "tanim")
    if CODE.fullmatch(code) is None or code in TAKEN:
        raise NumuneError(
            errors.INVALID_INPUT,
            problem="kod küçük harf, rakam ve tireden oluşur (örnek: kan2)",
        )
    if definition not in catalog:
        raise NumuneError(errors.UNKNOWN_DEFINITION, definition=definition or "(boş)")
    before = await _setup_or_none(db, code)
    if before is not None and not word(form, "duzenle"):
        raise NumuneError(errors.INVALID_INPUT, problem=f"{code} kodlu bir cihaz var; başka bir kod verin")
    data = InstrumentData(
        code=code,
        name=word(form, "ad"),
        definition=definition,
        maker=word(form, "marka") or catalog.get(definition).maker,
        model=word(form, "model") or catalog.get(definition).model,
        serial_number=word(form, "seri") or None,
        unit=word(form, "birim") or None,
        reserve_minutes=whole(word(form, "ayirma") or "0", "ayırma süresi", 1440),
        settings=before.instrument.settings if before else {},
        active=bool(word(form, "aktif")) if before else True,
    )
    async with db.work(here.actor) as work:
        await save_instrument(work, data)
        if before is not None and before.instrument.definition != definition:
            await _follow_definition(work, before, catalog.get(definition))
    if before is None:
        return Response(headers={"HX-Redirect": f"/cihazlar/{code}/kur?yeni=1"})
    return await _part(here, db, code, said("Cihaz kaydedildi; hatları birkaç saniye içinde yeni tanımla çalışır."))


async def _follow_definition(work: Any, before: InstrumentSetup, definition: Definition) -> None:
    """The lines speak what the new definition speaks; what was set for the old model's machine and link is gone."""
    declared = definition.file.text.parameters if definition.file.text is not None else {}
    for line in before.lines:
        settings = {name: value for name, value in line.settings.items() if name not in ("hat", "parametre")}
        if line.protocol == definition.protocol and definition.protocol in ("astm", "hl7") and "hat" in line.settings:
            settings["hat"] = line.settings["hat"]
        kept = {name: value for name, value in (line.settings.get("parametre") or {}).items() if name in declared}
        if kept:
            settings["parametre"] = kept
        if law_of(definition.file) is None:
            settings = {name: value for name, value in settings.items() if name not in ("is_hatti", "is_dagitimi")}
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
    name, known = word(form, "ad"), {line.name: line for line in found.lines}
    if word(form, "eski") and word(form, "eski") != name:
        raise NumuneError(errors.INVALID_INPUT, problem="hattın adı değişmez; geçmişi bu adla durur")
    async with db.reading() as session:
        taken = await session.scalar(select(Connection).where(Connection.name == name))
    if taken is not None and (name not in known or not word(form, "eski")):
        raise NumuneError(errors.INVALID_INPUT, problem=f"{name} adlı bir hat var; başka bir ad verin")
    kind, address, settings = line_of(form, definition)
    gateway = word(form, "gecit")
    async with db.reading() as session:
        forms = [line_form(line, definition, await _gateway_ids(session)) for line in found.lines]
    check_work_line(name, settings, gateway, forms)
    settings = {
        **{key: value for key, value in (taken.settings if taken else {}).items() if key not in OURS},
        **settings,
    }
    data = ConnectionData(
        name=name, instrument=code, kind=kind, protocol=_protocol(definition, taken), address=address,
        settings=settings, active=taken.active if taken else True, gateway=gateway,
    )  # fmt: skip
    async with db.work(here.actor) as work:
        await save_connection(work, data)
    return await _part(here, db, code, said(f"{name} hattı kaydedildi; geçit birkaç saniye içinde açar."))


@router.post("/hat/{line_id}/durum")
async def switch(here: Here, db: Db, line_id: Id, calissin: Text = "") -> Response:
    """Stop a line or start it."""
    async with db.reading() as session:
        line = await line_row(session, line_id)
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
    known = next((line for line in found.lines if line.name == word(form, "eski")), None)
    kind, address, settings = line_of(form, definition)
    async with db.work(here.actor) as work:
        number = await ask_trial(
            work,
            name=known.name if known else "",
            kind=kind,
            protocol=_protocol(definition, known),
            address=address,
            settings=settings,
            seconds=whole(word(form, "sure") or "15", "süre", 60),
            gateway=word(form, "gecit"),
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


def _protocol(definition: Definition | None, line: Connection | None) -> str:
    return definition.protocol if definition is not None else line.protocol if line is not None else "astm"


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
        gateways = await gateway_names(session)
        ids = await _gateway_ids(session)
    forms = [line_form(line, definition, ids) for line in found.lines] if found else []
    first = "" if any(form.name == code for form in forms) else code
    return {
        "found": found,
        "definition": definition,
        "wanted": key,
        "catalogue": sorted(catalog, key=lambda one: (one.maker.lower(), one.model.lower())),
        "units": units,
        "lines": forms,
        "new_line": line_form(None, definition, ids, first),
        "options": options_of(definition),
        "gateways": gateways,
        "law": definition is not None and law_of(definition.file) is not None,
        "distribution": DISTRIBUTION,
        "pushing": PUSHING if definition is not None and definition.pushes else {},
        "defaults": definition.link_options() if definition else {},
        "ports": sorted(port.device for port in comports()),
        "words": line_words,
        "said": message,
    }


async def _gateway_ids(session: AsyncSession) -> dict[int, str]:
    """Names of every remote gateway by id, stopped ones too."""
    return dict((await session.execute(select(EdgeGateway.id, EdgeGateway.name))).tuples().all())
