"""Remote gateways and the settings of lines on screen: who may, what is refused, what a technician reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text

from api.edge.centre import _digest
from api.edge.gateway import EdgeSettings
from api.edge.papers import BROKER_RIGHTS, broker_address, settings_file
from drivers.definition import load_catalog
from lis_core.domain.edge import EdgeConfiguration, EdgeLine, EdgeRuns, EdgeStatus
from lis_core.services.gateways import configuration, record_status
from lis_core.storage.database import Database
from lis_core.storage.tables import AuditEntry, Connection, EdgeGateway
from lis_core.views.boards import Health
from lis_core.views.gateways import clock_words, gateway_health
from tests.screens.conftest import Site

NOON = datetime(2026, 11, 22, 9, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "health", "words"),
    [
        ({"active": False}, Health.OFF, "Durdurulmuş"),
        ({"seen_at": None}, Health.WARNING, "Henüz hiç bağlanmadı"),
        ({"seen_at": NOON - timedelta(minutes=5)}, Health.BAD, "Merkeze bağlı değil"),
        ({"problem": "No space left on device"}, Health.BAD, "diskine yazamıyor"),
        ({"clock_ms": -180_000}, Health.WARNING, "3 dk geri"),
        ({"backlog": 4_200}, Health.WARNING, "4200 mesaj geliyor"),
        ({}, Health.GOOD, "Bağlı, çalışıyor."),
    ],
)
def test_the_state_of_a_gateway_is_a_colour_and_a_sentence(
    said: dict[str, object], health: Health, words: str
) -> None:  # fmt: skip
    usual = {"active": True, "seen_at": NOON, "problem": "", "clock_ms": 40, "backlog": 0}
    found, sentence = gateway_health(EdgeGateway(**{**usual, **said}), NOON)
    assert found is health
    assert words in sentence


def test_differences_of_clocks_are_said_in_the_unit_that_matters() -> None:
    assert [clock_words(one) for one in (None, 300, 4_000, -150_000, 10_800_000)] == [
        "bilinmiyor", "fark yok", "4 sn ileri", "2 dk geri", "3 sa ileri",
    ]  # fmt: skip


def test_what_a_gateway_was_told_has_one_name_in_every_process() -> None:
    def told(version: str, *materials: str) -> EdgeConfiguration:
        runs = {7: EdgeRuns("GLU", "GLU", frozenset(materials)), 3: EdgeRuns("K", "K", frozenset(("SERUM",)))}
        line = EdgeLine("a", "seri", "astm", "/dev/ttyS0", "generic-astm", {"hiz": 9600}, 1, "A", True, runs)
        return EdgeConfiguration("ilce", version, [line])

    materials = [f"M{n}" for n in range(40)]
    assert _digest(told("1", *materials)) == _digest(told("2", *reversed(materials)))
    assert _digest(told("1", *materials)) != _digest(told("1", *materials[1:]))


async def test_a_gateway_is_added_given_a_line_stopped_and_started(site: Site, lab: Database) -> None:
    chief = await site.as_("uzman")
    wrong = await chief.post("/cihazlar/gecitler", ad="İlçe Devlet")
    assert wrong.status_code == 422 and "küçük harf" in wrong.text
    added = await chief.post("/cihazlar/gecitler", ad="ilce-devlet", aciklama="İlçe devlet hastanesi")
    assert added.headers["HX-Redirect"].startswith("/cihazlar/gecitler?ac=")
    number = int(added.headers["HX-Redirect"].rpartition("=")[2])
    assert "başka bir ad" in (await chief.post("/cihazlar/gecitler", ad="ilce-devlet")).text
    assert "Henüz hiç bağlanmadı" in (await chief.get("/cihazlar/gecitler")).text

    line = {"eski": "genel", "ad": "genel", "tur": "tcp-sunucu", "adres": "0.0.0.0:5001"}
    assert "yok" in (await chief.post("/cihazlar/genel/hat", **line, gecit="baska")).text
    assert (await chief.post("/cihazlar/genel/hat", **line, gecit="ilce-devlet")).status_code == 200
    same = {"ad": "ikinci", "tur": "tcp-sunucu", "adres": "0.0.0.0:5001"}
    assert (await chief.post("/cihazlar/genel/hat", **same, gecit="")).status_code == 200, "another house, another port"
    assert (
        "genel hattı kullanıyor"
        in (await chief.post("/cihazlar/genel/hat", **same, eski="ikinci", gecit="ilce-devlet")).text
    )
    told = await configuration(lab, "ilce-devlet", {})
    assert [one.name for one in told.lines] == ["genel"]
    page = (await chief.get(f"/cihazlar/gecit/{number}", part=True)).text
    assert "genel" in page and "geçidi merkeze bağlı değil" in page

    refused = await chief.post("/cihazlar/genel/deneme", **line, gecit="ilce-devlet")
    assert "şu anda merkeze bağlı değil" in refused.text

    await record_status(lab, "ilce-devlet", EdgeStatus("1.0", 7, 3, [], untold=2, at=datetime.now(UTC)))
    page = (await chief.get(f"/cihazlar/gecit/{number}", part=True)).text
    assert "Bağlı, çalışıyor." in page and "fark yok" in page and "merkezdeki" in page
    assert "dinlenmesi için" not in page

    stopped = await chief.post(f"/cihazlar/gecit/{number}/durum", calissin="")
    assert "Geçit durduruldu" in stopped.text and "Durdurulmuş" in stopped.text
    assert (await configuration(lab, "ilce-devlet", {}, active=False)).lines == []
    assert "Bağlı" in (await chief.post(f"/cihazlar/gecit/{number}/durum", calissin="1")).text
    async with lab.reading() as session:
        kept = await session.scalars(select(AuditEntry.after).where(AuditEntry.action == "gecit.kaydedildi"))
        assert [entry["aktif"] for entry in kept] == [True, False, True]


async def test_the_papers_of_a_gateway_hold_no_secret_and_are_for_those_who_manage_instruments(
    site: Site, lab: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    chief = await site.as_("uzman")
    number = (await chief.post("/cihazlar/gecitler", ad="ilce-devlet")).headers["HX-Redirect"].rpartition("=")[2]
    for username, allowed in (("uzman", 200), ("teknisyen", 403), ("hekim", 403)):
        visitor = await site.as_(username)
        for path in ("gecit.toml", "sertifika.txt"):
            answer = await visitor.get(f"/cihazlar/gecit/{number}/{path}")
            assert answer.status_code == allowed, (username, path)
    paper = await chief.get(f"/cihazlar/gecit/{number}/gecit.toml")
    assert "attachment" in paper.headers["content-disposition"]
    technician = await site.as_("teknisyen")
    assert "ilce-devlet" in (await technician.get("/cihazlar/gecitler")).text
    assert "openssl" not in (await technician.get(f"/cihazlar/gecit/{number}", part=True)).text
    assert (await technician.post("/cihazlar/gecitler", ad="baska-yer")).status_code == 403


async def test_settings_of_a_machine_are_asked_for_as_its_definition_declares_them(site: Site, lab: Database) -> None:
    chief = await site.as_("uzman")
    await chief.post("/cihazlar/kur", kod="au", ad="AU5800", tanim="beckman-au5800")
    page = (await chief.get("/cihazlar/au/kur")).text
    assert "Numune numarasının genişliği" in page and "6 ayar hâlâ belgedeki varsayılanda" in page

    line = {"ad": "au", "tur": "seri", "adres": "/dev/ttyUSB0"}
    for wrong, words in (
        ({"parametre.kimlik": "yirmi"}, "0 ile 999 arasında"),
        ({"parametre.test": "4"}, "seçenekler: 2, 3"),
        ({"hat.check": "crc"}, "olamaz"),
        ({"hat.pause": "uzun"}, "bir sayı değil"),
    ):
        refused = await chief.post("/cihazlar/au/hat", **line, **wrong)
        assert refused.status_code == 422 and words in refused.text, wrong
    saved = await chief.post(
        "/cihazlar/au/hat", **line, **{"parametre.kimlik": "14", "parametre.test": "3", "hat.check": "xor"}
    )
    assert "4 ayar hâlâ belgedeki varsayılanda" in saved.text
    async with lab.reading() as session:
        row = await session.scalar(select(Connection).where(Connection.name == "au"))
        assert row is not None
        assert row.settings["parametre"] == {"kimlik": 14, "test": 3}
        assert row.settings["hat"] == {"check": "xor"}
    definition = load_catalog().get("beckman-au5800").at_site(row.settings["parametre"])
    assert definition.parameters == {"kimlik": 14, "test": 3}

    changed = await chief.post(
        "/cihazlar/kur", duzenle="1", kod="au", ad="AU5800", tanim="generic-metin", aktif="1"
    )  # fmt: skip
    assert changed.status_code == 200
    async with lab.reading() as session:
        row = await session.scalar(select(Connection).where(Connection.name == "au"))
        assert row is not None and "parametre" not in row.settings and "hat" not in row.settings


async def test_a_watched_folder_is_set_up_with_its_waiting_time_and_file_names(site: Site, lab: Database) -> None:
    chief = await site.as_("uzman")
    await chief.post("/cihazlar/kur", kod="dosya", ad="Dosya bırakan cihaz", tanim="generic-tablo")
    line = {"ad": "dosya", "tur": "klasor", "adres": "/srv/cihaz/sonuclar"}
    for wrong, words in (({"bekleme": "çok"}, "bir sayı değil"), ({"bekleme": "0"}, "arasında"),
                         ({"desenler": "../*"}, "desen")):  # fmt: skip
        refused = await chief.post("/cihazlar/dosya/hat", **line, **wrong)
        assert refused.status_code == 422 and words in refused.text, wrong
    kept = await chief.post("/cihazlar/dosya/hat", **line, bekleme="10", aralik="1", desenler="*.csv *.xlsx")
    assert kept.status_code == 200, kept.text
    async with lab.reading() as session:
        saved = await session.scalar(text("select ayarlar from baglanti where baglanti_adi = 'dosya'"))
    assert saved == {"bekleme": 10.0, "desenler": ["*.csv", "*.xlsx"]}


async def test_the_two_lines_of_a_law_analyser_are_set_up_on_screen_in_one_house(site: Site, lab: Database) -> None:
    chief = await site.as_("uzman")
    await chief.post("/cihazlar/gecitler", ad="ilce-devlet")
    await chief.post("/cihazlar/kur", kod="kim", ad="LAW cihazı", tanim="generic-law")
    asks = {"ad": "kim", "tur": "tcp-sunucu", "adres": "0.0.0.0:5002", "is_hatti": "kim-is", "is_dagitimi": "yayin"}
    assert "önce o hattı ekleyin" in (await chief.post("/cihazlar/kim/hat", **asks)).text
    work = {"ad": "kim-is", "tur": "tcp-istemci", "adres": "10.0.0.22:5003"}
    assert (await chief.post("/cihazlar/kim/hat", **work, gecit="ilce-devlet")).status_code == 200
    assert "aynı geçitte olmalı" in (await chief.post("/cihazlar/kim/hat", **asks)).text
    assert (await chief.post("/cihazlar/kim/hat", **asks, gecit="ilce-devlet")).status_code == 200
    told = await configuration(lab, "ilce-devlet", {})
    assert {line.name: line.settings for line in told.lines} == {
        "kim": {"is_hatti": "kim-is", "is_dagitimi": "yayin"}, "kim-is": {},
    }  # fmt: skip


def test_the_guide_gives_the_broker_the_rights_that_were_tried() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "isletme-kilavuzu.md").read_text(encoding="utf-8")
    assert all(f"   {line}\n" in guide for line in BROKER_RIGHTS.splitlines())


def test_papers_name_the_broker_as_a_gateway_reaches_it_and_never_its_password(tmp_path: Path) -> None:
    paper = settings_file("ilce-devlet", "mqtts://merkez:gizli-parola@araci.ornek:8883")
    assert 'araci = "mqtts://araci.ornek:8883"' in paper and "gizli" not in paper
    assert "dışarıdan ulaşacağı" in broker_address("mqtt://127.0.0.1:1883")[1]
    assert "şifresiz" in broker_address("mqtt://araci.ornek")[1]
    assert "NUMUNE_MQTT_URL" in broker_address(None)[1]
    (tmp_path / "gecit.toml").write_text(paper, encoding="utf-8")
    settings = EdgeSettings.read(tmp_path / "gecit.toml")
    assert settings.name == "ilce-devlet" and settings.broker.key == tmp_path / "ilce-devlet.key"
