"""What all tables share."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, DateTime, Identity, MetaData, String, TypeDecorator, func, text
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedColumn, mapped_column


class Base(DeclarativeBase):
    """Declarative base; constraint names are fixed so that migrations and error messages can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Word(TypeDecorator[StrEnum]):
    """A `StrEnum` stored as its value (a Turkish word) in a text column: readable in any SQL tool."""

    impl = String
    cache_ok = True

    def __init__(self, enum: type[StrEnum]) -> None:
        super().__init__()
        self.enum = enum

    def process_bind_param(self, value: Any, dialect: Any) -> str | None:
        return None if value is None else self.enum(value).value

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return None if value is None else self.enum(value)


def key(table: str) -> MappedColumn[int]:
    """The table's own number, `<table>_kodu` as VEM calls it."""
    return mapped_column(
        f"{table}_kodu", BigInteger, Identity(), primary_key=True, comment="Kaydin tekil kodu", sort_order=-10
    )


def created() -> MappedColumn[datetime]:
    """`kayit_zamani`, set by the server."""
    return mapped_column(
        "kayit_zamani", DateTime(timezone=True), server_default=func.now(), comment="Kaydin olusturulma zamani"
    )


def moment(name: str, comment: str, **kw: Any) -> MappedColumn[Any]:
    """A point in time with its zone."""
    return mapped_column(name, DateTime(timezone=True), comment=comment, **kw)


def active() -> MappedColumn[bool]:
    """`aktiflik_bilgisi`: passive rows stay for history and are offered no more."""
    return mapped_column("aktiflik_bilgisi", server_default=text("true"), default=True, comment="Kayit kullanimda mi")


__all__ = ["Base", "Mapped", "Word", "active", "created", "key", "moment"]
