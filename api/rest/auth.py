"""Tokens for programs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, StringConstraints

from api.access import public, signed_in_only
from api.account_context import box_of, rules_of
from api.context import client_address, database_of
from api.rest.inputs import Input
from lis_core.services import signing_in
from lis_core.storage.database import Actor

router = APIRouter(tags=["Giriş"])


class Credentials(Input):
    """User name and password."""

    username: Annotated[str, StringConstraints(min_length=1, max_length=60)]
    password: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    code: Annotated[str, StringConstraints(max_length=20)] = ""
    """Code of the authenticator application, for users who have one."""


class Token(BaseModel):
    """Goes into `Authorization: Bearer <access_token>`."""

    access_token: str
    token_type: str = "bearer"


class Me(BaseModel):
    """Who this token or session is."""

    username: str
    full_name: str
    groups: list[str]
    permissions: list[str]


@router.post("/auth/token", dependencies=[Depends(public("parola ile giriş"))], summary="Erişim belirteci al")
async def token(request: Request, who: Credentials) -> Token:
    """Kullanıcı adı ve parola ile web servis belirteci verir."""
    token = await signing_in.issue_token(
        database_of(request),
        who.username,
        who.password,
        client_address(request),
        code=who.code,
        box=box_of(request) if who.code else None,
        rules=rules_of(request),
    )
    return Token(access_token=token)


@router.get("/auth/me", summary="Belirtecin sahibi")
async def me(actor: Annotated[Actor, Depends(signed_in_only("kendi kimliği"))]) -> Me:
    """Belirtecin ya da oturumun kime ait olduğunu gruplarını ve yetkilerini söyler."""
    rights = actor.rights
    return Me(
        username=actor.name,
        full_name=actor.full_name,
        groups=list(rights.groups),
        permissions=sorted(permission.value for permission in rights.held),
    )
