"""The web screens, in Turkish. One module a feature; templates beside them in `api/templates/<feature>/`."""

from __future__ import annotations

from fastapi import APIRouter

from api.screens import (
    acceptance,
    account,
    audit_pages,
    browser_errors,
    clients,
    clinical,
    database_pages,
    definition_editor,
    desk,
    gateways,
    instrument_codes,
    instrument_setup,
    instrument_traffic,
    instruments,
    loading,
    messages,
    orders,
    people,
    permission_groups,
    permissions,
    privacy_pages,
    search,
    session,
    sign_on,
    steps,
    technical,
    unmatched,
    work_steps,
)
from api.screens.shell import error_page

router = APIRouter(include_in_schema=False)
for part in (
    session,
    steps,
    sign_on,
    account,
    people,
    permissions,
    permission_groups,
    clients,
    technical,
    clinical,
    acceptance,
    orders,
    search,
    gateways,
    instrument_setup,
    instrument_codes,
    instrument_traffic,
    messages,
    definition_editor,
    work_steps,
    loading,
    instruments,  # behind the others: an instrument's code is an address beside theirs
    unmatched,
    desk,
    audit_pages,
    database_pages,
    browser_errors,
    privacy_pages,
):
    router.include_router(part.router)

__all__ = ["error_page", "router"]
