"""Which part of the program signs in to the database as whom: the operator's URLs, or the embedded server's roles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lis_core.settings import Settings
from lis_core.storage import roles
from lis_core.storage.embedded import EmbeddedServer


@dataclass(frozen=True, slots=True)
class Urls:
    """One database, three ways in. Where the operator named only one, all three are that one."""

    application: str
    """For the running program: reads, adds, changes; nothing else."""
    owner: str
    """For migrations, backups, rules of retention."""
    audit: str
    """For verifying the audit from outside of the program."""


def urls_of(settings: Settings, server: EmbeddedServer | None) -> Urls:
    """The ways in; `server`: the started embedded one, where the operator named no database."""
    if server is not None:
        return Urls(server.url_of(roles.APPLICATION), server.url_of(roles.OWNER), server.url_of(roles.AUDIT))
    given = settings.database_url or ""
    return Urls(given, settings.owner_url or given, settings.audit_url or given)


@contextmanager
def opened(settings: Settings) -> Iterator[Urls]:
    """The ways in to this installation's database; an embedded server runs as long as the block."""
    if settings.database_url:
        yield urls_of(settings, None)
        return
    server = EmbeddedServer(settings.data_dir / "pg")
    with server:
        yield urls_of(settings, server)
