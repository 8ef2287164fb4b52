"""Schema up to date: Alembic, driven from the program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from psycopg.errors import InsufficientPrivilege
from sqlalchemy.exc import ProgrammingError

from lis_core.storage import roles
from lis_core.storage.database import as_psycopg_url

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER = Path(__file__).parent / "migrations"
NEWEST = "0001"
"""The last revision of the folder. Known without Alembic, which takes a tenth of a second and 8 MB: a usual start has
nothing for it to do."""


def configuration(url: str) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("sqlalchemy.url", as_psycopg_url(url).replace("%", "%%"))
    return config


def upgrade(url: str) -> None:
    """Bring the schema to the newest revision, and every role to its rights. Blocks; safe to call at every start.

    A role that does not own the schema only proves that it is the newest. Raises PermissionError where it is not.
    """
    before = roles.revision(url)
    if before != NEWEST:
        _to_the_newest(url)
    roles.apply(url, force=before != NEWEST)


def _to_the_newest(url: str) -> None:
    from alembic import command

    try:
        command.upgrade(configuration(url), "head")
    except ProgrammingError as error:
        if not isinstance(error.orig, InsufficientPrivilege):
            raise
        raise PermissionError(
            "şema eski ya da kurulmamış, bu rol ise onu değiştiremez: sahip rolüyle 'numune db upgrade' çalıştırın "
            "(NUMUNE_DATABASE_OWNER_URL)"
        ) from error
