"""What is wrong stands in the log; whose record it was about does not."""

from __future__ import annotations

import logging
import traceback

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from lis_core.storage.database import Database


@pytest.mark.parametrize(
    "statement",
    [
        "insert into hasta (ad, soyadi, tc_kimlik_numarasi) values ('GizliAd', 'GizliSoyad', '10000000146'), "
        "('GizliAd', 'GizliSoyad', '10000000146')",
        "insert into hasta (ad, soyadi, cinsiyet) values ('GizliAd', null, 'F')",
    ],
)
async def test_an_error_of_the_database_quotes_no_row(
    database: Database, statement: str, caplog: pytest.LogCaptureFixture
) -> None:
    """`Key (tc)=(...) already exists`, `Failing row contains (...)`: PostgreSQL says it, the log must not."""
    with pytest.raises(IntegrityError) as refused:
        async with database.reading() as session:
            await session.execute(text(statement))
    logging.getLogger("numune.api").error("unexpected error", exc_info=refused.value)
    told = "".join(traceback.format_exception(refused.value)) + caplog.text
    shown = told.replace(statement, "")
    for secret in ("10000000146)", "Failing row", "DETAIL"):
        assert secret not in shown, shown[-2000:]
    assert "IntegrityError" in told
    assert refused.value.orig is not None and refused.value.orig.diag.message_detail  # type: ignore[attr-defined]
