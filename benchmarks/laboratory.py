"""A laboratory under load: thousands of synthetic orders made with a few statements."""

from __future__ import annotations

import psycopg

from lis_core.domain.identity import synthetic_tc

PANEL = "CBC"


def add_lines(url: str, ports: list[int]) -> None:
    """A line for each analyser of the load, all of the demonstration's general instrument."""
    with psycopg.connect(url, autocommit=True) as connection:
        for port in ports:
            connection.execute(
                "insert into baglanti (baglanti_adi, cihaz_kodu, baglanti_turu, protokol, adres, ayarlar) "
                "select %s, cihaz_kodu, baglanti_turu, protokol, %s, ayarlar from baglanti "
                "where baglanti_adi = 'genel'",
                (f"yuk-{port}", f"127.0.0.1:{port}"),
            )


def place_orders(url: str, count: int, *, first: int = 40_000_000) -> list[str]:
    """`count` received CBC orders, numbers `first`, `first + 1`, ...; returns the numbers. Needs the demonstration
    catalogue."""
    with psycopg.connect(url) as connection:
        patients = [
            connection.execute(
                "insert into hasta (tc_kimlik_numarasi, ad, soyadi, dogum_tarihi, cinsiyet) "
                "values (%s, 'Yük', 'Deneme', '1980-02-14', %s) "
                "on conflict (tc_kimlik_numarasi) do update set ad = excluded.ad returning hasta_kodu",
                (synthetic_tc(800_000 + n), "FM"[n % 2]),
            ).fetchone()[0]  # type: ignore[index]
            for n in range(50)
        ]
        connection.execute(
            "insert into tetkik_istem (numune_numarasi, hasta_kodu, aciliyet, istem_zamani) "
            "select (%(first)s + n)::text, (%(patients)s::bigint[])[1 + n %% 50], 'rutin', now() "
            "from generate_series(0, %(count)s - 1) n",
            {"first": first, "patients": patients, "count": count},
        )
        numbers = [str(first + n) for n in range(count)]
        connection.execute(
            "insert into tetkik_numune (tetkik_istem_kodu, barkod, tup_kodu, numune_turu, numune_durumu, "
            "numune_kabul_zamani) select tetkik_istem_kodu, numune_numarasi || '02', '02', 'EDTA', 'kabul', now() "
            "from tetkik_istem where numune_numarasi = any(%s)",
            (numbers,),
        )
        connection.execute(
            "insert into barkod_kayit (barkod, tetkik_istem_kodu, tetkik_numune_kodu) "
            "select numune_numarasi, tetkik_istem_kodu, null from tetkik_istem where numune_numarasi = any(%(n)s) "
            "union all select barkod, tetkik_istem_kodu, tetkik_numune_kodu from tetkik_numune "
            "join tetkik_istem using (tetkik_istem_kodu) where numune_numarasi = any(%(n)s)",
            {"n": numbers},
        )
        connection.execute(
            "insert into istem_tetkik (tetkik_istem_kodu, tetkik_kodu, panel_kodu, tetkik_numune_kodu, calisma_grubu, "
            "tetkik_durumu, durum_zamani) "
            "select i.tetkik_istem_kodu, u.tetkik_kodu, u.panel_kodu, n.tetkik_numune_kodu, t.calisma_grubu, "
            "'kabul', now() "
            "from tetkik_istem i join tetkik_numune n using (tetkik_istem_kodu) "
            "cross join panel_uyesi u join tetkik t on t.tetkik_kodu = u.tetkik_kodu "
            "join tetkik p on p.tetkik_kodu = u.panel_kodu and p.tetkik_kisa_kodu = %s "
            "where i.numune_numarasi = any(%s)",
            (PANEL, numbers),
        )
        connection.commit()
        connection.autocommit = True
        connection.execute("analyze")
    return numbers
