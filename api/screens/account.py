"""Hesabım: one's own password, second factor, security keys, recovery codes, sessions, tied identities."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import delete, select

from api.access import signed_in_only
from api.account_context import box_of, rules_of, sign_on_of, site_of, visitor_of
from api.auth import SignedIn, let_in, signed_in
from api.context import Db
from api.screens.shell import Screen
from api.screens.sign_on import LINK, gone_to, refused, return_address
from api.screens.steps import Answer, Code, qr
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.services import accounts, identities, second_factor, security_keys, sessions, signing_in, users
from lis_core.services.sessions import Held, digest
from lis_core.storage.database import Actor, Database
from lis_core.storage.tables import PendingProof

router = APIRouter(prefix="/hesabim", dependencies=[Depends(signed_in_only("herkes yalnız kendi hesabını yönetir"))])
Who = Annotated[SignedIn, Depends(signed_in)]
Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
Password = Annotated[str, Form(alias="parola", max_length=200)]

_DONE = {
    "parola": "Parolanız değişti. Diğer oturumlarınız kapatıldı.",
    "uygulama": "Doğrulama uygulaması kaldırıldı.",
    "anahtar": "Güvenlik anahtarı eklendi.",
    "anahtar-sil": "Güvenlik anahtarı kaldırıldı.",
    "oturum": "Oturum kapatıldı.",
    "oturumlar": "Diğer bütün oturumlar kapatıldı.",
    "bagla": "Kimlik hesabınıza bağlandı.",
    "ayir": "Kimlik hesabınızdan ayrıldı.",
    "vazgec": "Kimlik bağlanmadı.",
}
_PROBLEMS = {
    errors.SIGN_ON_REFUSED.code: "Tek giriş sağlayıcısı kimliği doğrulamadı. Yeniden deneyin.",
    errors.IDENTITY_TAKEN.code: errors.IDENTITY_TAKEN.message,
}


async def own_session(who: Who) -> Held:
    """The session of a person at a screen: a program's token manages no account. Raises NOT_SIGNED_IN."""
    if who.held is None:
        raise NumuneError(errors.NOT_SIGNED_IN)
    return who.held


Own = Annotated[Held, Depends(own_session)]


def _done(what: str, place: str = "") -> Response:
    return RedirectResponse(f"/hesabim?oldu={what}{'#' + place if place else ''}", status_code=303)


def _me(who: SignedIn) -> tuple[Actor, int]:
    assert who.actor.user_id is not None
    return who.actor, who.actor.user_id


async def _page(
    request: Request, db: Database, who: SignedIn, held: Held, refusal: NumuneError | None = None, **more: Any
) -> Response:
    _, user_id = _me(who)
    rules = rules_of(request)
    async with db.reading() as session:
        pending = await session.get(PendingProof, digest(f"{held.session_id}:{LINK}"))
        offered = pending.facts if pending and pending.expires_at > datetime.now(UTC) else None
        facts = {
            "factors": await second_factor.factors_of(session, user_id),
            "keys": await security_keys.keys_of(session, user_id),
            "sessions": await sessions.sessions_of(session, user_id, rules),
            "identities": await identities.identities_of(session, user_id),
            "needed": rules.needs_second_factor(await signing_in.duties_of(session, user_id)),
        }
    return await Screen(request, "account", who).page(
        "account/page.html",
        refusal.status if refusal else 200,
        **facts,
        offered=offered,
        providers=[(key, known.provider.caption) for key, known in sign_on_of(request).items()],
        here=held.session_id,
        support=held.grant_id is not None,
        rules=rules,
        refusal=refusal,
        **{"done": None, "problem": None, "enrolment": None, "qr": "", "codes": None, **more},
    )


@router.get("")
async def page(request: Request, db: Db, who: Who, held: Own, oldu: str = "", sorun: str = "") -> Response:
    """Everything about one's own signing in."""
    return await _page(request, db, who, held, done=_DONE.get(oldu), problem=_PROBLEMS.get(sorun))


@router.post("/parola")
async def password(
    request: Request,
    db: Db,
    who: Who,
    held: Own,
    old: Password = "",
    chosen: Annotated[str, Form(alias="yeni", max_length=200)] = "",
    again: Annotated[str, Form(alias="yineleme", max_length=200)] = "",
) -> Response:
    """Another password. The old one is asked always, however fresh the session is."""
    try:
        if chosen != again:
            raise NumuneError(errors.PASSWORD_REFUSED, problem="iki yazılış aynı değil")
        await signing_in.prove_again(db, held, old, visitor_of(request), fresh=signing_in.NEVER_FRESH)
        entered = await accounts.change_password(db, held, chosen, visitor_of(request), rules_of(request))
    except NumuneError as refusal:
        return await _page(request, db, who, held, refusal)
    response = _done("parola", "parola")
    let_in(request, response, entered)
    return response


# -- second factor


@router.post("/uygulama")
async def begin_application(request: Request, db: Db, who: Who, held: Own, old: Password = "") -> Response:
    """Show the code that an authenticator application reads."""
    actor, user_id = _me(who)
    try:
        await signing_in.prove_again(db, held, old, visitor_of(request))
        async with db.work(actor) as work:
            enrolment = await second_factor.begin_totp(work, user_id, actor.name, box_of(request))
    except NumuneError as refusal:
        return await _page(request, db, who, held, refusal)
    return await _page(request, db, who, held, enrolment=enrolment, qr=qr(enrolment.uri))


@router.post("/uygulama/onay")
async def confirm_application(
    request: Request,
    db: Db,
    who: Who,
    held: Own,
    given: Code = "",
    proof: Annotated[str, Form(alias="kanit", max_length=100)] = "",
) -> Response:
    """Its first code; recovery codes come with it."""
    actor, user_id = _me(who)
    box = box_of(request)
    try:
        async with db.work(actor) as work:
            await second_factor.confirm_totp(work, user_id, proof, given, box)
            codes = await second_factor.new_recovery_codes(work, user_id)
    except NumuneError as refusal:
        try:
            async with db.reading() as session:
                enrolment = await second_factor.resume_totp(session, user_id, actor.name, proof, box)
        except NumuneError as gone:
            return await _page(request, db, who, held, gone)
        return await _page(request, db, who, held, refusal, enrolment=enrolment, qr=qr(enrolment.uri))
    await sessions.end_others(db, actor, user_id, held.session_id)
    return await _renewed(request, db, who, held, codes)


@router.post("/uygulama/sil")
async def remove_application(request: Request, db: Db, who: Who, held: Own, old: Password = "") -> Response:
    """Without the application from now on. Refused where it is the last factor and one is needed."""
    actor, user_id = _me(who)
    try:
        await signing_in.prove_again(db, held, old, visitor_of(request))
        async with db.work(actor) as work:
            duties = await signing_in.duties_of(work.session, user_id)
            await second_factor.remove_totp(work, user_id, rules_of(request), duties)
    except NumuneError as refusal:
        return await _page(request, db, who, held, refusal)
    return _done("uygulama", "ikinci-asama")


@router.post("/kodlar")
async def recovery_codes(request: Request, db: Db, who: Who, held: Own, old: Password = "") -> Response:
    """New recovery codes, shown once; the old ones are void."""
    actor, user_id = _me(who)
    try:
        await signing_in.prove_again(db, held, old, visitor_of(request))
        async with db.work(actor) as work:
            if not (await second_factor.factors_of(work.session, user_id)).any:
                raise NumuneError(errors.NOT_FOUND, what="Doğrulama yöntemi")
            codes = await second_factor.new_recovery_codes(work, user_id)
    except NumuneError as refusal:
        return await _page(request, db, who, held, refusal)
    return await _page(request, db, who, held, codes=codes)


async def _renewed(request: Request, db: Database, who: SignedIn, held: Held, codes: list[str] | None) -> Response:
    """A new secret for this session, because it is worth more from now on; and the page with the codes."""
    entered = await signing_in.go_on(db, held, visitor_of(request), rules_of(request))
    fresh = await users.session_behind(db, entered.opened.secret, visitor_of(request), rules_of(request))
    assert fresh is not None
    response = await _page(
        request, db, SignedIn(who.actor, fresh.form_token, fresh), fresh, done="İkinci aşama hazır.", codes=codes
    )
    let_in(request, response, entered)
    return response


@router.post("/anahtar/soru")
async def key_question(request: Request, db: Db, who: Who, held: Own, old: Password = "") -> Response:
    """What a new security key is asked."""
    actor, user_id = _me(who)
    await signing_in.prove_again(db, held, old, visitor_of(request))
    async with db.work(actor) as work:
        options = await security_keys.ask_new_key(work, user_id, actor.name, actor.full_name, site_of(request))
    return Response(options, media_type="application/json")


@router.post("/anahtar")
async def add_key(
    request: Request,
    db: Db,
    who: Who,
    held: Own,
    answer: Answer = "",
    name: Annotated[str, Form(alias="ad", max_length=60)] = "",
) -> Response:
    """The new key's answer. With the first factor come recovery codes."""
    actor, user_id = _me(who)
    codes = None
    try:
        async with db.work(actor) as work:
            first = not (await second_factor.factors_of(work.session, user_id)).any
            await security_keys.add_key(work, user_id, answer, name, site_of(request))
            if first:
                codes = await second_factor.new_recovery_codes(work, user_id)
    except NumuneError as refusal:
        return await _page(request, db, who, held, refusal)
    if codes is None:
        return _done("anahtar", "anahtarlar")
    await sessions.end_others(db, actor, user_id, held.session_id)
    return await _renewed(request, db, who, held, codes)


@router.post("/anahtar/{key_id}/sil")
async def remove_key(request: Request, db: Db, who: Who, held: Own, key_id: Id, old: Password = "") -> Response:
    """One key less."""
    actor, user_id = _me(who)
    try:
        await signing_in.prove_again(db, held, old, visitor_of(request))
        async with db.work(actor) as work:
            duties = await signing_in.duties_of(work.session, user_id)
            await security_keys.remove_key(work, user_id, key_id, rules_of(request), duties)
    except NumuneError as refusal:
        return await _page(request, db, who, held, refusal)
    return _done("anahtar-sil", "anahtarlar")


# -- sessions


@router.post("/oturum/{session_id}/kapat")
async def end_session(db: Db, who: Who, held: Own, session_id: Id) -> Response:
    """End one of one's own sessions; another person's does not exist here."""
    actor, user_id = _me(who)
    await sessions.end_session(db, actor, user_id, session_id)
    return _done("oturum", "oturumlar")


@router.post("/oturumlar/kapat")
async def end_others(db: Db, who: Who, held: Own) -> Response:
    """End every session but this one."""
    actor, user_id = _me(who)
    await sessions.end_others(db, actor, user_id, held.session_id)
    return _done("oturumlar", "oturumlar")


# -- identities of other providers


@router.get("/tek-giris/{key}")
async def link_start(request: Request, db: Db, who: Who, held: Own, key: str) -> Response:
    """To the provider, to show an identity. It is tied only by `link`, which a form of this page must send."""
    known = sign_on_of(request).get(key)
    if known is None or held.grant_id is not None:
        return RedirectResponse("/hesabim", status_code=303)
    try:
        started = await known.begin(db, return_address(request, key), f"{LINK}:{who.actor.user_id}")
    except NumuneError as refusal:
        return refused(refusal, account=True)
    return gone_to(request, key, started)


@router.post("/tek-giris")
async def link(
    request: Request,
    db: Db,
    who: Who,
    held: Own,
    old: Password = "",
    wanted: Annotated[str, Form(alias="karar", max_length=10)] = "",
) -> Response:
    """Tie the identity that waits here, with the password; or let it go."""
    actor, user_id = _me(who)
    waiting = PendingProof.secret_hash == digest(f"{held.session_id}:{LINK}")
    try:
        if wanted == "bagla":
            await signing_in.prove_again(db, held, old, visitor_of(request))
        async with db.work(actor) as work:
            facts = await work.session.scalar(
                select(PendingProof.facts).where(waiting, PendingProof.expires_at > work.now)
            )
            await work.session.execute(delete(PendingProof).where(waiting))
            if wanted == "bagla":
                if facts is None or facts["kullanici"] != user_id:
                    raise NumuneError(errors.NOT_FOUND, what="Bağlanacak kimlik")
                await identities.link_identity(work, user_id, facts["saglayici"], facts["kimlik"], facts["ad"])
    except NumuneError as refusal:
        return await _page(request, db, who, held, refusal)
    return _done("bagla" if wanted == "bagla" else "vazgec", "tek-giris")


@router.post("/tek-giris/{identity_id}/ayir")
async def unlink(request: Request, db: Db, who: Who, held: Own, identity_id: Id, old: Password = "") -> Response:
    """This identity signs in as nobody any more."""
    actor, user_id = _me(who)
    try:
        await signing_in.prove_again(db, held, old, visitor_of(request))
        async with db.work(actor) as work:
            await identities.unlink_identity(work, user_id, identity_id)
    except NumuneError as refusal:
        return await _page(request, db, who, held, refusal)
    return _done("ayir", "tek-giris")
