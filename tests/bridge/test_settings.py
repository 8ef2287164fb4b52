"""Settings of the hospital's line: the database's row, and the operator's file over it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hbys_bridge.app import start_bridge
from hbys_bridge.settings import BridgeSettings, load_settings, read_settings
from lis_core.settings import Settings
from lis_core.storage.database import Database
from lis_core.storage.tables import Parameter
from tests.bridge import kit
from tests.services import steps

FILE = """
[hbys]
dinle = "0.0.0.0:6661"
cevap_saniye = 5
islem_turleri = ["P", "T"]

[hbys.hastaneler."HBYS|PERTEK"]
sonuc_adresi = "10.1.2.4:6661"
numara_on_eki = "PERTEK/"
"""


async def test_the_file_goes_over_the_database(lab: Database, tmp_path: Path) -> None:
    async with lab.work(await steps.user(lab, "yonetici")) as work:
        work.session.add(Parameter(name="hbys", value={"sonuc_adresi": "10.1.2.3:6661", "cevap_saniye": 20}))
    config = tmp_path / "numune.toml"
    config.write_text(FILE, encoding="utf-8")
    chosen = await load_settings(lab, Settings.from_environment({"NUMUNE_CONFIG": str(config)}))

    assert chosen.listen == "0.0.0.0:6661"
    assert (chosen.results, chosen.answer_seconds) == ("10.1.2.3:6661", 5.0)
    assert chosen.processing == {"P", "T"}
    assert chosen.of("HBYS|PERTEK").prefix == "PERTEK/"
    assert chosen.of("HBYS|OVACIK").results == "10.1.2.3:6661"
    assert chosen.addresses == {"10.1.2.3:6661", "10.1.2.4:6661"}


async def test_the_port_follows_the_port_base(lab: Database) -> None:
    chosen = await load_settings(lab, Settings.from_environment({"NUMUNE_DEMO_PORT_BASE": "14000"}))
    assert chosen.listen == "127.0.0.1:14076"
    assert chosen.results == ""  # results go back on the hospital's own connection


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"dinel": "x"}, "bilinmeyen ayar: dinel"),
        ({"cevap_saniye": "çok"}, "okunamayan"),
        ({"hastaneler": {"A|B": {"adres": "x"}}}, "bilinmeyen ayar: adres"),
    ],
)
def test_a_mistyped_setting_is_named(table: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_settings(BridgeSettings(), table)


async def test_a_port_that_is_taken_is_tried_again(lab: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second process stands by; when the first ends, the hospital finds the second."""
    import asyncio

    from hbys_bridge.hl7 import inbound

    monkeypatch.setattr(inbound, "AGAIN_SECONDS", 0.05)
    first = await start_bridge(lab, BridgeSettings(listen="127.0.0.1:0"))
    second = await start_bridge(lab, replace(first.settings, listen=f"127.0.0.1:{first.port}"))
    port = first.port
    assert any(str(port) in words for words in await kit.notices(lab))
    await first.stop()
    try:
        async with asyncio.timeout(5):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    break
    finally:
        await second.stop()
