"""Instruments over HTTP: who sets them up, what forms refuse, searching messages, definitions by pointing."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from api.app import create_app
from drivers.site import FOLDER
from lis_core.settings import Settings
from lis_core.storage.database import Database
from lis_core.storage.tables import AuditEntry, Connection, Order, OrderedTest, Result, Tube
from tests.screens.conftest import Site
from tests.screens.scenario import busy_morning

ODD = b"H|\\^&|||Acme^X1|||||||P|1|20261122100000\rP|1\rO|1|7|K-1^1001^A3|^^^\rR|1|SEKER^x|F|5.4|mmol/L\rL|1|N\r"


@pytest.fixture
async def workshop(lab: Database, tmp_path: Path) -> Site:
    """The application with a data folder of its own."""
    return Site({}, httpx.ASGITransport(app=create_app(lab, Settings(data_dir=tmp_path)), raise_app_exceptions=False))


async def test_setting_up_is_for_those_who_manage_instruments(site: Site) -> None:
    for username, allowed in (("uzman", 200), ("teknisyen", 403), ("hekim", 403)):
        visitor = await site.as_(username)
        for path in ("/cihazlar/kur", "/cihazlar/genel/kur", "/cihazlar/genel/esleme", "/cihazlar/tanim"):
            assert (await visitor.get(path)).status_code == allowed, (username, path)
    technician = await site.as_("teknisyen")
    for path in ("/cihazlar/mesajlar", "/cihazlar/kodlar", "/cihazlar/tanimlar", "/cihazlar/hat/1"):
        assert (await technician.get(path)).status_code == 200, path


async def test_an_instrument_and_its_line_are_added_and_what_cannot_be_opened_is_refused(
    site: Site, lab: Database
) -> None:
    visitor = await site.as_("uzman")
    wrong = await visitor.post("/cihazlar/kur", kod="Kan 2", ad="2. kan sayım", tanim="sysmex-xn")
    assert wrong.status_code == 422 and "küçük harf" in wrong.text
    assert (await visitor.post("/cihazlar/kur", kod="kan2", ad="Kan", tanim="boyle-model-yok")).status_code == 422
    added = await visitor.post("/cihazlar/kur", kod="kan2", ad="2. kan sayım", tanim="sysmex-xn")
    assert added.headers["HX-Redirect"] == "/cihazlar/kan2/kur?yeni=1"
    assert "başka bir kod" in (await visitor.post("/cihazlar/kur", kod="kan2", ad="x", tanim="sysmex-xn")).text

    line = {"ad": "kan2", "tur": "seri", "adres": "/dev/ttyUSB0", "hiz": "19200", "parite": "E"}
    assert "kan2 hattı kaydedildi" in (await visitor.post("/cihazlar/kan2/hat", **line)).text
    assert "başka bir ad" in (await visitor.post("/cihazlar/kan2/hat", **line)).text
    for change, words in (
        ({"tur": "tcp-sunucu", "adres": "5001"}, "sunucu:port"),
        ({"tur": "tcp-sunucu", "adres": "0.0.0.0:99999"}, "sunucu:port"),
        ({"parite": "X"}, "olamaz"),
        ({"hat.checksum": "belki"}, "olamaz"),
        ({"hat.reply_limit": "uzun"}, "bir sayı değil"),
    ):
        refused = await visitor.post("/cihazlar/kan2/hat", **{**line, "eski": "kan2", **change})
        assert refused.status_code == 422 and words in refused.text, change
    kept = await visitor.post("/cihazlar/kan2/hat", **{**line, "eski": "kan2", "hat.checksum": "optional"})
    assert kept.status_code == 200
    async with lab.reading() as session:
        saved = await session.scalar(select(Connection).where(Connection.name == "kan2"))
        assert saved is not None and saved.protocol == "astm"
        assert saved.settings == {
            "hiz": 19200, "veri": 8, "parite": "E", "dur": 1, "hat": {"checksum": "optional"}
        }  # fmt: skip
    stopped = await visitor.post(f"/cihazlar/hat/{saved.id}/durum", calissin="")
    assert "kapatılıyor" in stopped.text and "Başlat" in stopped.text


async def test_messages_are_found_by_barcode_and_text_and_nobody_else_learns_what_they_hold(
    site: Site, lab: Database
) -> None:
    await busy_morning(lab, 6)
    technician = await site.as_("teknisyen")
    every = await technician.get("/cihazlar/mesajlar")
    ids = re.findall(r'data-row="(\d+)"', every.text)
    assert ids
    async with lab.reading() as session:
        number, tube, message = (
            await session.execute(
                select(Order.number, Tube.barcode, Result.raw_message_id)
                .join(OrderedTest, OrderedTest.order_id == Order.id)
                .join(Result, Result.ordered_test_id == OrderedTest.id)
                .join(Tube, Tube.order_id == Order.id)
                .where(Result.raw_message_id.is_not(None))
                .order_by(Result.id.desc())
                .limit(1)
            )
        ).one()
    for wanted in (number, tube):
        assert f'data-row="{message}"' in (await technician.get(f"/cihazlar/mesajlar?aranan={wanted}")).text
    assert "data-row" not in (await technician.get("/cihazlar/mesajlar?aranan=boyle-bir-sey-yok")).text
    assert (await technician.get("/cihazlar/mesajlar?gun=31.12.2026")).status_code == 422
    assert "data-row" in (await technician.get("/cihazlar/mesajlar?durum=sorunlu")).text


async def test_a_look_at_a_replay_changes_nothing_and_the_replay_says_what_it_did(site: Site, lab: Database) -> None:
    await busy_morning(lab, 6)
    visitor = await site.as_("teknisyen")
    trouble = re.findall(r'data-row="(\d+)"', (await visitor.get("/cihazlar/mesajlar?durum=kismen")).text)
    message = (await visitor.get(f"/cihazlar/mesaj/{trouble[0]}", part=True)).text
    assert "Ne yapmalı" in message
    looked = await visitor.post("/cihazlar/mesajlar/onizle", mesaj=trouble)
    assert "Hiçbir şey değiştirilmedi" in looked.text and "bekler" in looked.text
    assert "yeniden işlendi: 0 sonuç bağlandı" in (await visitor.post("/cihazlar/mesajlar/yeniden", mesaj=trouble)).text


async def test_a_definition_is_pointed_together_published_once_and_never_over_an_old_one(
    workshop: Site, lab: Database, tmp_path: Path
) -> None:
    visitor = await workshop.as_("uzman")

    async def step(page: str, **more: str) -> str:
        hidden = {
            name: html.unescape(found[1])
            for name in ("ornek", "tablo")
            if (found := re.search(rf'name="{name}" value="([^"]*)"', page))
        }
        return (await visitor.post("/cihazlar/tanim", **{**hidden, **more})).text

    sent = await visitor.client.post(
        "/cihazlar/tanim", files={"dosya": ("yakalama.bin", ODD)}, headers={"X-Form-Token": visitor.token}
    )
    page = sent.text
    assert "Böyle okunur" in page and ">F</b>" in page
    for role, place in (("specimen", "O-4.2"), ("test", "R-3.1"), ("value", "R-4"), ("value", "R-5"), ("unit", "R-6")):
        page = await step(page, rol=role, yer=place)
    assert "Değer artık" not in page and "Birim artık R-6 alanından okunuyor" in page
    assert ">5.4</b>" in page and "<td>1001</td>" in page and "Yayımlanamaz" in page
    assert "sonuç kaydında olamaz" in await step(page, rol="specimen", yer="R-2")

    words = {
        "key": "acme-x1",
        "maker": "Acme",
        "model": "X1",
        "source": "yakalama",
        "quirks": "Değer R-5'te.\nBirim R-6'da.",
    }
    page = await step(page, **words)
    assert "Tanım sözleşmeye uyuyor" in page
    hidden = {
        name: html.unescape(re.search(rf'name="{name}" value="([^"]*)"', page)[1])  # type: ignore[index]
        for name in ("ornek", "tablo")
    }
    assert json.loads(hidden["tablo"])["quirks"] == ["Değer R-5'te.", "Birim R-6'da."]
    stolen = await visitor.post("/cihazlar/tanim/yayimla", **{**hidden, "key": "sysmex-xn"})
    assert stolen.status_code == 422 and "hazır bir tanımdır" in stolen.text
    assert "acme-x1/1 yayımlandı" in (await visitor.post("/cihazlar/tanim/yayimla", **hidden)).text
    file = tmp_path / FOLDER / "acme-x1-1.toml"
    before = file.read_bytes()
    again = await visitor.post("/cihazlar/tanim/yayimla", **hidden)
    assert again.status_code == 422 and "yayımlanan sürüm değişmez" in again.text
    assert file.read_bytes() == before and len(list(file.parent.iterdir())) == 1
    assert "acme-x1" in (await visitor.get("/cihazlar/tanimlar")).text
    assert "Birim R-6" in (await visitor.get("/cihazlar/tanim-bilgisi?tanim=acme-x1", part=True)).text
    async with lab.reading() as session:
        told = await session.scalar(select(AuditEntry).where(AuditEntry.action == "yayimla"))
        assert told is not None and told.entity_id == "acme-x1/1"


async def test_what_is_no_capture_or_too_much_of_it_is_refused_in_words(workshop: Site) -> None:
    visitor = await workshop.as_("uzman")

    async def upload(content: bytes) -> httpx.Response:
        return await visitor.client.post(
            "/cihazlar/tanim",
            files={"dosya": ("a.txt", content)},
            headers={"X-Form-Token": visitor.token, "HX-Request": "true"},
        )

    document = await upload(b"%PDF-1.7 some document")
    assert document.status_code == 422 and "beklenen türde değil" in document.text
    assert (await upload(b"x" * (300 * 1024))).status_code == 413
    broken = await visitor.post("/cihazlar/tanim", ornek="%%%", tablo="{}")
    assert broken.status_code == 422
