"""The line to the broker leaves the house: TLS, and a certificate for each gateway."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import trustme

from api.edge.broker import Broker
from api.edge.gateway import EdgeGateway, EdgeSettings
from api.edge.papers import BROKER_RIGHTS
from lis_core.storage.database import Database
from tests.edge.conftest import GATEWAY, CentreHouse, Mosquitto, move_line, until
from tests.gateway.conftest import free_port


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def files(authority: trustme.CA, folder: Path, name: str) -> tuple[Path, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    made = authority.issue_cert("127.0.0.1", "localhost", common_name=name)
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    made.cert_chain_pems[0].write_to_path(certificate)
    made.private_key_pem.write_to_path(key)
    return certificate, key


async def test_a_gateway_shows_its_certificate_and_a_stranger_is_turned_away(
    lab: Database, authority: trustme.CA, tmp_path: Path, line_port: int
) -> None:
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca)
    certificate, key = files(authority, tmp_path / "araci", "araci")
    (tmp_path / "acl").write_text(BROKER_RIGHTS)
    inner = free_port()
    tls = (
        f"cafile {ca}\ncertfile {certificate}\nkeyfile {key}\nrequire_certificate true\nuse_identity_as_username true\n"
    )
    broker = Mosquitto(
        tmp_path / "broker",
        f"{tls}use_username_as_clientid true\nlistener {inner} 127.0.0.1\n{tls}acl_file {tmp_path / 'acl'}\n",
    )
    await broker.start()
    url = broker.url.replace("mqtt:", "mqtts:")
    centre = CentreHouse(
        lab, Broker(f"mqtts://127.0.0.1:{inner}", ca, *files(authority, tmp_path / "m", "merkez")), tmp_path / "merkez"
    )
    await centre.start()
    await move_line(lab)
    page = f"127.0.0.1:{free_port()}"
    good = EdgeGateway(
        EdgeSettings(GATEWAY, Broker(url, ca, *files(authority, tmp_path / "g", GATEWAY)), tmp_path / "gecit", page)
    )
    nameless = EdgeGateway(EdgeSettings(GATEWAY, Broker(url, ca), tmp_path / "adsiz", f"127.0.0.1:{free_port()}"))
    other = trustme.CA()
    forged = EdgeGateway(
        EdgeSettings(
            GATEWAY, Broker(url, ca, *files(other, tmp_path / "s", GATEWAY)), tmp_path / "sahte",
            f"127.0.0.1:{free_port()}",
        )
    )  # fmt: skip
    neighbour = EdgeGateway(
        EdgeSettings(
            GATEWAY, Broker(url, ca, *files(authority, tmp_path / "k", "komsu-gecit")), tmp_path / "komsu",
            f"127.0.0.1:{free_port()}",
        )
    )  # fmt: skip
    started = [good, nameless, forged, neighbour]
    try:
        for one in started:
            await one.start()
        await until(lambda: "genel" in good.gateway.lines)
        await until(lambda: good.link.connected)
        await until(lambda: "ulaşılamıyor" in nameless.link.problem)
        await until(lambda: "ulaşılamıyor" in forged.link.problem)
        assert not nameless.link.connected
        assert not forged.link.connected
        # A gateway that uses another's name with its own certificate hears nothing that is not its own.
        await until(lambda: neighbour.link.connected or bool(neighbour.link.problem))
        assert neighbour.store.configuration is None
        # Nor does it throw the other out: the broker takes the name from the certificate.
        await until(lambda: good.link.connected)
        for _ in range(20):
            await asyncio.sleep(0.05)
            assert good.link.connected
    finally:
        for one in started:
            await one.stop()
        await centre.stop()
        broker.stop()
