"""Writing what a batch decided: COPY for new rows, one statement for the states."""

from __future__ import annotations

from typing import Any

import psycopg

from lis_core.services.ingest_rows import BatchRows
from lis_core.services.sql import copy_rows
from lis_core.storage.database import Work


class StaleBatch(Exception):
    """Somebody else moved an ordered test while this batch was decided: read again and decide again."""


async def next_ids(raw: psycopg.AsyncConnection[Any], table: str, count: int) -> list[int]:
    """The next `count` ids of a table."""
    if not count:
        return []
    sequence = f"{table}_{table}_kodu_seq"
    cursor = await raw.execute("select nextval(%s) from generate_series(1, %s)", [sequence, count])
    return [number for (number,) in await cursor.fetchall()]


_RESULT_COLUMNS = (
    "tetkik_sonuc_kodu, istem_tetkik_kodu, kosu_no, tetkik_numune_kodu, cihaz_kodu, ham_mesaj_kodu, kayit_sirasi, "
    "olcum_anahtari, cihaz_test_kodu, cihaz_tetkik_sonucu, cihaz_birimi, tetkik_sonucu, sayisal_sonuc, "
    "tetkik_sonucu_birimi, tetkik_sonucu_durumu, tetkik_sonucu_referans_degeri, tetkik_referans_aralik_kodu, "
    "cihaz_bayraklari, tetkik_sonuc_aciklama, kararlar, calisma_bitis_zamani, sonuc_zamani, raf, pozisyon, "
    "tekrar_no, operator, reaktif_lot"
)
_UNMATCHED_COLUMNS = "ham_mesaj_kodu, cihaz_kodu, olcum_anahtari, neden, aciklama, icerik, alinma_zamani"
_CONTROL_COLUMNS = (
    "ham_mesaj_kodu, cihaz_kodu, olcum_anahtari, kontrol_numarasi, tetkik_kodu, cihaz_test_kodu, deger, "
    "sayisal_deger, birim, lot, olcum_zamani, alinma_zamani"
)
_CUSTODY_COLUMNS = "tetkik_numune_kodu, islem, islem_zamani, cihaz_kodu, raf, pozisyon"
_MOVE = """
update istem_tetkik as t
set tetkik_durumu = 'sonuclandi', durum_zamani = now(), surum = t.surum + 1, kosu_sayisi = v.kosu,
    tetkik_sonuc_kodu = v.sonuc, istenen_cihaz_kodu = null, calisan_cihaz_kodu = null,
    calisma_baslama_zamani = null
from unnest(%s::bigint[], %s::int[], %s::int[], %s::bigint[]) as v(kodu, surum, kosu, sonuc)
where t.istem_tetkik_kodu = v.kodu and t.surum = v.surum
"""


async def write_results(work: Work, raw: psycopg.AsyncConnection[Any], rows: BatchRows) -> None:
    """Results, what waits, controls, custody, states, panic promises.

    Raises StaleBatch where an ordered test moved since it was read.
    """
    # The states first: the rows are then ours, and the key checks of the results find them locked already.
    moved = sorted(rows.moved.values(), key=lambda ordered: ordered.id)  # one order for every writer: no deadlock
    if moved:
        cursor = await raw.execute(
            _MOVE,
            [
                [ordered.id for ordered in moved],
                [ordered.version for ordered in moved],
                [ordered.runs for ordered in moved],
                [ordered.result_id for ordered in moved],
            ],
        )
        if cursor.rowcount != len(moved):
            raise StaleBatch
    await copy_rows(raw, "tetkik_sonuc", _RESULT_COLUMNS, rows.results)
    await copy_rows(raw, "eslesmeyen_sonuc", _UNMATCHED_COLUMNS, rows.unmatched)
    await copy_rows(raw, "kk_olcum", _CONTROL_COLUMNS, rows.controls)
    await copy_rows(raw, "numune_hareket", _CUSTODY_COLUMNS, list(rows.custody.values()))
    for panic in rows.panic:
        work.later("panik.bildirim", panic, panic["istem"])
