"""Schema up to date: Alembic, driven from the program."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config

from lis_core.storage.database import as_psycopg_url

FOLDER = Path(__file__).parent / "migrations"


def configuration(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("sqlalchemy.url", as_psycopg_url(url).replace("%", "%%"))
    return config


def upgrade(url: str) -> None:
    """Bring the schema to the newest revision. Blocks; safe to call at every start."""
    command.upgrade(configuration(url), "head")
