"""A copy for the statistician: the laboratory's shape and values, and nobody in it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import psycopg
import pytest

from api.app import create_app
from lis_core.services import anonymise
from lis_core.services.anonymise import anonymised_copy
from lis_core.settings import Settings
from lis_core.storage.database import Database
from lis_core.storage.tables import Base
from tests.api.conftest import Clinic, person
from tests.conftest import _sibling


@pytest.fixture
async def clinic(lab: Database) -> AsyncIterator[Clinic]:
    made = Clinic(create_app(lab, Settings()), lab)
    yield made
    await made.close()


@pytest.fixture
def empty(pg_server: str, pg_template: str) -> AsyncIterator[str]:
    name = f"kopya_{uuid.uuid4().hex[:10]}"
    with psycopg.connect(pg_server, autocommit=True) as connection:
        connection.execute(f"create database {name} template {pg_template}")
    yield _sibling(pg_server, name)
    with psycopg.connect(pg_server, autocommit=True) as connection:
        connection.execute(f"drop database if exists {name} with (force)")


PEOPLE = [("Şerife", "Çokgizli"), ("Muzaffer", "Bilinmez"), ("Işıl", "Tanınır")]


async def a_week(clinic: Clinic) -> None:
    """Three people, five orders, approved results, one text that is said once and holds a name, one rejected tube."""
    for given, family in PEOPLE:
        who = person(given_name=given, family_name=family, hospital_id=f"HST-{family}")
        for tests in (("GLU", "K"), ("GLU",)):
            placed = await clinic.place(*tests, by="hekim", patient=who, clinical={"note": f"{given} hanım şikayetçi"})
            await clinic.receive(placed)
            await clinic.measure(placed["specimens"][0]["barcode"], **dict.fromkeys(tests, "93"))
            await clinic.release(placed["number"], "GLU")
    await clinic.sql("update hasta set cep_telefonu = '05339998877'")
    await clinic.sql("alter table tetkik_sonuc disable trigger all")
    await clinic.sql(
        "update tetkik_sonuc set tetkik_sonucu = 'Şerife Çokgizli arandı', cihaz_tetkik_sonucu = 'Çokgizli', "
        "sayisal_sonuc = null, operator = 'Teknisyen Muzaffer', gerekce = 'Bilinmez' where tetkik_sonuc_kodu = "
        "(select min(tetkik_sonuc_kodu) from tetkik_sonuc)"
    )
    await clinic.sql("alter table tetkik_sonuc enable trigger all")


def whole_text(url: str) -> str:
    """Everything in every table, as text."""
    with psycopg.connect(url) as connection:
        tables = connection.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
        parts = [
            str(connection.execute(f"select coalesce(string_agg(t::text, E'\\n'), '') from {table} t").fetchone())  # type: ignore[arg-type]
            for (table,) in tables
        ]
    return "\n".join(parts)


async def test_no_original_identifier_is_left_in_the_copy(clinic: Clinic, empty: str) -> None:
    await a_week(clinic)
    counts = anonymised_copy(str(clinic.database.url), empty)
    assert counts["hasta"] == 3
    assert counts["tetkik_istem"] == 6
    assert counts["tetkik_sonuc"] == 9
    text = whole_text(empty)
    identifiers = await clinic.sql(
        "select unnest(array[tc_kimlik_numarasi, hbys_hasta_numarasi, cep_telefonu, soyadi]) from hasta union "
        "select numune_numarasi from tetkik_istem union select barkod from tetkik_numune union "
        "select soyadi from personel union select personel_sicil_numarasi from personel"
    )
    for (identifier,) in identifiers:
        if identifier:
            assert identifier not in text, identifier
    with psycopg.connect(empty) as connection:
        users = connection.execute("select kullanici_adi, parola from kullanici").fetchall()
    assert users and all(name.startswith("kullanici-") and secret == "!" for name, secret in users)
    for word in ("Şerife", "Muzaffer", "Bilinmez", "şikayetçi", "arandı", "HST-"):
        assert word not in text, word


async def test_shape_values_ages_and_intervals_stay(clinic: Clinic, empty: str) -> None:
    await a_week(clinic)
    anonymised_copy(str(clinic.database.url), empty)
    question = (
        "select k.tetkik_kisa_kodu, s.tetkik_sonucu, s.tetkik_sonucu_durumu, h.cinsiyet, "
        "extract(epoch from s.sonuc_zamani - i.istem_zamani)::bigint, i.istem_zamani::date - h.dogum_tarihi "
        "from tetkik_sonuc s join istem_tetkik t using (istem_tetkik_kodu) join tetkik k on k.tetkik_kodu = t.tetkik_kodu "
        "join tetkik_istem i using (tetkik_istem_kodu) join hasta h on h.hasta_kodu = i.hasta_kodu "
        "where s.sayisal_sonuc is not null order by 1, 5, 6"
    )
    with psycopg.connect(str(clinic.database.url)) as one, psycopg.connect(empty) as other:
        before, after = one.execute(question).fetchall(), other.execute(question).fetchall()
        shifts = other.execute("select count(distinct date_trunc('day', kayit_zamani)) from hasta").fetchone()
        orders = other.execute("select count(*) from barkod_kayit b join tetkik_istem i using (tetkik_istem_kodu) "
                               "where b.barkod like i.numune_numarasi || '%'").fetchone()  # fmt: skip
        unknown = other.execute("select count(*) from tetkik_sonuc where tetkik_sonucu = '(metin)'").fetchone()
    assert [row[:5] for row in after] == [row[:5] for row in before]
    assert all(abs(a[5] - b[5]) <= 1 for a, b in zip(sorted(after, key=lambda r: r[5]), sorted(before, key=lambda r: r[5]), strict=True))  # fmt: skip
    assert shifts != (0,) and orders and orders[0] >= 12 and unknown == (1,)


async def test_numbers_of_the_copy_are_valid_and_the_copy_works(clinic: Clinic, empty: str) -> None:
    """An order of the copy opens as any other."""
    from lis_core.domain.identity import tc_problem

    await a_week(clinic)
    anonymised_copy(str(clinic.database.url), empty)
    copy = Database(empty)
    try:
        with psycopg.connect(empty) as connection:
            for (number,) in connection.execute("select tc_kimlik_numarasi from hasta").fetchall():
                assert tc_problem(number) is None
            [(order,)] = connection.execute("select numune_numarasi from tetkik_istem limit 1").fetchall()
        from lis_core.views.order_view import order_view
        from lis_core.views.seeing import Sight
        from tests.services import steps

        async with copy.reading() as session:
            seen = await order_view(session, Sight(await steps.user(clinic.database, "uzman")), order)
        assert seen.tests
    finally:
        await copy.close()


async def test_a_copy_goes_only_into_an_empty_database(clinic: Clinic) -> None:
    await a_week(clinic)
    with pytest.raises(ValueError, match="boş değil"):
        anonymised_copy(str(clinic.database.url), str(clinic.database.url))


def test_every_table_that_goes_over_is_known_and_no_free_text_goes_by_the_way() -> None:
    """A new column stays behind until somebody says here what becomes of it."""
    free = {"gerekce", "aciklama", "operator", "numune_ret_nedeni", "tetkik_sonuc_aciklama", "kararlar", "hizmet_notu"}
    for name, copied in anonymise.TABLES.items():
        table = Base.metadata.tables[name]
        assert name not in anonymise.NEVER
        assert set(copied.columns) <= {column.name for column in table.columns}
        assert not free & set(copied.columns), name
    assert {"ham_mesaj", "denetim", "hbys_mesaj"}.isdisjoint(anonymise.TABLES)
