"""One busy laboratory for the whole folder: orders, strays, lines, accesses, accounts; and somebody who may see it all.

Tests here read; a test that changes something asks for `clinic` (its own copy).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api.app import create_app
from lis_core.domain.permission_templates import Job
from lis_core.services import privacy
from lis_core.services.passwords import hash_password
from lis_core.services.permissions import Subject, add_member
from lis_core.settings import Settings
from lis_core.storage.database import Database
from lis_core.storage.tables import User
from tests.api.conftest import Clinic, clinic, person
from tests.attacks.house import PASSWORD, Stage, Visitor
from tests.conftest import _copy
from tests.permissions.conftest import House
from tests.services import steps


@pytest.fixture(scope="module")
async def stage(pg_server: str, lab_template: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """The laboratory of this module, its web application, and everybody who visits it."""
    async for database in _copy(pg_server, lab_template):
        async for made in furnished(database, tmp_path_factory.mktemp("veri")):
            yield made


async def furnished(database: Database, folder: Path) -> AsyncIterator[Stage]:
    """A stage over this database, with a bit of everything."""
    clinic_ = Clinic(create_app(database, Settings(data_dir=folder)), database)
    stage = Stage(clinic_, {})
    try:
        await _everything(stage)
        yield stage
    finally:
        for visitor in stage.visitors.values():
            await visitor.client.aclose()
        await clinic_.close()


async def _everything(stage: Stage) -> None:
    clinic_ = stage.clinic
    house = House(clinic_.database)
    await _a_person_who_may_everything(clinic_.database, house)
    released = await clinic_.place("GLU", "UREA", "K", by="hekim", priority="urgent")
    await clinic_.receive(released)
    await clinic_.measure(released["number"], GLU="92", UREA="31", K="9.9")
    await clinic_.release(released["number"], "GLU")
    hidden = await clinic_.place("GLU", by="hekim", patient=person(given_name="Gizli"))
    await clinic_.receive(hidden)
    await clinic_.place("CBC", by="hekim")
    await clinic_.measure("990011", GLU="5")
    await clinic_.measure(released["number"], YOK="5")
    actor = await steps.user(clinic_.database, "yonetici")
    [(patient,)] = await clinic_.sql(
        "select hasta_kodu from tetkik_istem where numune_numarasi = :n", n=hidden["number"]
    )
    async with clinic_.database.work(actor) as work:
        await privacy.hide_patient(work, patient, "taninmis", "deneme")
    await _lines_and_events(clinic_)
    tube = next(one for one in released["specimens"] if "GLU" in one["tests"])
    stage.fills = {
        "number": released["number"],
        "barcode": tube["barcode"],
        "code": "genel",
        "key": "istem",
        **await _first_ids(clinic_, released["number"]),
    }


async def _a_person_who_may_everything(database: Database, house: House) -> None:
    async with database.work(await house.actor("yonetici")) as work:
        row = User(username="hepsi", given_name="Her", family_name="Şey", password_hash=await hash_password(PASSWORD))
        work.session.add(row)
        await work.session.flush()
        for job in Job:
            await add_member(work, await house.group(job), Subject(user_id=row.id))


async def _lines_and_events(clinic_: Clinic) -> None:
    for statement in (
        "insert into baglanti_olayi (baglanti_kodu, tur, cumle, ilk_zaman, son_zaman) "
        "select baglanti_kodu, 'sorun', 'x', now(), now() from baglanti",
        "insert into bildirim (tur, metin) select 'hbys', 'x' from generate_series(1, 3)",
        "insert into baglanti_denemesi (baglanti_turu, protokol, adres, sure_saniye, istek_zamani, adimlar, bitis_zamani, "
        "sonuc) "
        "values ('seri', 'astm', 'x', 5, now(), '[{\"zaman\": 1700000000.5, \"cumle\": \"x\"}]', now(), 'kotu')",
    ):
        await clinic_.sql(statement)


async def _first_ids(clinic_: Clinic, number: str) -> dict[str, Any]:
    [(test, result)] = await clinic_.sql(
        "select istem_tetkik_kodu, tetkik_sonuc_kodu from istem_tetkik join tetkik_istem using (tetkik_istem_kodu) "
        "join tetkik using (tetkik_kodu) where numune_numarasi = :n and tetkik_kisa_kodu = 'GLU'", n=number,
    )  # fmt: skip
    found = {"ordered_test_id": test, "result_id": result, "user_id": 1, "group_id": 1, "line_id": 1, "trial_id": 1}
    for name, table in (("message_id", "ham_mesaj"), ("unmatched_id", "eslesmeyen_sonuc"), ("notice_id", "bildirim")):
        [(found[name],)] = await clinic_.sql(f"select max({table}_kodu) from {table}")
    return found


__all__ = ["Visitor", "clinic", "stage"]
