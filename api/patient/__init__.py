"""Results for the patient himself: his page on the internet, the slip that he is handed, the chief's rules for both."""

from __future__ import annotations

from fastapi import APIRouter

from api.patient import manage, pages, slips

router = APIRouter(include_in_schema=False)
for part in (pages, slips, manage):
    router.include_router(part.router)

__all__ = ["router"]
