"""The data dictionary (annex 2, 2.5.2b), generated from the tables' own comments."""

from __future__ import annotations

from sqlalchemy.dialects import postgresql

from lis_core.storage.personal_columns import Data, data_of
from lis_core.storage.tables import Base


def as_markdown() -> str:
    """Every table with its columns, types, keys and what they mean."""
    kinds = ", ".join(Data)
    parts = [f"# Veri sözlüğü\n\nTablolardan üretilmiştir (`numune db dictionary`). *veri*: {kinds}.\n"]
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    for table in sorted(Base.metadata.tables.values(), key=lambda table: table.name):
        parts.append(f"\n## {table.name}\n\n{table.comment or ''}\n")
        parts.append("| kolon | tür | anahtar | boş olabilir | veri | açıklama |\n|---|---|---|---|---|---|")
        for column in table.columns:
            keys = ["birincil"] if column.primary_key else []
            keys += [f"-> {key.target_fullname}" for key in column.foreign_keys]
            kind = column.type.compile(dialect=dialect)
            empty = "evet" if column.nullable else "hayır"
            data = data_of(column)
            parts.append(f"| {column.name} | {kind} | {', '.join(keys)} | {empty} | {data} | {column.comment or ''} |")
    return "\n".join(parts) + "\n"
