"""A message of the hospital is kept, applied and answered in one transaction; said again, it gets the same answer.

| answer | means | kept | said again |
| --- | --- | --- | --- |
| AA | applied and committed | yes | same answer, not applied again |
| AE | its content is wrong, nothing of it was applied | yes, with the answer | same answer |
| AR | not taken: unknown type or version, database away, a fault here | when possible | tried again |

What makes two messages the same: sender (MSH-3|MSH-4) and control id (MSH-10), a unique index of the database. A used
control id with other content is refused: to answer AA to it would lose an order.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from drivers.protocols import hl7
from drivers.protocols.hl7 import ErrorLocation, Message
from hbys_bridge.hl7 import answers
from hbys_bridge.hl7.history import INCOMING
from hbys_bridge.hl7.notices import raise_notice
from hbys_bridge.hl7.ordering import apply_order
from hbys_bridge.hl7.orders import read_order
from hbys_bridge.hl7.people import PersonSaid, read_merge, read_patient
from hbys_bridge.hl7.refusals import (
    BAD_EVENT,
    BAD_PROCESSING,
    BAD_TYPE,
    BAD_VERSION,
    DATA_TYPE,
    DUPLICATE_KEY,
    INTERNAL,
    MISSING,
    NOT_IN_TABLE,
    SEQUENCE,
    Place,
    Refused,
    refused,
)
from hbys_bridge.hl7.rights import RIGHTS_OF_MESSAGE, actor_of
from hbys_bridge.settings import BridgeSettings
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.services.patients import merge_patients, update_patient
from lis_core.storage.database import Actor, Database, Work
from lis_core.storage.tables import HospitalMessage

log = logging.getLogger(__name__)

PATIENCE = 25.0
"""Seconds for one message; then it is refused with AR and the hospital says it again."""
AWAY = (OperationalError, InterfaceError, PoolTimeoutError, OSError, TimeoutError)
EVENTS = {kind: {event for known, event in RIGHTS_OF_MESSAGE if known == kind} for kind, _ in RIGHTS_OF_MESSAGE}
VERSIONS = ("2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.7", "2.8")

_LONGEST_KEY, _LONGEST_TYPE = 60, 20


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message: the application answer, and the order that it was about."""

    answer: bytes
    order_id: int | None = None


class _Known(Exception):
    """This message was taken before; `answer` is what was said then."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        super().__init__("known")


def sender_of(message: Message) -> str:
    """MSH-3|MSH-4, which names a hospital system here."""
    return _clean(f"{message.msh.get(3).strip()}|{message.msh.get(4).strip()}")


class Inbox:
    """Takes messages, from any number of connections."""

    def __init__(self, database: Database, settings: BridgeSettings, *, zone: tzinfo) -> None:
        self._database = database
        self._settings = settings
        self._zone = zone

    async def take(self, payload: bytes, peer: str) -> tuple[bytes | None, str]:
        """(answer, sender). Never raises for what a peer sends or the database does; None = no answer is wanted."""
        try:
            message = hl7.parse(payload)
        except hl7.Hl7Error as error:
            return await self._no_message(payload, peer, str(error)), ""
        sender = sender_of(message)
        if not self._settings.of(sender).networks.admits(peer.rpartition(":")[0]):
            return await self._in_anothers_name(message, payload, sender, peer), ""
        actor = actor_of(*message.type[:2], f"{sender} {peer}")
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._take(message, sender, actor), sender
        except AWAY as error:
            log.warning("hospital message put off", extra={"action": "hospital_put_off", "why": type(error).__name__})
            words = f"{errors.DATABASE_DOWN.code}: {errors.DATABASE_DOWN.message}"
        except Exception:
            # A fault of ours must not end the line, nor be told as success: the hospital keeps the message.
            log.exception("hospital message failed", extra={"action": "hospital_failed", "type": message.type[0]})
            words = f"{errors.INTERNAL.code}: Beklenmeyen bir hata oldu; mesaj alınmadı, yineleyin."
        return self._due(message, "AR", [ErrorLocation(code=INTERNAL, text=words)], None), sender

    async def _take(self, message: Message, sender: str, actor: Actor) -> bytes | None:
        key = _key(message)
        try:
            try:
                async with self._database.work(actor) as work:
                    id = await self._claim(work, message, sender, key)
                    outcome = await self._apply(work, message, sender)
                    answer = self._due(message, "AA", [], outcome.answer)
                    await _close(work, id, "AA", answer, None, outcome.order_id)
                return answer
            except NumuneError as error:
                raise refused(error, []) from error
            except DataError as error:
                words = "Mesajda veritabanının saklayamayacağı bir değer var (çok uzun ya da denetim karakteri)."
                raise Refused(ErrorLocation(code=DATA_TYPE, text=words)) from error
        except _Known as known:
            return known.answer
        except Refused as refusal:
            return await self._refuse(message, sender, key, actor, refusal)

    async def _refuse(self, message: Message, sender: str, key: str, actor: Actor, refusal: Refused) -> bytes | None:
        """Keep the message with its refusal; nothing else of it is in the database."""
        if refusal.errors[0].code == DUPLICATE_KEY and refusal.errors[0].segment == "MSH":
            key = _variant(key, message)
        answer = self._due(message, refusal.code, refusal.errors, None)
        try:
            async with self._database.work(actor) as work:
                id = await self._claim(work, message, sender, key)
                explanation = _clean("\n".join(error.text for error in refusal.errors))
                await _close(work, id, refusal.code, answer, explanation, None)
                about = f"{'^'.join(message.type[:2])} ({sender})"
                await raise_notice(work, _clean(f"Hastaneden gelen {about} mesajı reddedildi: {explanation}"))
        except _Known as known:
            return known.answer
        return answer

    # -- once

    async def _claim(self, work: Work, message: Message, sender: str, key: str) -> int:
        """Make this message ours to apply; another connection with the same one waits here until we are done.

        Raises _Known where it was taken before, Refused where its control id was used for another message.
        """
        values = {
            "direction": INCOMING,
            "sender": sender,
            "control_id": key,
            "message_type": _clean(message.msh.field(9))[:_LONGEST_TYPE],
            "content": message.raw,
            "outcome": "AR",
        }
        id: int | None = await work.session.scalar(
            insert(HospitalMessage)
            .values(values)
            .on_conflict_do_update(
                index_elements=[HospitalMessage.sender, HospitalMessage.control_id],
                index_where=text("yon = 'gelen'"),
                set_={
                    "icerik": message.raw,
                    "mesaj_turu": values["message_type"],
                    "zaman": func.now(),
                },
                where=HospitalMessage.outcome == "AR",
            )
            .returning(HospitalMessage.id)
        )
        if id is not None:
            return id
        content, answer = (
            await work.session.execute(
                select(HospitalMessage.content, HospitalMessage.answer).where(
                    HospitalMessage.direction == INCOMING,
                    HospitalMessage.sender == sender,
                    HospitalMessage.control_id == key,
                )
            )
        ).one()
        if _body(content) == _body(message.raw):
            raise _Known(answer)
        words = f"Bu kontrol numarası (MSH-10 {message.control_id}) başka bir mesajda kullanılmış; mesaj alınmadı."
        raise Refused(Place("MSH", 1, 10).error(DUPLICATE_KEY, words))

    # -- what it asks for

    async def _apply(self, work: Work, message: Message, sender: str) -> Outcome:
        self._check(message)
        kind, event, _ = message.type
        for permission in RIGHTS_OF_MESSAGE[kind, event]:
            work.actor.must(permission)
        hospital = self._settings.of(sender)
        if kind == "ADT":
            merge = event == "A40"
            words = await (self._merge if merge else self._update)(work, message, hospital.prefix)
            return Outcome(answers.accept(message, self._now(), words))
        said = read_order(message, self._zone, prefix=hospital.prefix, preprinted=self._settings.preprinted)
        applied = await apply_order(work, said, sender)
        answer = answers.accept_order(message, applied, self._settings.application, self._now())
        return Outcome(answer, applied.order_id)

    def _check(self, message: Message) -> None:
        """Raises Refused: AR for what is none of ours, AE for a message that cannot be told from others."""
        kind, event, _ = message.type
        processing = message.msh.get(11)
        if message.version and not message.version.startswith(VERSIONS):
            raise Refused(Place("MSH", 1, 12).error(BAD_VERSION, f"HL7 {message.version} alınmaz."), code="AR")
        if kind not in EVENTS:
            raise Refused(Place("MSH", 1, 9, 1).error(BAD_TYPE, f"{kind} mesajı alınmaz."), code="AR")
        if event not in EVENTS[kind]:
            raise Refused(Place("MSH", 1, 9, 2).error(BAD_EVENT, f"{kind}^{event} mesajı alınmaz."), code="AR")
        if processing and processing not in self._settings.processing:
            words = f"MSH-11 {processing}: eğitim ve deneme mesajları bu sisteme alınmaz."
            raise Refused(Place("MSH", 1, 11).error(BAD_PROCESSING, words), code="AR")
        if not message.control_id.strip():
            raise Refused(Place("MSH", 1, 10).error(MISSING, "Kontrol numarası (MSH-10) boş."))
        if "\x00" in message.text:
            raise Refused(ErrorLocation(code=DATA_TYPE, text="Mesajda NUL karakteri var."))

    async def _update(self, work: Work, message: Message, prefix: str) -> str:
        """ADT^A08, A31. Somebody whom the laboratory does not know needs no correction."""
        person = read_patient(message, self._zone, prefix=prefix)
        _must_be_named(person)
        try:
            await update_patient(work, person.data)
        except NumuneError as error:
            if error.kind is errors.NOT_FOUND:
                return "Hasta laboratuvarda kayıtlı değil; yapılacak işlem yok."
            raise refused(error, person.place_of(error.kind)) from error
        return ""

    async def _merge(self, work: Work, message: Message, prefix: str) -> str:
        """ADT^A40. A record that the laboratory never had is merged already."""
        unknown = 0
        for kept, gone in read_merge(message, self._zone, prefix=prefix):
            _must_be_named(kept)
            try:
                await merge_patients(work, kept.data, gone.data)
            except NumuneError as error:
                if error.kind is errors.NOT_FOUND:
                    unknown += 1
                    continue
                blamed = gone if error.kind is errors.PATIENT_MERGED else kept
                raise refused(error, blamed.place_of(error.kind)) from error
        return "Birleştirilecek kayıt laboratuvarda yok; yapılacak işlem yok." if unknown else ""

    # -- what is said back

    def _due(
        self, message: Message, code: str, problems: Sequence[ErrorLocation], answer: bytes | None
    ) -> bytes | None:
        """The answer that the sender wants (MSH-15, MSH-16): application, else commit, else none."""
        mode = hl7.ack_mode(message)
        ok = code == "AA"
        if mode.wants_application(ok):
            return answer if answer is not None else answers.refuse(message, code, problems, self._now())
        if mode.wants_accept(ok):
            return answers.commit_answer(message, code, problems, self._now())
        return None

    async def _in_anothers_name(self, message: Message, payload: bytes, sender: str, peer: str) -> bytes | None:
        """A message of a hospital that does not speak from there: refused, kept apart and shown.

        It takes no control id of that hospital, and the line is not taken for its own.
        """
        host = peer.rpartition(":")[0]
        words = _clean(f"{host} adresi {sender} adına konuşamaz ([hbys.hastaneler] izinli); mesaj alınmadı.")
        await self._keep_apart(payload, peer, words, words)
        return self._due(message, "AR", [Place("MSH", 1, 3).error(NOT_IN_TABLE, words)], None)

    async def _no_message(self, payload: bytes, peer: str, why: str) -> bytes:
        """Bytes in a block that are no HL7 message: kept, shown, refused; the line goes on."""
        notice = f"Hastane hattından HL7 olmayan bir mesaj geldi ({peer.partition(':')[0]})."
        await self._keep_apart(payload, peer, why, notice)
        header = hl7.header(
            type=("ACK",),
            control_id=answers.new_control_id(),
            now=self._now(),
            sending=(self._settings.application, self._settings.facility),
        )
        problem = ErrorLocation(code=SEQUENCE, text="Mesaj okunamadı: HL7 iletisi değil.")
        return hl7.message([header, hl7.segment("MSA", "AR"), *hl7.error_segments([problem], "2.5.1", hl7.STANDARD)])

    async def _keep_apart(self, payload: bytes, peer: str, why: str, notice: str) -> None:
        """Under no hospital's name, by its content; once."""
        actor = actor_of("", "", peer)
        values = {
            "direction": INCOMING,
            "sender": "?",
            "control_id": "?" + hashlib.blake2b(payload, digest_size=16).hexdigest(),
            "message_type": "",
            "content": payload,
            "outcome": "AR",
            "explanation": why,
        }
        try:
            async with self._database.work(actor) as work:
                await work.session.execute(insert(HospitalMessage).values(values).on_conflict_do_nothing())
                await raise_notice(work, notice)
        except AWAY as error:
            log.warning("rubbish not kept", extra={"action": "hospital_rubbish", "why": type(error).__name__})

    def _now(self) -> datetime:
        return datetime.now(self._zone)


def _must_be_named(person: PersonSaid) -> None:
    if not person.has_number:
        raise Refused(Place(person.segment, field=3).error(MISSING, "Hastanın kimliği (PID-3) yok."))


async def _close(
    work: Work, id: int, outcome: str, answer: bytes | None, explanation: str | None, order_id: int | None
) -> None:
    await work.session.execute(
        update(HospitalMessage)
        .where(HospitalMessage.id == id)
        .values(outcome=outcome, answer=answer, explanation=explanation, order_id=order_id)
        .execution_options(synchronize_session=False)
    )


def _key(message: Message) -> str:
    """MSH-10 as kept; a longer or missing one by its digest."""
    control_id = _clean(message.control_id.strip())
    if 0 < len(control_id) <= _LONGEST_KEY:
        return control_id
    of = control_id.encode() if control_id else message.raw
    return "?" + hashlib.blake2b(of, digest_size=16).hexdigest()


def _variant(key: str, message: Message) -> str:
    """Where another message under a used control id is kept."""
    digest = hashlib.blake2b(b"".join(_body(message.raw)), digest_size=8).hexdigest()
    return f"{key[: _LONGEST_KEY - len(digest) - 1]}#{digest}"


def _body(content: bytes) -> list[bytes]:
    """Everything after MSH: a repeated message may carry a new time and sequence number there."""
    return content.replace(b"\n", b"\r").rstrip(b"\r").split(b"\r")[1:]


def _clean(words: str) -> str:
    return words.replace("\x00", "")
