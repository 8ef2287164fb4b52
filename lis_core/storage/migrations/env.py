"""Alembic environment: one connection, one transaction, a lock: two starting processes do not migrate at once."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, pool, text

from lis_core.storage.tables import Base

MIGRATION_LOCK = 7_301_946
target_metadata = Base.metadata


def run() -> None:
    engine = create_engine(
        context.config.get_main_option("sqlalchemy.url") or "",
        poolclass=pool.NullPool,
        connect_args={"application_name": "numune-goc"},
    )
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=target_metadata, compare_type=True)
        with context.begin_transaction():
            connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            context.run_migrations()


run()
