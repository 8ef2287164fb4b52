"""The JSON interface under `/api/v1` (the outer contract's HTTP table)."""

from typing import Any

from fastapi import APIRouter

from api.errors import Problem
from api.rest import (
    audit,
    auth,
    catalogue,
    instruments,
    messages,
    orders,
    patients,
    qc,
    reports,
    results,
    specimens,
    unmatched,
)

_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in (
        (401, "Oturum yok"),
        (403, "Yetki yok"),
        (404, "Bulunamadı"),
        (409, "Bu durumda yapılamaz"),
        (413, "İçerik çok büyük"),
        (422, "Girdi hatalı"),
        (429, "Çok fazla deneme"),
        (503, "Veritabanına ulaşılamıyor"),
    )
}

router = APIRouter(prefix="/api/v1", responses=_REFUSALS)
for part in (
    auth,
    orders,
    reports,
    specimens,
    results,
    instruments,
    messages,
    unmatched,
    catalogue,
    patients,
    qc,
    audit,
):
    router.include_router(part.router)
