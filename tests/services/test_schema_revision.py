"""A start asks the database for its revision; the migration machinery is loaded only where it has something to do."""

from __future__ import annotations

import subprocess
import sys

from alembic.script import ScriptDirectory

from lis_core.storage import migrate
from lis_core.storage.database import Database


def test_the_revision_that_a_start_looks_for_is_the_folders_last() -> None:
    assert ScriptDirectory.from_config(migrate.configuration("postgresql://")).get_current_head() == migrate.NEWEST


def test_a_start_on_the_newest_schema_does_not_load_the_machinery(lab: Database) -> None:
    start = f"import sys, api.run; api.run.upgrade({lab.url!r}); print('alembic' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", start], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
