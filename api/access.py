"""What every address of the application asks of who calls it, declared where the address is and readable from outside.

A handler says `needs(P.X)`, or `public("why")`, or `signed_in_only("why")`; `doors_of(app)` reads it back, and the
test of the whole matrix walks the addresses with it. A route that declares nothing fails the suite.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any
from weakref import WeakKeyDictionary

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from api.auth import CurrentActor
from lis_core.domain.permissions import P
from lis_core.storage.database import Actor


class Who(Enum):
    """Whom a door lets in."""

    EVERYBODY = "everybody"
    SIGNED_IN = "signed in"
    HOLDERS = "holders"


@dataclass(frozen=True, slots=True)
class Access:
    """One declaration. HOLDERS need all of `permissions`, or with `any_of` one; the others give their `reason`."""

    who: Who
    permissions: tuple[P, ...] = ()
    any_of: bool = False
    reason: str = ""

    def admits(self, actor: Actor | None) -> bool:
        """True where this declaration alone lets him in (whose record it is about is asked inside)."""
        if self.who is Who.EVERYBODY:
            return True
        if actor is None or self.who is Who.SIGNED_IN:
            return actor is not None
        return (any if self.any_of else all)(actor.may(permission) for permission in self.permissions)

    def check(self, actor: Actor) -> None:
        """Raises NOT_ALLOWED naming what is missing."""
        if not self.admits(actor):
            missing = [permission for permission in self.permissions if not actor.may(permission)]
            raise actor.rights.refusal(*(missing if self.any_of else missing[:1]))


_declared: WeakKeyDictionary[Callable[..., Any], Access] = WeakKeyDictionary()


def declare(dependency: Callable[..., Any], access: Access) -> None:
    """Say what a dependency asks for."""
    _declared[dependency] = access


Holder = Callable[[Actor], Awaitable[Actor]]


def _holder(access: Access) -> Holder:
    async def holder(actor: CurrentActor) -> Actor:
        access.check(actor)
        return actor

    declare(holder, access)
    return holder


def needs(*permissions: P) -> Holder:
    """A dependency that gives the actor, and refuses (NOT_ALLOWED) whoever lacks one of these."""
    return _holder(Access(Who.HOLDERS, permissions))


def needs_any(*permissions: P) -> Holder:
    """The same where one of these is enough."""
    return _holder(Access(Who.HOLDERS, permissions, any_of=True))


def signed_in_only(reason: str) -> Holder:
    """For whoever is signed in, whatever he may. reason: why no permission guards it."""
    return _holder(Access(Who.SIGNED_IN, reason=reason))


def public(reason: str) -> Callable[[], Awaitable[None]]:
    """For everybody, without signing in. reason: why."""

    async def open_door() -> None:
        return None

    declare(open_door, Access(Who.EVERYBODY, reason=reason))
    return open_door


OUTSIDE = {
    "/static": Access(Who.EVERYBODY, reason="biçem ve betik dosyaları; hiçbir kayıt içermez"),
    "/api/openapi.json": Access(Who.EVERYBODY, reason="web servisinin tarifi; hiçbir kayıt içermez"),
}
"""What is served without a handler of ours."""


@dataclass(frozen=True, slots=True)
class Door:
    """One address with one method, and everything that it asks: all of it must hold. Empty = a fault."""

    method: str
    path: str
    access: tuple[Access, ...]

    def admits(self, actor: Actor | None) -> bool:
        return all(one.admits(actor) for one in self.access)


def doors_of(app: FastAPI) -> Iterator[Door]:
    """Every address of the application, as it is served."""
    for route in iter_route_contexts(app.routes):
        path = route.path or ""
        dependant = getattr(route, "dependant", None)
        access = tuple(_found(dependant)) if dependant is not None else ()
        if path in OUTSIDE:
            access = (OUTSIDE[path],)
        for method in sorted(getattr(route, "methods", None) or {"GET"}):
            yield Door(method, path, access)


def _found(dependant: Dependant) -> Iterator[Access]:
    for inner in dependant.dependencies:
        call = inner.call
        if call is not None and call in _declared:
            yield _declared[call]
        yield from _found(inner)
