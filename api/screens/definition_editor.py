"""Definitions on screen: the catalogue with its standing; and a workshop where one is written by pointing.

The workshop keeps nothing on the server: the form holds the captured bytes and the table, every action sends both and
gets both back with what the table makes of the bytes. Only publishing writes: a new file, never over an old one.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from markupsafe import Markup
from starlette.datastructures import FormData, UploadFile

from api.access import needs
from api.context import Db, context_of
from api.screens import line_words
from api.screens.shell import Screen, said, screen
from drivers.capture import Capture, read_capture
from drivers.decode import sender_of
from drivers.definition import Catalog
from drivers.drafting import (
    ROLE_WORDS,
    ROLES,
    Table,
    begin,
    examine,
    forget,
    made,
    next_revision,
    places,
    point,
    readable,
    to_toml,
)
from drivers.language import DefinitionError
from drivers.site import publish
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.domain.uploads import FileKind, looked_at
from lis_core.storage.database import Database
from lis_core.views.boards import message_picture

router = APIRouter(prefix="/cihazlar")
MANAGES = [Depends(needs(P.INSTRUMENT_MANAGE))]
Here = Annotated[Screen, Depends(screen("instruments"))]

LARGEST = 256 * 1024
"""Bytes of a capture; as text of a form they are a third more."""
MOST_MESSAGES = 5
"""Messages of a capture that are laid open; a definition is written from the first, proved on the others."""
POINTED = ("astm", "hl7")
"""Protocols whose messages have fields to point at; fixed columns and tables are written as files."""
_TEXTS = ("key", "maker", "model", "source")
_KEY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass
class Workshop:
    """What the form holds."""

    table: Table
    capture: bytes = b""
    role: str = "specimen"
    more: bool = False
    message: Markup | None = None
    read: Capture = field(default_factory=Capture)

    def __post_init__(self) -> None:
        if self.capture:
            self.read = read_capture(self.capture)
            del self.read.messages[MOST_MESSAGES:]


@router.get("/tanimlar")
async def listed(here: Here) -> Response:
    """Every definition with what it is proved on; site files that cannot be used."""
    site = await context_of(here.request).definitions.site()
    folder = site.folder
    own = {entry.name.rpartition("-")[0] for entry in folder.glob("*.toml")} if folder.is_dir() else set()
    return await here.page(
        "instruments/definitions.html", catalogue=list(site.catalog), faults=site.faults, own=own, words=line_words
    )


@router.get("/tanim", dependencies=MANAGES)
async def workshop(
    here: Here,
    db: Db,
    mesaj: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
    tanim: Annotated[str, Query(max_length=80)] = "",
) -> Response:
    """The workshop: empty, from a kept message, or with a definition whose next revision is to be written."""
    catalog = await context_of(here.request).definitions.catalog()
    capture = await _kept(here, db, mesaj) if mesaj else b""
    if tanim in catalog and catalog.get(tanim).protocol in POINTED:
        table = _started(catalog, tanim, own=await _is_own(here, tanim))
    else:
        table = _first_table(catalog, capture)
    shop = Workshop(table, capture)
    return await here.page("instruments/workshop.html", **await _facts(shop, catalog))


@router.post("/tanim", dependencies=MANAGES)
async def work_on(here: Here) -> Response:
    """One step: load a capture, change a word, point at a place, forget one, start from another definition."""
    form = await here.request.form()
    catalog = await context_of(here.request).definitions.catalog()
    shop = await _shop(form, catalog)
    try:
        _step(shop, form, catalog)
    except DefinitionError as error:
        shop.message = said(f"Olmadı: {error}", "bad")
    return here.part("instruments/workshop_body.html", **await _facts(shop, catalog))


@router.post("/tanim/yayimla", dependencies=MANAGES)
async def publish_it(here: Here, db: Db) -> Response:
    """Write the definition into the site's folder; gateway and screens take it up by themselves."""
    form = await here.request.form()
    definitions = context_of(here.request).definitions
    catalog = await definitions.catalog()
    shop = await _shop(form, catalog)
    draft = await asyncio.to_thread(examine, shop.table, catalog, shop.read.messages)
    if draft.definition is None or draft.faults:
        shop.message = said("Yayımlanmadı: " + "; ".join(draft.faults), "bad")
        return here.part("instruments/workshop_body.html", **await _facts(shop, catalog))
    key, revision = draft.definition.key, draft.definition.revision
    if key in catalog and not await _is_own(here, key):
        raise NumuneError(
            errors.INVALID_INPUT, problem=f"{key} hazır bir tanımdır; kendi tanımınıza başka bir anahtar verin"
        )
    toml = to_toml(shop.table)
    made(tomllib.loads(toml), catalog)  # what is written reads back as what was seen
    async with db.work(here.actor) as work:
        work.audit(
            "yayimla",
            "cihaz_tanimi",
            f"{key}/{revision}",
            {"surum": catalog.get(key).revision} if key in catalog else None,
            {
                "surum": revision,
                "kaynak": draft.definition.file.source,
                "ozet": hashlib.sha256(toml.encode()).hexdigest(),
            },
        )
        try:  # the last thing before the commit: a file without its audit entry is the smaller harm
            await asyncio.to_thread(publish, definitions.folder, draft.definition, toml)
        except (DefinitionError, OSError) as error:
            raise NumuneError(errors.INVALID_INPUT, problem=str(error)) from error
        work.tell_screens("line", tanim=key)
    await definitions.site()
    shop.table = {**shop.table, "revision": revision + 1}
    shop.message = Markup(
        '<p class="said good" role="status">{}/{} yayımlandı; geçit üç saniye içinde kullanır. '
        '<a href="/cihazlar/kur?tanim={}">Bu tanımla cihaz ekle</a></p>'
    ).format(key, revision, key)
    return here.part("instruments/workshop_body.html", **await _facts(shop, await definitions.catalog()))


# ---- steps


async def _shop(form: FormData, catalog: Catalog) -> Workshop:
    """The workshop as the form describes it."""
    capture = _bytes(form.get("ornek"))
    file = form.get("dosya")
    if isinstance(file, UploadFile) and file.filename:
        capture = looked_at(await file.read(LARGEST + 1), file.filename, {FileKind.WIRE}, LARGEST).content
    elif isinstance(pasted := form.get("metin"), str) and pasted.strip():
        capture = pasted.replace("\r\n", "\r").replace("\n", "\r").encode("utf-8")
    if len(capture) > LARGEST:
        raise NumuneError(errors.TOO_LARGE, limit=f"{LARGEST // 1024} KB")
    written = form.get("tablo")
    try:
        table = json.loads(written) if isinstance(written, str) and written else _first_table(catalog, capture)
    except (ValueError, RecursionError) as error:  # not JSON; or nested so deep that nothing can read it
        raise NumuneError(errors.INVALID_INPUT, problem="tanım tablosu okunamadı") from error
    if not isinstance(table, dict):
        raise NumuneError(errors.INVALID_INPUT, problem="tanım tablosu okunamadı")
    role = form.get("rol")
    shop = Workshop(
        _with_words(table, form), capture, role if isinstance(role, str) else "specimen", bool(form.get("yedek"))
    )
    if capture and not shop.read.messages:
        shop.message = said(shop.read.refused or "Yakalamada mesaj bulunamadı.", "bad")
        shop.capture = b""
    return shop


def _bytes(written: object) -> bytes:
    if not isinstance(written, str) or not written:
        return b""
    if len(written) > LARGEST * 4 // 3 + 4:
        raise NumuneError(errors.TOO_LARGE, limit=f"{LARGEST // 1024} KB")
    try:
        return base64.b64decode(written, validate=True)
    except ValueError as error:  # binascii.Error is one; letters outside of ASCII are the other
        raise NumuneError(errors.INVALID_INPUT, problem="yakalanan baytlar okunamadı") from error


def _with_words(table: Table, form: FormData) -> Table:
    """What was typed: names, source, quirks, standing."""
    changed = dict(table)
    for name in _TEXTS:
        value = form.get(name)
        if isinstance(value, str):
            changed[name] = " ".join(value.split())[:300]
    quirks = form.get("quirks")
    if isinstance(quirks, str):
        changed["quirks"] = [line.strip()[:300] for line in quirks.splitlines() if line.strip()][:50]
    standing = form.get("standing")
    if standing in line_words.STANDINGS:
        changed["standing"] = standing
    return changed


def _step(shop: Workshop, form: FormData, catalog: Catalog) -> None:
    """Raises DefinitionError."""
    pointed, dropped, base = (form.get(name) for name in ("yer", "birak", "temel"))
    if isinstance(pointed, str) and pointed:
        table = point(shop.table, shop.role, pointed, more=shop.more)
        readable(table, catalog)  # a place that cannot be this thing is refused here, and nothing changes
        shop.table = table
        shop.message = said(f"{ROLE_WORDS.get(shop.role, shop.role)} artık {pointed} alanından okunuyor.")
    elif isinstance(dropped, str) and dropped:
        shop.table = forget(shop.table, dropped)
        shop.message = said(f"{ROLE_WORDS.get(dropped, dropped)}: temeldeki yerine dönüldü.")
    elif isinstance(base, str) and base in catalog and form.get("temelden"):
        words = {name: shop.table.get(name, "") for name in (*_TEXTS, "quirks", "standing")}
        shop.table = {**begin(catalog.get(base).protocol, catalog.get(base)), **words}
        shop.message = said(f"{base} temel alındı.")


def _first_table(catalog: Catalog, capture: bytes) -> Table:
    """What reads this capture at first: the generic definition of its protocol, or the model that it says it is."""
    messages = read_capture(capture).messages if capture else []
    protocol = messages[0].protocol if messages else "astm"
    table = begin(protocol, catalog.generic(protocol))
    sender = sender_of(messages[0]) if messages else ""
    name = re.sub(r"[^a-z0-9]+", "-", sender.lower()).strip("-")[:40]
    return {**table, "key": name if _KEY.fullmatch(name) and name not in catalog else "", "model": sender.strip()[:60]}


def _started(catalog: Catalog, key: str, *, own: bool) -> Table:
    """Our own: its next revision. A shipped one: the base of a new one."""
    found = catalog.get(key)
    if own:
        return next_revision(found)
    return {**begin(found.protocol, found), "key": f"{key}-yerel", "maker": found.maker, "model": found.model}


async def _is_own(here: Screen, key: str) -> bool:
    """Whether this definition is a file of the site."""
    folder = context_of(here.request).definitions.folder
    return any(entry.stem.rpartition("-")[0] == key or entry.stem == key for entry in folder.glob("*.toml"))


async def _kept(here: Screen, db: Database, message_id: int) -> bytes:
    """The bytes of a kept message, for whoever may see them. Raises NOT_FOUND, NOT_ALLOWED."""
    here.actor.must(P.MESSAGE_VIEW)
    async with db.reading() as session:
        found = await message_picture(session, here.sight, message_id)
    if found is None:
        raise NumuneError(errors.NOT_FOUND, what=f"Ham mesaj {message_id}")
    if found.content is None:
        raise here.actor.rights.refusal(P.RESULT_VIEW_UNAPPROVED)
    if len(found.content) > LARGEST:
        raise NumuneError(errors.TOO_LARGE, limit=f"{LARGEST // 1024} KB")
    return found.content


async def _facts(shop: Workshop, catalog: Catalog) -> dict[str, Any]:
    draft = await asyncio.to_thread(examine, shop.table, catalog, shop.read.messages)
    try:
        where: Mapping[str, list[str]] = places(shop.table, catalog)
    except DefinitionError:
        where = {}
    return {
        "shop": shop,
        "draft": draft,
        "places": where,
        "roles": ROLES,
        "role_words": ROLE_WORDS,
        "own": {role.name for role in ROLES if role.name in shop.table},
        "ornek": base64.b64encode(shop.capture).decode(),
        "tablo": json.dumps(shop.table, ensure_ascii=False),
        "toml": to_toml(shop.table),
        "catalogue": [one for one in catalog if one.protocol in POINTED],
        "standings": line_words.STANDINGS,
        "read_kinds": line_words.READ_KINDS,
    }
