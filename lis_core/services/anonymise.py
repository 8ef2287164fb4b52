"""An anonymised copy of a laboratory for tests and statistics: same shape, same values, nobody in it.

Every column that goes over is named here with what becomes of it; a column that is not named stays behind. People get
invented names and valid invented numbers; ids, order numbers, barcodes and keys are new; all times of one patient are
shifted by the same random amount, so that intervals and ages stay; free text is dropped. A text result goes over only
where at least `COMMON` results of that test say the same.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psycopg

from lis_core.domain.identity import synthetic_tc

COMMON = 5
"""Results of one test that must say the same text, so that the text tells of nobody."""

SHIFT_DAYS = 365

GIVEN = {
    "F": ("Ada", "Bahar", "Çiğdem", "Damla", "Esin", "Filiz", "Gonca", "Irmak", "İpek", "Jale", "Lale", "Nehir"),
    "M": ("Alp", "Batu", "Cenk", "Demir", "Ege", "Ferit", "Gökhan", "Ilgaz", "İlker", "Kuzey", "Mert", "Oğuz"),
}
FAMILY = (
    "Akça",
    "Boztepe",
    "Çınar",
    "Doruk",
    "Elmas",
    "Fidan",
    "Göksu",
    "Irmaklı",
    "İncesu",
    "Kaya",
    "Ormanlı",
    "Şimşek",
)

Random = secrets.SystemRandom


@dataclass(frozen=True, slots=True)
class Copied:
    """A table that goes over: what becomes of each column, as SQL over `t` and the maps; and the joins it needs."""

    columns: Mapping[str, str]
    joins: str = ""


def _same(*names: str) -> dict[str, str]:
    return {name: f"t.{name}" for name in names}


def _shifted(*names: str) -> dict[str, str]:
    return {name: f"t.{name} + h.kayma" for name in names}


_OF_ORDER = "join m_istem i on i.eski = t.tetkik_istem_kodu join m_hasta h on h.eski = i.hasta"
_TEXT = (
    "case when t.sayisal_sonuc is not null or exists (select from m_metin y where y.tetkik = k.tetkik_kodu "
    "and y.metin = t.{column}) then t.{column} else '(metin)' end"
)

TABLES: dict[str, Copied] = {
    "numune_turu": Copied(_same("numune_turu", "numune_turu_adi", "hl7_kodu")),
    "tup_turu": Copied(_same("tup_kodu", "tup_adi", "numune_turu", "kapak_rengi")),
    "calisma_grubu": Copied(_same("calisma_grubu", "calisma_grubu_adi", "sira")),
    "kurum": Copied(
        {
            **_same("kurum_kodu", "aktiflik_bilgisi"),
            "skrs_kurum_kodu": "'K' || t.kurum_kodu",
            "kurum_adi": "'Kurum ' || t.kurum_kodu",
        }
    ),
    "birim": Copied(
        {
            **_same("birim_kodu", "kurum_kodu", "birim_turu", "aktiflik_bilgisi"),
            "birim_kisa_kodu": "'B' || t.birim_kodu",
            "birim_adi": "'Birim ' || t.birim_kodu",
        }
    ),
    "tetkik": Copied({}),
    "panel_uyesi": Copied({}),
    "tetkik_referans_aralik": Copied({}),
    "cihaz": Copied({}),
    "personel": Copied(
        {
            "personel_kodu": "m.yeni",
            "personel_sicil_numarasi": "'P-' || m.yeni",
            "ad": "'Hekim'",
            "soyadi": "'No ' || m.yeni",
            "calistigi_birim_kodu": "t.calistigi_birim_kodu",
            "aktiflik_bilgisi": "t.aktiflik_bilgisi",
        },
        "join m_personel m on m.eski = t.personel_kodu",
    ),
    "kullanici": Copied(
        {
            "kullanici_kodu": "m.yeni",
            "kullanici_adi": "'kullanici-' || m.yeni",
            "ad": "'Kullanıcı'",
            "soyadi": "'No ' || m.yeni",
            "parola": "'!'",
            "aktiflik_bilgisi": "false",
        },
        "join m_kullanici m on m.eski = t.kullanici_kodu",
    ),
    "hasta": Copied(
        {
            "hasta_kodu": "h.yeni",
            "tc_kimlik_numarasi": "h.tc",
            "ad": "h.ad",
            "soyadi": "h.soyadi",
            "dogum_tarihi": "(t.dogum_tarihi + h.kayma)::date",
            "cinsiyet": "t.cinsiyet",
            "birlestigi_hasta_kodu": "b.yeni",
            **_shifted("kayit_zamani"),
        },
        "join m_hasta h on h.eski = t.hasta_kodu left join m_hasta b on b.eski = t.birlestigi_hasta_kodu",
    ),
    "tetkik_istem": Copied(
        {
            "tetkik_istem_kodu": "i.yeni",
            "numune_numarasi": "i.numara",
            "hasta_kodu": "h.yeni",
            "isteyen_hekim_kodu": "p.yeni",
            **_same("birim_kodu", "aciliyet", "kaynak"),
            "klinik_bilgi": "(select coalesce(jsonb_object_agg(key, value), '{}') from jsonb_each(t.klinik_bilgi) "
            "where jsonb_typeof(value) = 'boolean')",
            **_shifted("istem_zamani", "kayit_zamani"),
        },
        f"{_OF_ORDER} left join m_personel p on p.eski = t.isteyen_hekim_kodu",
    ),
    "tetkik_numune": Copied(
        {
            "tetkik_numune_kodu": "n.yeni",
            "tetkik_istem_kodu": "i.yeni",
            "barkod": "n.barkod",
            **_same("tup_kodu", "numune_turu", "numune_durumu"),
            "ana_numune_kodu": "a.yeni",
            **_shifted("numune_alma_zamani", "numune_kabul_zamani", "kayit_zamani"),
        },
        f"{_OF_ORDER} join m_numune n on n.eski = t.tetkik_numune_kodu "
        "left join m_numune a on a.eski = t.ana_numune_kodu",
    ),
    "barkod_kayit": Copied(
        {
            "barkod": "case when n.yeni is null then i.numara else n.barkod end",
            "tetkik_istem_kodu": "i.yeni",
            "tetkik_numune_kodu": "n.yeni",
        },
        f"{_OF_ORDER} left join m_numune n on n.eski = t.tetkik_numune_kodu",
    ),
    "istem_tetkik": Copied(
        {
            "istem_tetkik_kodu": "m.yeni",
            "tetkik_istem_kodu": "i.yeni",
            "tetkik_numune_kodu": "n.yeni",
            "tetkik_sonuc_kodu": "s.yeni",
            **_same(
                "tetkik_kodu", "panel_kodu", "calisma_grubu", "zaman_noktasi", "tetkik_durumu", "surum", "kosu_sayisi"
            ),
            **_shifted("durum_zamani"),
        },
        f"{_OF_ORDER} join m_tetkik m on m.eski = t.istem_tetkik_kodu "
        "left join m_numune n on n.eski = t.tetkik_numune_kodu left join m_sonuc s on s.eski = t.tetkik_sonuc_kodu",
    ),
    "tetkik_sonuc": Copied(
        {
            "tetkik_sonuc_kodu": "s.yeni",
            "istem_tetkik_kodu": "m.yeni",
            "tetkik_numune_kodu": "n.yeni",
            "olcum_anahtari": "sha256((s.yeni || gen_random_uuid()::text)::bytea)",
            "cihaz_tetkik_sonucu": _TEXT.format(column="tetkik_sonucu"),
            "tetkik_sonucu": _TEXT.format(column="tetkik_sonucu"),
            **_same(
                "kosu_no", "cihaz_kodu", "cihaz_test_kodu", "cihaz_birimi", "sayisal_sonuc", "tetkik_sonucu_birimi"
            ),
            **_same(
                "tetkik_sonucu_durumu", "tetkik_sonucu_referans_degeri", "tetkik_referans_aralik_kodu", "tekrar_no"
            ),
            "cihaz_bayraklari": "t.cihaz_bayraklari",
            **_shifted("calisma_bitis_zamani", "sonuc_zamani"),
        },
        "join m_sonuc s on s.eski = t.tetkik_sonuc_kodu "
        "join istem_tetkik k on k.istem_tetkik_kodu = t.istem_tetkik_kodu "
        "join m_tetkik m on m.eski = t.istem_tetkik_kodu join m_istem i on i.eski = k.tetkik_istem_kodu "
        "join m_hasta h on h.eski = i.hasta left join m_numune n on n.eski = t.tetkik_numune_kodu",
    ),
    "onay": Copied(
        {
            "istem_tetkik_kodu": "m.yeni",
            "tetkik_sonuc_kodu": "s.yeni",
            "kullanici_kodu": "u.yeni",
            **_same("onay_turu", "surum"),
            **_shifted("onay_zamani"),
        },
        "join m_sonuc s on s.eski = t.tetkik_sonuc_kodu "
        "join istem_tetkik k on k.istem_tetkik_kodu = t.istem_tetkik_kodu "
        "join m_tetkik m on m.eski = t.istem_tetkik_kodu join m_istem i on i.eski = k.tetkik_istem_kodu "
        "join m_hasta h on h.eski = i.hasta join m_kullanici u on u.eski = t.kullanici_kodu",
    ),
    "numune_hareket": Copied(
        {
            "tetkik_numune_kodu": "n.yeni",
            "islem": "t.islem",
            "kullanici_kodu": "u.yeni",
            "cihaz_kodu": "t.cihaz_kodu",
            "kaynak": "'kopya'",
            **_shifted("islem_zamani"),
        },
        "join m_numune n on n.eski = t.tetkik_numune_kodu join m_istem i on i.eski = n.istem "
        "join m_hasta h on h.eski = i.hasta left join m_kullanici u on u.eski = t.kullanici_kodu",
    ),
}

CATALOGUE: dict[str, frozenset[str]] = {
    "tetkik": frozenset({"pasif_nedeni"}),
    "panel_uyesi": frozenset(),
    "tetkik_referans_aralik": frozenset({"onaylayan"}),
    "cihaz": frozenset({"seri_numarasi", "hizmet_notu", "ayarlar"}),
}
"""Definitions go over with all their columns but these; they are the laboratory's, not a person's."""

NEVER = frozenset({"ham_mesaj", "hbys_mesaj", "eslesmeyen_sonuc", "denetim", "oturum", "giden_kutusu", "bildirim"})
"""Tables that hold texts of others; named so that nobody adds them by the way."""


def anonymised_copy(source_url: str, target_url: str) -> dict[str, int]:
    """Copy into a migrated database without orders; rows by table. The source is read in one snapshot and not changed.

    Raises ValueError where the target holds orders or patients already.
    """
    with psycopg.connect(source_url) as source, psycopg.connect(target_url) as target:
        if target.execute("select exists (select from tetkik_istem) or exists (select from hasta)").fetchone() != (
            False,
        ):
            raise ValueError("Hedef veritabanı boş değil; anonim kopya yalnız boş bir veritabanına yazılır.")
        source.execute("set transaction isolation level repeatable read")
        _maps(source)
        counts = {}
        for table, copied in TABLES.items():
            columns = _columns(source, table, copied)
            target.execute(f"alter table {table} disable trigger user")
            counts[table] = _copy(source, target, table, columns, copied.joins)
            target.execute(f"alter table {table} enable trigger user")
        _sequences(target)
        target.commit()
        source.rollback()  # the maps between old and new go with it
    return counts


def _columns(source: psycopg.Connection, table: str, copied: Copied) -> Mapping[str, str]:
    if table not in CATALOGUE:
        return copied.columns
    names = source.execute(
        "select column_name from information_schema.columns where table_schema = 'public' and table_name = %s", (table,)
    ).fetchall()
    return _same(*(name for (name,) in names if name not in CATALOGUE[table]))


def _copy(
    source: psycopg.Connection, target: psycopg.Connection, table: str, columns: Mapping[str, str], joins: str
) -> int:
    question = f"copy (select {', '.join(columns.values())} from {table} t {joins}) to stdout (format binary)"
    into = f"copy {table} ({', '.join(columns)}) from stdin (format binary)"
    with source.cursor() as reading, target.cursor() as writing:
        with reading.copy(question) as out, writing.copy(into) as copy:
            for part in out:
                copy.write(part)
        return writing.rowcount


def _maps(source: psycopg.Connection) -> None:
    """Old and new of everything that names somebody, in tables that end with the transaction."""
    source.execute(
        "create temp table m_hasta "
        "(eski bigint primary key, yeni bigint, tc text, ad text, soyadi text, kayma interval) "
        "on commit drop"
    )
    with source.cursor() as cursor:
        people = source.execute("select hasta_kodu, cinsiyet, tc_kimlik_numarasi from hasta").fetchall()
        with cursor.copy("copy m_hasta from stdin") as copy:
            for row in _invented(people):
                copy.write_row(row)
    _shuffled(source, "m_personel", "personel", "personel_kodu")
    _shuffled(source, "m_kullanici", "kullanici", "kullanici_kodu")
    _shuffled(source, "m_tetkik", "istem_tetkik", "istem_tetkik_kodu")
    _shuffled(source, "m_sonuc", "tetkik_sonuc", "tetkik_sonuc_kodu")
    source.execute(
        "create temp table m_istem on commit drop as select tetkik_istem_kodu as eski, hasta_kodu as hasta, "
        "row_number() over w as yeni, (90000000 + row_number() over w)::text as numara from tetkik_istem "
        "window w as (order by gen_random_uuid())"
    )
    source.execute(
        "create temp table m_numune on commit drop as "
        "select n.tetkik_numune_kodu as eski, n.tetkik_istem_kodu as istem, "
        "row_number() over (order by gen_random_uuid()) as yeni, i.numara || "
        "lpad(row_number() over (partition by n.tetkik_istem_kodu order by n.tetkik_numune_kodu)::text, 2, '0') "
        "as barkod "
        "from tetkik_numune n join m_istem i on i.eski = n.tetkik_istem_kodu"
    )
    source.execute(
        "create temp table m_metin on commit drop as select t.tetkik_kodu as tetkik, s.tetkik_sonucu as metin "
        "from tetkik_sonuc s join istem_tetkik t using (istem_tetkik_kodu) where s.sayisal_sonuc is null "
        "group by 1, 2 having count(*) >= %s",
        (COMMON,),
    )
    for table in ("m_hasta", "m_istem", "m_numune", "m_tetkik", "m_sonuc"):
        if table != "m_hasta":
            source.execute(f"create index on {table} (eski)")
        source.execute(f"analyze {table}")


def _shuffled(source: psycopg.Connection, name: str, table: str, key: str) -> None:
    """New numbers in an order that says nothing of the old one."""
    source.execute(
        f"create temp table {name} on commit drop as select {key} as eski, "
        f"row_number() over (order by gen_random_uuid()) as yeni from {table}"
    )


def _invented(people: list[tuple[int, str | None, str | None]]) -> Iterator[tuple[int, int, str | None, str, str, str]]:
    """A new person for each: number, name, shift. A number that the source knows is never given."""
    random = Random()
    known = {tc for _, _, tc in people}
    places = list(range(1, len(people) + 1))
    random.shuffle(places)
    numbers = iter(range(1_000_000))
    for (old, sex, tc), new in zip(people, places, strict=True):
        given = random.choice(GIVEN.get(sex or "", GIVEN["F"] + GIVEN["M"]))
        invented = _unused(numbers, known) if tc else None
        days = random.randint(1, SHIFT_DAYS) * random.choice((-1, 1))
        shift = f"{days} days {random.randint(0, 86_399)} seconds"
        yield old, new, invented, given, f"{random.choice(FAMILY)} {new}", shift


def _unused(numbers: Iterator[int], known: set[str | None]) -> str | None:
    """The next valid invented number that is nobody's; None where the block is used up."""
    for n in numbers:
        if (number := synthetic_tc(n)) not in known:
            return number
    return None


_IDENTITIES = (
    "select quote_ident(table_name), quote_ident(column_name), "
    "pg_get_serial_sequence(quote_ident(table_name), column_name) "
    "from information_schema.columns where table_schema = 'public' and is_identity = 'YES'"
)


def _sequences(target: psycopg.Connection) -> None:
    """New rows of the copy come after those that were copied."""
    for table, column, sequence in target.execute(_IDENTITIES).fetchall():
        if table in TABLES:
            target.execute(f"select setval('{sequence}', (select coalesce(max({column}), 0) + 1 from {table}), false)")
