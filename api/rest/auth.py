"""Tokens for programs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, StringConstraints

from api.auth import CurrentSight
from api.context import client_address, database_of
from api.rest.inputs import Input
from lis_core.services import users

router = APIRouter(tags=["Giriş"])


class Credentials(Input):
    """User name and password."""

    username: Annotated[str, StringConstraints(min_length=1, max_length=60)]
    password: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Token(BaseModel):
    """Goes into `Authorization: Bearer <access_token>`."""

    access_token: str
    token_type: str = "bearer"


class Me(BaseModel):
    """Who this token or session is."""

    username: str
    full_name: str
    roles: list[str]


@router.post("/auth/token", summary="Erişim belirteci al")
async def token(request: Request, who: Credentials) -> Token:
    """Kullanıcı adı ve parola ile web servis belirteci verir."""
    return Token(
        access_token=await users.issue_token(database_of(request), who.username, who.password, client_address(request))
    )


@router.get("/auth/me", summary="Belirtecin sahibi")
async def me(sight: CurrentSight) -> Me:
    """Belirtecin ya da oturumun kime ait olduğunu ve rollerini söyler."""
    actor = sight.actor
    return Me(username=actor.name, full_name=actor.full_name, roles=sorted(role.value for role in actor.roles))
