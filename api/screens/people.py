"""Kişiler: accounts, absences, sessions, resets, and access for support staff."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path, Query
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import select

from api.access import needs
from api.account_context import rules_of
from api.context import Db
from api.screens.shell import Screen, screen
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.services import accounts, devices, employment, identities, second_factor, sessions, support, users
from lis_core.services.employment import WORDS, NewAbsence
from lis_core.storage.database import Actor, Database
from lis_core.storage.tables import AccountSecurity, User
from lis_core.storage.tables.accounts import Absence, AccountKind
from lis_core.views.people import people_list

router = APIRouter(prefix="/kisiler")
Here = Annotated[Screen, Depends(screen("people"))]
Manager = Annotated[Actor, Depends(needs(P.USER_MANAGE))]
Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
Text = Annotated[str, Form(max_length=300)]

_DONE = {
    "acik": "Hesap açıldı: kişi yeniden giriş yapabilir.",
    "kapali": "Hesap kapatıldı; açık oturumları ve belirteçleri sona erdi.",
    "kayit": "Kayıt eklendi.",
    "geri": "Kayıt geri alındı.",
    "oturum": "Oturumları kapatıldı.",
    "asama": "İkinci aşaması sıfırlandı; gerekliyse ilk girişte yeniden kurar.",
    "destek-iptal": "Destek erişimi geri alındı; açık oturumu bitti.",
    "kimlik": "Kimlik ayrıldı.",
}


def _done(user_id: int, what: str) -> Response:
    return RedirectResponse(f"/kisiler/{user_id}?oldu={what}", status_code=303)


@router.get("")
async def page(here: Here, db: Db, ara: Annotated[str, Query(max_length=60)] = "", kapali: bool = False) -> Response:
    """Everybody with an account; who is absent today stands out."""
    return await _list(here, db, ara, kapali)


async def _list(here: Screen, db: Database, find: str, closed: bool, **more: Any) -> Response:
    async with db.reading() as session:
        people = await people_list(session, find, closed=closed, day=employment.today(datetime.now(UTC)))
    refusal: NumuneError | None = more.get("refusal")
    return await here.page(
        "people/page.html",
        refusal.status if refusal else 200,
        people=people,
        find=find,
        closed=closed,
        manages=here.actor.may(P.USER_MANAGE),
        **{"refusal": None, "password": None, "added": None, **more},
    )


@router.post("")
async def add(
    here: Here, db: Db, actor: Manager, kullanici: Text = "", ad: Text = "", soyad: Text = "", destek: Text = ""
) -> Response:
    """A new account without rights; its first password is shown once."""
    try:
        async with db.work(actor) as work:
            kind = AccountKind.SUPPORT if destek else AccountKind.PERSON
            user, password = await accounts.add_user(work, kullanici, ad, soyad, kind=kind)
    except NumuneError as refusal:
        return await _list(here, db, "", False, refusal=refusal)
    return await _list(here, db, "", False, added=user, password=password)


@router.get("/{user_id}")
async def person(here: Here, db: Db, user_id: Id, oldu: str = "") -> Response:
    """One account."""
    return await _person(here, db, user_id, done=_DONE.get(oldu))


async def _person(here: Screen, db: Database, user_id: int, **more: Any) -> Response:
    now, rules = datetime.now(UTC), rules_of(here.request)
    async with db.reading() as session:
        user = await session.scalar(select(User).where(User.id == user_id))
        if user is None:
            raise NumuneError(errors.NOT_FOUND, what="Kullanıcı")
        security = await session.get(AccountSecurity, user_id)
        facts: dict[str, Any] = {
            "user": user,
            "kind": (security.kind if security else AccountKind.PERSON).value,
            "security": security,
            "factors": await second_factor.factors_of(session, user_id),
            "absence": await employment.absence_of(session, user_id, employment.today(now)),
            "absences": await employment.absences(session, user_id),
            "sessions": await sessions.sessions_of(session, user_id, rules),
            "identities": await identities.identities_of(session, user_id),
            "grants": await support.grants_of(session, user_id, now),
        }
    refusal: NumuneError | None = more.get("refusal")
    return await here.page(
        "people/person.html",
        refusal.status if refusal else 200,
        **facts,
        kinds=[(kind.value, words) for kind, words in WORDS.items()],
        words=WORDS,
        today=employment.today(now),
        rules=rules,
        manages=here.actor.may(P.USER_MANAGE),
        **{"refusal": None, "done": None, "password": None, "grant_password": None, **more},
    )


@router.post("/{user_id}/durum")
async def status(here: Here, db: Db, actor: Manager, user_id: Id, aktif: Text = "") -> Response:
    """Close an account, or open it again."""
    try:
        async with db.work(actor) as work:
            await accounts.set_active(work, user_id, bool(aktif))
    except NumuneError as refusal:
        return await _person(here, db, user_id, refusal=refusal)
    users.forget(db, user_id)
    return _done(user_id, "acik" if aktif else "kapali")


@router.post("/{user_id}/parola")
async def reset(here: Here, db: Db, actor: Manager, user_id: Id) -> Response:
    """A new first password, shown once."""
    try:
        async with db.work(actor) as work:
            password = await accounts.reset_password(work, user_id)
    except NumuneError as refusal:
        return await _person(here, db, user_id, refusal=refusal)
    users.forget(db, user_id)
    return await _person(here, db, user_id, password=password)


@router.post("/{user_id}/ikinci-asama")
async def reset_factor(here: Here, db: Db, actor: Manager, user_id: Id) -> Response:
    """Take all factors away, for somebody who lost them; whatever is open ends."""
    async with db.work(actor) as work:
        await second_factor.reset_factors(work, user_id)
        await devices.forget_devices(work, user_id)
        await sessions.end_all(work, user_id, tokens=True)
    users.forget(db, user_id)
    return _done(user_id, "asama")


@router.post("/{user_id}/oturumlar")
async def end_sessions(here: Here, db: Db, actor: Manager, user_id: Id) -> Response:
    """End everything that is open, tokens too."""
    async with db.work(actor) as work:
        await sessions.end_all(work, user_id, tokens=True)
    users.forget(db, user_id)
    return _done(user_id, "oturum")


@router.post("/{user_id}/gorev")
async def absent(
    here: Here,
    db: Db,
    actor: Manager,
    user_id: Id,
    tur: Text = "",
    ilk: Text = "",
    son: Text = "",
    aciklama: Text = "",
) -> Response:
    """Record a leave, a sick report, a duty elsewhere, a departure (4.8.11, 4.8.13)."""
    try:
        new = NewAbsence(user_id, _absence(tur), _day(ilk, "ilk gün"), _day(son, "son gün") if son else None, aciklama)
        async with db.work(actor) as work:
            await employment.put_absence(work, new)
    except NumuneError as refusal:
        return await _person(here, db, user_id, refusal=refusal)
    users.forget(db, user_id)
    return _done(user_id, "kayit")


def _absence(word: str) -> Absence:
    try:
        return Absence(word)
    except ValueError as error:
        raise NumuneError(errors.BAD_ABSENCE, problem="türü seçin") from error


def _day(text: str, what: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise NumuneError(errors.BAD_ABSENCE, problem=f"{what} tarih değil") from error


@router.post("/{user_id}/gorev/{absence_id}/geri")
async def back_again(here: Here, db: Db, actor: Manager, user_id: Id, absence_id: Id) -> Response:
    """The record was wrong, or the person came back early."""
    async with db.work(actor) as work:
        whose = await employment.withdraw_absence(work, absence_id)
        if whose != user_id:
            raise NumuneError(errors.NOT_FOUND, what="Kayıt")
    users.forget(db, user_id)
    return _done(user_id, "geri")


@router.post("/{user_id}/kimlik/{identity_id}/ayir")
async def unlink(here: Here, db: Db, actor: Manager, user_id: Id, identity_id: Id) -> Response:
    """An identity of another provider signs in as this user no more."""
    async with db.work(actor) as work:
        await identities.unlink_identity(work, user_id, identity_id)
    return _done(user_id, "kimlik")


@router.post("/{user_id}/destek")
async def grant(
    here: Here,
    db: Db,
    actor: Manager,
    user_id: Id,
    neden: Text = "",
    saat: Annotated[int, Form(ge=1, le=1000)] = 2,
) -> Response:
    """Access for support staff for some hours; its single-use password is shown once (annex 1, 5.14)."""
    try:
        async with db.work(actor) as work:
            password = await support.grant_access(work, user_id, neden, saat, rules_of(here.request))
    except NumuneError as refusal:
        return await _person(here, db, user_id, refusal=refusal)
    return await _person(here, db, user_id, grant_password=password)


@router.post("/{user_id}/destek/{grant_id}/geri")
async def revoke(here: Here, db: Db, actor: Manager, user_id: Id, grant_id: Id) -> Response:
    """Take the access back; what it opened ends."""
    async with db.work(actor) as work:
        if await support.revoke_grant(work, grant_id) != user_id:
            raise NumuneError(errors.NOT_FOUND, what="Destek erişimi")
    users.forget(db, user_id)
    return _done(user_id, "destek-iptal")
