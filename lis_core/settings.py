"""Settings from the environment and, where one is named, a TOML file. Read once, at the start."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

ISTANBUL = ZoneInfo("Europe/Istanbul")
"""Zone of everything shown, and of instrument clocks that name none."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator chose; see `design contract: Environment`."""

    database_url: str | None = None
    """A PostgreSQL URL; None = the embedded server under `data_dir`."""
    owner_url: str | None = None
    """The same database for the schema's owner (migrations, backups); None = `database_url`."""
    audit_url: str | None = None
    """The same database for the role that verifies the audit; None = `database_url`."""
    data_dir: Path = Path("data")
    http_host: str = "127.0.0.1"
    http_port: int = 8000
    http_certificate: Path | None = None
    """TLS of the web port; None = plain, which is only allowed on this machine or behind a named proxy."""
    http_key: Path | None = None
    http_proxies: tuple[str, ...] = ()
    """Proxies before the web port: they do the TLS, and their word on the client's address is believed."""
    mqtt_url: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    demo_password: str | None = None
    demo_port_base: int = 4000

    @classmethod
    def from_environment(cls, environ: dict[str, str] | None = None) -> Settings:
        """Raises ValueError with a clear sentence for a value that cannot be read."""
        env = dict(os.environ if environ is None else environ)
        host, _, port = env.get("NUMUNE_HTTP", "127.0.0.1:8000").rpartition(":")
        try:
            http_port = int(port)
            demo_base = int(env.get("NUMUNE_DEMO_PORT_BASE", "4000"))
        except ValueError as error:
            raise ValueError(f"NUMUNE_HTTP ve NUMUNE_DEMO_PORT_BASE sayı olmalıdır: {error}") from error
        config: dict[str, Any] = {}
        if file := env.get("NUMUNE_CONFIG"):
            config = tomllib.loads(Path(file).read_text(encoding="utf-8"))
        return cls(
            database_url=env.get("NUMUNE_DATABASE_URL") or None,
            owner_url=env.get("NUMUNE_DATABASE_OWNER_URL") or None,
            audit_url=env.get("NUMUNE_DATABASE_AUDIT_URL") or None,
            data_dir=Path(env.get("NUMUNE_DATA_DIR") or "data").resolve(),
            http_host=host or "127.0.0.1",
            http_port=http_port,
            http_certificate=Path(file) if (file := env.get("NUMUNE_HTTP_CERTIFICATE")) else None,
            http_key=Path(file) if (file := env.get("NUMUNE_HTTP_KEY")) else None,
            http_proxies=tuple(word.strip() for word in env.get("NUMUNE_HTTP_PROXY", "").split(",") if word.strip()),
            mqtt_url=env.get("NUMUNE_MQTT_URL") or None,
            config=config,
            demo_password=env.get("NUMUNE_DEMO_PASSWORD") or None,
            demo_port_base=demo_base,
        )
