"""The web screens, in Turkish. One module a feature; templates beside them in `api/templates/<feature>/`."""

from __future__ import annotations

from fastapi import APIRouter

from api.screens import acceptance, clinical, desk, instruments, orders, search, session, technical, unmatched
from api.screens.shell import error_page

router = APIRouter(include_in_schema=False)
for part in (session, technical, clinical, acceptance, orders, search, instruments, unmatched, desk):
    router.include_router(part.router)

__all__ = ["error_page", "router"]
