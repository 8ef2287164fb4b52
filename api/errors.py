"""Every refusal and its answer, once: JSON for programs, a Turkish page (or fragment) for people.

Nothing of a traceback or of a database message reaches the one who asked; an unexpected error gets a reference that
stands in the log beside its traceback.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import sqlalchemy.exc
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from api.context import database_of
from lis_core.domain import errors
from lis_core.domain.errors import ErrorKind, NumuneError, all_kinds
from lis_core.services.refusals import keep_refusal
from lis_core.storage.database import Actor

log = logging.getLogger("numune.api")

LOGIN_PAGE = "/giris"
"""Where a person without a session is sent; `sonraki` says where he wanted to go."""

PROGRAM_PATHS = ("/api/", "/olay", "/healthz", "/readyz", "/metrics")

ErrorPage = Callable[[Request, NumuneError], Response]
"""Makes the page of a refusal; the screens give theirs, `plain_page` serves until then."""


class Problem(BaseModel):
    """Body of every refusal."""

    code: str
    """NUM-0000, listed in `docs/hata-kodlari.md`."""
    message: str
    """Turkish; says what happened and what to do."""
    details: dict[str, Any]


def wants_json(request: Request) -> bool:
    """True for the interfaces of programs and for whoever asks for JSON only."""
    if request.url.path.startswith(PROGRAM_PATHS):
        return True
    accept = request.headers.get("accept", "")
    return "application/json" in accept and "text/html" not in accept


def wants_fragment(request: Request) -> bool:
    """True where a part of a page asks (htmx), not the browser's address line."""
    return request.headers.get("hx-request") == "true"


def answer(request: Request, refusal: NumuneError, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to a refused request, in the form that the asker reads."""
    extra = dict(headers or {})
    if refusal.kind is errors.NOT_SIGNED_IN:
        return _ask_to_sign_in(request, refusal)
    if refusal.kind is errors.TOO_MANY_ATTEMPTS:
        extra["Retry-After"] = str(refusal.details.get("seconds", 30))
    if refusal.kind is errors.DATABASE_DOWN:
        extra["Retry-After"] = "5"
    if wants_json(request):
        return JSONResponse(refusal.as_dict(), refusal.status, headers=extra)
    response = _page(request, refusal)
    response.headers.update(extra)
    return response


def _ask_to_sign_in(request: Request, refusal: NumuneError) -> Response:
    if wants_json(request):
        return JSONResponse(refusal.as_dict(), refusal.status, headers={"WWW-Authenticate": "Bearer"})
    if wants_fragment(request):
        return HTMLResponse(_fragment(refusal), refusal.status, headers={"HX-Redirect": LOGIN_PAGE})
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    there = f"?sonraki={quote(wanted, safe='/')}" if request.method == "GET" and wanted != "/" else ""
    return RedirectResponse(LOGIN_PAGE + there, status_code=303)


def _page(request: Request, refusal: NumuneError) -> Response:
    page: ErrorPage = request.app.state.error_page
    try:
        return page(request, refusal)
    except Exception:
        log.exception("error page failed", extra={"action": "error_page_failed", "code": refusal.code})
        return plain_page(request, refusal)


def plain_page(request: Request, refusal: NumuneError) -> Response:
    """The page of a refusal without any template."""
    if wants_fragment(request):
        return HTMLResponse(_fragment(refusal), refusal.status)
    return HTMLResponse(
        "<!doctype html><html lang=tr><meta charset=utf-8>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{refusal.code} - Numune</title>"
        f"<main><h1>İşlem yapılamadı</h1>{_fragment(refusal)}"
        '<p><a href="/">Ana sayfaya dön</a></p></main></html>',
        refusal.status,
    )


def _fragment(refusal: NumuneError) -> str:
    return (
        f'<div class="hata" role="alert" data-kod="{refusal.code}">'
        f"<p>{escape(refusal.message)}</p><p><small>Hata kodu: {refusal.code}</small></p></div>"
    )


def install(app: FastAPI, page: ErrorPage = plain_page) -> None:
    """Register the handlers; `page` makes the pages of refusals."""
    app.state.error_page = page
    app.add_exception_handler(NumuneError, _refused)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, _http)
    for kind in DATABASE_ERRORS:
        app.add_exception_handler(kind, _database)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, NumuneError)
    if error.kind in (errors.NOT_ALLOWED, errors.NOT_YOUR_LABORATORY):
        await _keep(request, error)
    return answer(request, error)


async def _keep(request: Request, refusal: NumuneError) -> None:
    """The attempt goes into the audit, by the door's pattern: no number or name of the address itself."""
    actor = getattr(request.state, "actor", None)
    if not isinstance(actor, Actor):
        return
    door = getattr(request.scope.get("route"), "path", "")
    try:
        await keep_refusal(database_of(request), actor, refusal, f"{request.method} {door}")
    except KEEPING_FAILED:  # the refusal stands all the same; that it was not kept is on record here
        log.exception("refusal not kept", extra={"action": "refusal_not_kept", "code": refusal.code})


# --- input that does not fit ---------------------------------------------------------------------------------------

FIELD_PROBLEMS: dict[str, str] = {
    "missing": "zorunlu",
    "extra_forbidden": "tanınmayan alan",
    "json_invalid": "JSON okunamadı",
    "string_type": "metin olmalı",
    "string_too_short": "en az {min_length} karakter olmalı",
    "string_too_long": "en çok {max_length} karakter olabilir",
    "string_pattern_mismatch": "biçimi uygun değil",
    "string_unicode": "geçersiz karakter içeriyor",
    "int_type": "tam sayı olmalı",
    "int_parsing": "tam sayı olmalı",
    "int_parsing_size": "sayı çok büyük",
    "int_from_float": "tam sayı olmalı",
    "bool_type": "evet/hayır (true/false) olmalı",
    "bool_parsing": "evet/hayır (true/false) olmalı",
    "greater_than_equal": "en az {ge} olmalı",
    "less_than_equal": "en çok {le} olabilir",
    "literal_error": "şunlardan biri olmalı: {expected}",
    "enum": "şunlardan biri olmalı: {expected}",
    "list_type": "liste olmalı",
    "too_short": "en az {min_length} öğe olmalı",
    "too_long": "en çok {max_length} öğe olabilir",
    "dict_type": "nesne olmalı",
    "model_type": "nesne olmalı",
    "model_attributes_type": "nesne olmalı",
    "date_type": "tarih olmalı (YYYY-AA-GG)",
    "date_parsing": "tarih olmalı (YYYY-AA-GG)",
    "date_from_datetime_parsing": "tarih olmalı (YYYY-AA-GG)",
    "date_from_datetime_inexact": "tarih olmalı (YYYY-AA-GG)",
    "datetime_type": "tarih ve saat olmalı (YYYY-AA-GGTSS:DD)",
    "datetime_parsing": "tarih ve saat olmalı (YYYY-AA-GGTSS:DD)",
    "datetime_from_date_parsing": "tarih ve saat olmalı (YYYY-AA-GGTSS:DD)",
    "datetime_object_invalid": "tarih ve saat olmalı (YYYY-AA-GGTSS:DD)",
}
"""Sentences for the checks that the input models use; anything else says "uygun değil"."""


def _field_problem(fault: Mapping[str, Any]) -> dict[str, str]:
    kind, context = str(fault.get("type", "")), fault.get("ctx") or {}
    if kind == "value_error":  # our own validators speak Turkish already
        sentence = str(context.get("error", "uygun değil"))
    else:
        sentence = FIELD_PROBLEMS.get(kind, "uygun değil").format_map(_Missing(context))
    place = [str(part) for part in fault.get("loc", ()) if part not in ("body", "query", "path", "header")]
    return {"field": ".".join(place) if kind != "json_invalid" else "", "problem": sentence}


class _Missing(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"


def invalid(faults: list[dict[str, str]]) -> NumuneError:
    """NUM-0001 with what is wrong at each field."""
    said = "; ".join(f"{fault['field'] or 'içerik'} {fault['problem']}" for fault in faults[:5])
    return NumuneError(errors.INVALID_INPUT, problem=said, fields=faults[:50])


async def _not_valid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return answer(request, invalid([_field_problem(fault) for fault in error.errors()]))


# --- what the framework refuses ------------------------------------------------------------------------------------


def _kind_of_http(error: HTTPException, request: Request) -> NumuneError:
    if error.status_code == 404:
        return NumuneError(errors.NOT_FOUND, what="Adres")
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        return NumuneError(errors.METHOD_NOT_ALLOWED, method=request.method, allowed=allowed)
    if error.status_code == 401:
        return NumuneError(errors.NOT_SIGNED_IN)
    if error.status_code == 403:
        return NumuneError(errors.NOT_ALLOWED, permission=request.url.path)
    if error.status_code == 413:
        return NumuneError(errors.TOO_LARGE, limit="2 MB")
    return NumuneError(errors.INVALID_INPUT, problem="istek okunamadı")


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    allow = {key: value for key, value in (error.headers or {}).items() if key.lower() == "allow"}
    return answer(request, _kind_of_http(error, request), allow)


# --- the database --------------------------------------------------------------------------------------------------

DATABASE_ERRORS: tuple[type[Exception], ...] = (
    psycopg.Error,
    sqlalchemy.exc.DBAPIError,
    sqlalchemy.exc.TimeoutError,
)


KEEPING_FAILED: tuple[type[Exception], ...] = (*DATABASE_ERRORS, TimeoutError, OSError)


def _cause(error: Exception) -> Exception:
    """What psycopg said, below SQLAlchemy's wrapping."""
    if isinstance(error, sqlalchemy.exc.DBAPIError) and isinstance(error.orig, Exception):
        return error.orig
    return error


async def _database(request: Request, error: Exception) -> Response:
    """The server cannot be reached or is overloaded: 503. Text it cannot store: 422. Anything else is our fault."""
    cause = _cause(error)
    if isinstance(cause, psycopg.DataError):
        log.warning("value refused by the database", extra={"action": "data_error", "sqlstate": cause.sqlstate})
        return answer(
            request, NumuneError(errors.INVALID_INPUT, problem="veritabanına yazılamayan karakter ya da sayı")
        )
    if isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError | sqlalchemy.exc.TimeoutError):
        sqlstate = getattr(cause, "sqlstate", None)
        log.error("database not available", extra={"action": "database_down", "sqlstate": sqlstate})
        return answer(request, NumuneError(errors.DATABASE_DOWN))
    return unexpected(request, error)


# --- what nobody expected ------------------------------------------------------------------------------------------


def unexpected(request: Request, error: BaseException) -> Response:
    """NUM-0007 with a reference; the traceback goes to the log under the same reference (4.7.4)."""
    reference = secrets.token_hex(5).upper()
    log.error(
        "unexpected error %s at %s %s by %s",
        reference,
        request.method,
        request.url.path,
        getattr(getattr(request.state, "actor", None), "name", "-"),
        exc_info=(type(error), error, error.__traceback__),
        extra={"action": "unexpected_error", "reference": reference, "code": errors.INTERNAL.code},
    )
    return answer(request, NumuneError(errors.INTERNAL, reference=reference))


# --- the document of all codes -------------------------------------------------------------------------------------

ERROR_DOCUMENT = Path(__file__).parent.parent / "docs" / "hata-kodlari.md"

_BLOCKS = {
    0: "Genel, giriş ve yetki",
    100: "Hasta ve istem",
    200: "Numune",
    300: "Sonuç ve onay",
    400: "Cihaz, hat ve mesaj",
}
"""Hundreds of the numbers and what they are about."""


def error_document() -> str:
    """Text of `docs/hata-kodlari.md`: every code, its HTTP status, its sentence (4.7.2)."""
    lines = [
        "# Hata kodları",
        "",
        "Programın verdiği her ret ve hata burada, kodu ile bulunur. `{...}` yerine o işlemin bilgisi gelir.",
        'Web servisinde gövde `{"code", "message", "details"}` biçimindedir.',
        "Bu belge programdan üretilir: `python -m api.errors`.",
    ]
    blocks: dict[int, list[ErrorKind]] = {}
    for kind in all_kinds():
        blocks.setdefault(_number(kind) // 100 * 100, []).append(kind)
    for start, rows in blocks.items():
        caption = _BLOCKS.get(start, f"{start} ve sonrası")
        lines += ["", f"## {caption}", "", "| Kod | HTTP | Ne oldu, ne yapılmalı |", "| --- | --- | --- |"]
        lines += [f"| {kind.code} | {kind.status} | {kind.message.replace('|', '/')} |" for kind in rows]
    return "\n".join(lines) + "\n"


def _number(kind: ErrorKind) -> int:
    return int(kind.code.removeprefix("NUM-"))


if __name__ == "__main__":
    ERROR_DOCUMENT.write_text(error_document(), encoding="utf-8")
