"""Nothing that a person typed or a wire brought is ever code of a page: every text column, every page, every role.

The columns come from the database and the pages from the application, so that a new one of either is covered the day
it is added. What a page makes of it is decided by an HTML5 parser, as in a browser.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import ARRAY, LargeBinary, String, text
from sqlalchemy.dialects.postgresql import JSONB

from api.live import Note, _as_event
from api.screens.instrument_traffic import _Decoder, _rows
from drivers.definition import load_catalog
from lis_core.storage.tables import Base, LineTraffic
from tests.api.conftest import Clinic
from tests.attacks.house import MARK, Stage, faults

PAYLOADS = {"\"'><x-s onx=1>": ("hepsi", "hekim", "yonetici"), "javascript:x-s()//": ("hepsi",)}
"""Each stands at the beginning of every column, and these people look: markup, then what an address would run."""

NUMBERS_AND_CODES = {
    "barkod_kayit", "tetkik_istem.numune_numarasi", "tetkik_numune.barkod", "cihaz.cihaz_kisa_kodu", "cihaz.tanim",
    "kullanici.kullanici_adi", "kullanici.parola", "tetkik.tetkik_kisa_kodu", "oturum", "api_belirteci", "baglanti.protokol",
    "baglanti.baglanti_turu", "yetki_kaydi.yetki", "yetki_kaydi.kapsam_turu", "alembic_version", "ham_mesaj.protokol",
    "ham_mesaj.tanim", "eslesmeyen_sonuc.tur", "tetkik.sonuc_tipi", "baglanti_denemesi.protokol", "tetkik_cihaz_eslesme.numune_turleri",
    "baglanti_denemesi.baglanti_turu", "denetim", "denetim_zinciri", "grup_uyeligi.calisma_gruplari", "bilinen_cihaz",
    "tetkik.numune_turleri", "tup_turu.numune_turu", "barkod_araligi", "hasta.cinsiyet", "tetkik_sonuc.tetkik_sonucu_durumu", "tetkik_cihaz_eslesme.carpan", "baglanti_denemesi.sonuc", "hasta.tc_kimlik_numarasi",
}  # fmt: skip
"""Tables and columns that hold the program's own words, numbers that addresses are made of, or secrets."""


def text_columns() -> Iterator[tuple[str, str, str, int | None]]:
    """Table, column, kind and length of every column of text that people or wires may fill."""
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            named = {table.name, f"{table.name}.{column.name}"}
            if named & NUMBERS_AND_CODES or column.foreign_keys or column.computed or hasattr(column.type, "enum"):
                continue
            for kind, types in KINDS.items():
                if isinstance(column.type, types):
                    yield table.name, column.name, kind, getattr(column.type, "length", None)


KINDS = {"jsonb": JSONB, "bytea": LargeBinary, "array": ARRAY, "text": String}
FILLING = {
    "text": "left(cast(:x as text) || ctid::text, {length})",
    "bytea": "convert_to('H|\\^&\r' || cast(:x as text) || E'\\r', 'UTF8') || {column}",
    "array": "array[cast(:x as text)]",
    "jsonb": "case jsonb_typeof({column}) when 'object' then (select coalesce(jsonb_object_agg(key, case jsonb_typeof("
    "value) when 'string' then to_jsonb(cast(:x as text)) else value end), '{{}}') from jsonb_each({column})) else {column} end",
}


async def filled(clinic: Clinic, payload: str) -> set[str]:
    """Put the payload into every one of them that takes it (no rule of the database knows better); which took it."""
    took: set[str] = set()
    for table, column, kind, length in text_columns():
        value = FILLING[kind].format(column=column, length=length or 4000)
        if kind == "jsonb" and (table, column) not in JSON_OF_PEOPLE:
            continue
        with contextlib.suppress(Exception):  # a check or a key of the database: nobody can fill it so
            async with clinic.by_hand.engine.begin() as connection:
                await connection.exec_driver_sql("set local session_replication_role = replica")
                done = await connection.execute(text(f"update {table} set {column} = {value}"), {"x": payload})
            if done.rowcount:
                took.add(f"{table}.{column}")
    return took


JSON_OF_PEOPLE = {
    ("tetkik_istem", "klinik_bilgi"), ("eslesmeyen_sonuc", "icerik"), ("tetkik_cihaz_eslesme", "metin_ceviri"),
    ("tetkik_sonuc", "cihaz_bilgisi"),
}  # fmt: skip


async def test_stored_text_is_text_on_every_page_for_everybody(stage: Stage) -> None:
    for username in ("hepsi", "hekim", "yonetici"):
        await stage.as_(username)
    shown, wrong = 0, []
    for payload, people in PAYLOADS.items():
        took = await filled(stage.clinic, payload)
        assert took >= SURELY, SURELY - took
        async for username, page, answer in stage.read(people):
            if answer.status_code >= 500:
                wrong.append((username, page, str(answer.status_code)))
            if answer.headers.get("content-type", "").startswith("text/html") and MARK in answer.text:
                shown += 1
                wrong += [(username, page, fault) for fault in faults(answer.text)]
    assert wrong == []
    assert shown > 60, shown


SURELY = {
    "hasta.ad", "tetkik.tetkik_adi", "baglanti.baglanti_adi", "eslesmeyen_sonuc.aciklama", "bildirim.metin",
    "tetkik_sonuc.tetkik_sonucu", "kullanici.ad", "ham_mesaj.icerik", "cihaz.cihaz_adi", "baglanti_olayi.cumle",
    "tetkik_istem.klinik_bilgi", "personel.soyadi", "birim.birim_adi", "yetki_grubu.yetki_grubu_adi",
}  # fmt: skip
"""What is certainly filled, so that a change of the filling is noticed."""


# --- what comes over a wire while somebody looks ---------------------------------------------------------------------


@pytest.mark.parametrize("payload", [*PAYLOADS, "</td></tr><x-s>", '\n\nevent: bayt\ndata: "<x-s>"\n\n'])
def test_live_bytes_of_a_line_are_text_in_the_row_that_a_browser_inserts(payload: str) -> None:
    """Each chunk is one server-sent event; its JSON holds a row in which the bytes are text."""
    definition = load_catalog().get("generic-astm")
    whole = f"H|\\^&|||{payload}\rP|1||{payload}||{payload}\rO|1|{payload}\rR|1|^^^{payload}|{payload}|u\rL|1|N\r"
    for direction, content in (("gelen", whole.encode() + b"\x04"), ("giden", payload.encode())):
        chunk = LineTraffic(id=1, connection_id=1, at=datetime.now(UTC), direction=direction, content=content)
        sent = _rows([chunk], _Decoder(definition), shown=True)
        assert sent.count(b"\n") == 3 and sent.startswith(b"event: bayt\ndata: ") and sent.endswith(b"\n\n")
        row = json.loads(sent.split(b"data: ", 1)[1])
        assert faults(f"<table><tbody>{row}</tbody></table>") == []


def test_a_note_to_screens_is_one_event_whatever_it_says() -> None:
    evil = "x\n\nevent: yetki\ndata: {}\n\n"
    sent = _as_event(Note("line", {"cihaz": evil, "tanim": evil}, (evil,)))
    assert sent.count(b"\n") == 3
    assert json.loads(sent.split(b"data: ", 1)[1])["cihaz"] == evil
