"""From the bedside to the record: real socket, real spool, real database."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.datastructures import FormData

from api.screens.line_form import line_of, options_of, parameters_of
from drivers.definition import Catalog, load_catalog
from drivers.gateway.line import LineSpec
from drivers.wire_words import seen, words_of
from lis_core.domain.errors import NumuneError
from lis_core.storage.database import Database
from simulators.analyser import Timing, build_analyser
from simulators.cable import tcp_client
from tests.gateway.conftest import House
from tests.poct1a.kit import hello, result
from tests.services import steps


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


async def test_a_glucose_at_the_bedside_is_a_result_and_the_control_is_not(
    lab: Database, tmp_path: Path, catalog: Catalog
) -> None:
    """Measured, sent twice because the answer was lost, stored once; a number that nobody knows waits for a person."""
    placed = await steps.order(lab, ["GLU"])
    house = House(lab, tmp_path / "spool", catalog)
    address = f"127.0.0.1:{house.port}"
    await house.start(LineSpec("genel", "tcp-sunucu", "poct1a", address, "generic-poct1a", {"ikinci": "birlikte"}))
    timing = Timing.hurried(reply=1.0)
    async with build_analyser("generic-poct1a", tcp_client("127.0.0.1", house.port), timing=timing) as meter:
        meter.lost_ack()
        await meter.reports(placed.number, {"GLU": ("104", "mg/dL", "H")})
        await meter.reports_qc("HB-QC", {"GLU": ("98", "mg/dL")}, lot="Q26A")
        await meter.reports("99999999", {"GLU": ("90", "mg/dL")})
        await meter.disconnect()
    await house.settled()

    assert await house.rows("select cihaz_tetkik_sonucu, tetkik_sonucu, tetkik_sonucu_durumu from tetkik_sonuc") == [
        ("104", "104", "Y")
    ]
    assert await house.rows("select kontrol_numarasi, lot, deger from kk_olcum") == [("HB-QC", "Q26A", "98")]
    assert await house.rows("select neden from eslesmeyen_sonuc") == [("numune_yok",)]
    protocols = await house.rows("select distinct protokol, tanim from ham_mesaj")
    assert protocols == [("poct1a", "generic-poct1a")]
    await house.stop()


# ---- how such a line is set up


def test_a_line_is_set_up_by_its_form(catalog: Catalog) -> None:
    definition = catalog.get("generic-poct1a")
    form = {"tur": "tcp-sunucu", "adres": "0.0.0.0:5050", "parametre.barkod": "PT", "hat.continuous": "false"}

    _, address, settings = line_of(FormData({**form, "hat.patients": "true", "hat.keep_alive": "300"}), definition)
    assert address == "0.0.0.0:5050" and settings == {
        "hat": {"continuous": False, "patients": True, "keep_alive": 300.0},
        "parametre": {"barkod": "PT"},
    }
    assert [one.name for one in parameters_of(definition, {})] == ["barkod"]
    assert {one.name for one in options_of(definition)} >= {"framing", "set_time", "ack_end_of_topic"}
    for wrong in ({"hat.max_message": "5"}, {"hat.framing": "stx"}, {"parametre.barkod": "PX"}):
        with pytest.raises(NumuneError):
            line_of(FormData({**form, **wrong}), definition)


def test_a_line_under_trial_says_what_it_hears() -> None:
    assert seen(hello(), "poct1a", "tcp-sunucu")[0] == "iyi"
    assert "POCT1A görünüyor" in seen(hello(), "astm", "tcp-sunucu")[1]
    assert words_of(hello() + result(3)) == ["HEL.R01 belgesi", "OBS.R01 belgesi"]
