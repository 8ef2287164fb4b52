"""One connection of a point-of-care device (POCT1-A): the conversation's codec, spool and gateway meet here.

A document with results is acknowledged after the spool has it on disk, not before (invariant 1).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from drivers.gateway.collector import Collected, message_key
from drivers.gateway.line import LineBook, disk_words
from drivers.gateway.peer_session import PeerSession
from drivers.gateway.spool import Place
from drivers.messages import Query, WorkOrder
from drivers.protocols.poct1a import Operator, Patient
from drivers.protocols.poct1a_host import HostLink
from drivers.protocols.poct1a_words import Asked, Ended, Event, Greeted, Poct1aOptions, Told
from drivers.protocols.text_link import BlockReceived, BlockRefused, Ignored, Note, SendFailed, Why

if TYPE_CHECKING:
    from drivers.gateway.gateway import Gateway

_REFUSED = {
    Why.CUT_OFF: "Belge yarıda kesildi; alınmadı.",
    Why.TOO_LONG: "Belge sınırdan uzun; alınmadı.",
    Why.SILENCE: "Cihaz belgenin ortasında sustu; belge alınmadı.",
}
_OURS = {
    "observations": "sonuç isteği",
    "events": "olay isteği",
    "time": "saat ayarı",
    "operators": "kullanıcı listesi",
    "continuous": "sürekli kip isteği",
    "patient": "hasta bilgisi",
    "keep alive": "hat denetimi",
    "end": "bitirme isteği",
}
_ENDED = {
    "all said": "Konuşma bitti, hat kapatıldı.",
    "device gone": "Cihaz hat denetimine yanıt vermedi; bağlantı kapatıldı.",
    "end unanswered": "Cihaz bitirme isteğine yanıt vermedi; bağlantı kapatıldı.",
    "end refused": "Cihaz bitirme isteğini reddetti; bağlantı kapatıldı.",
}


class Poct1aSession(PeerSession):
    """Feed from a transport."""

    def __init__(self, gateway: Gateway, book: LineBook, options: Poct1aOptions) -> None:
        """Raises ValueError: `kullanicilar` of the line is no operator list."""
        super().__init__(gateway, book)
        self._link = HostLink(options, lambda: datetime.now(gateway.zone), operators_of(book.spec.settings))

    def _begun(self) -> None:
        self._handle(self._link.connection_made(self._loop.time()))

    def _received(self, data: bytes) -> None:
        self._handle(self._link.receive_data(data, self._loop.time()))

    def _lost(self) -> None:
        self._handle(self._link.connection_lost(self._loop.time()))

    # -- what the conversation reports

    def _handle(self, events: Sequence[Event]) -> None:
        over = False
        for event in events:
            if isinstance(event, BlockReceived):
                self._store(event)
            elif isinstance(event, Asked):
                self._gateway.start(self._tell_patient(event))
            elif isinstance(event, Ended):
                self._book.note(_ENDED.get(event.why, "Cihaz konuşmayı bitirdi."))
                over = True
            else:
                self._report(event)
        self._write(self._link.data_to_send())
        if over:
            self._stop_timer()
            self.close()
        else:
            self._set_timer()

    def _report(self, event: Event) -> None:
        if isinstance(event, Greeted):
            who = " ".join(filter(None, (event.hello.vendor, event.hello.model, event.hello.serial)))
            self._book.note(f"Cihaz kendini tanıttı: {who or event.hello.device_id or 'adsız'}.")
        elif isinstance(event, Told):
            if event.status.observations:
                self._book.note(f"Cihazda bekleyen sonuç: {event.status.observations}.")
        elif isinstance(event, BlockRefused):
            self._book.trouble(_REFUSED.get(event.why, _REFUSED[Why.CUT_OFF]))
        elif isinstance(event, Ignored):
            self._book.trouble(f"Anlamsız {len(event.data)} bayt geldi; yok sayıldı.")
        elif isinstance(event, SendFailed):
            what = _OURS.get(str(event.token), str(event.token))
            if event.why is Why.CONNECTION_LOST:  # it is said again when the device calls again
                self._book.note(f"Bağlantı bitti; cihaza verilemeden kaldı: {what}.")
            else:
                self._book.trouble(f"Cihaza verilemedi: {what} (cihaz yanıt vermedi).")
        elif isinstance(event, Note):
            self._note(event.what)

    def _note(self, what: str) -> None:
        head, _, rest = what.partition(": ")
        if head == "refused":
            job, _, note = rest.partition(" ")
            if job == "keep":
                job, note = "keep alive", note.partition(" ")[2]
            self._book.trouble(f"Cihaz reddetti: {_OURS.get(job, job)}" + (f" ({note})." if note else "."))
        elif head == "escaped":
            self._book.trouble(f"Cihaz işlemi yarıda bıraktı ({rest or 'neden belirtmedi'}).")
        elif head == "asked":
            self._book.note(f"Cihaz {rest or 'bir liste'} istedi; bu hatta verilmez, cihaza bildirildi.")
        elif head == "out of turn":
            self._book.note(f"{rest} sırası değilken geldi; yine de işlendi.")
        elif what == "document type declared":
            self._book.trouble("XML içinde belge türü bildirimi geldi; güvenlik için alınmadı, belge onsuz okundu.")
        elif what == "block repeated":
            self._book.note("Cihaz bir belgeyi yineledi (yanıtımız ulaşmamış olmalı); bir kez alındı.")
        elif what == "continuous":
            self._book.note("Cihaz sürekli kipe geçti: sonuçları ölçtükçe gönderecek.")
        else:
            self._book.note(f"Hat bilgisi: {what}")

    # -- documents

    def _store(self, block: BlockReceived) -> None:
        received = time.time_ns()
        spool = self._gateway.spool

        def kept(error: OSError | None) -> None:
            self._kept(block, place, received, error)

        place = spool.append(
            self._book.spec.name, spool.new_transfer(), received, True, block.raw, 0, len(block.raw), kept
        )

    def _kept(self, block: BlockReceived, place: Place, received: int, error: OSError | None) -> None:
        """The spool has the document on disk, or cannot have it."""
        if error is not None:
            # No answer: the device keeps it and sends it again.
            self._book.trouble(f"Diske yazılamadı ({disk_words(error)}); cihaza yanıt verilmedi.")
            self._handle(self._link.not_stored(self._loop.time()))
            return
        events = self._link.stored(self._loop.time()) if self._open else []
        self._write(self._link.data_to_send())
        key = message_key(self._gateway.spool.identity, place)
        message = Collected(self._book.spec.name, key, received, block.text, block.raw, (place,))
        self._gateway.kept(self._book, message)
        self._handle(events)

    # -- to whom a number belongs

    async def _tell_patient(self, asked: Asked) -> None:
        """The number is looked up as a tube's or an order's, as in a host query; a patient number finds nobody."""
        orders = await self._gateway.orders_for(self._book, Query(specimens=[asked.identifier]))
        if not self._open:
            return
        now = self._loop.time()
        if orders is None:
            self._handle(self._link.refuse(asked, "not available now", now))
        else:
            self._handle(self._link.patients(asked, patients_of(asked.identifier, orders), now))

    # -- time

    def _set_timer(self) -> None:
        self._stop_timer()
        deadline = self._link.deadline()
        if deadline is not None and self._open:
            self._timer = self._loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._open:
            self._handle(self._link.tick(self._loop.time()))


def patients_of(identifier: str, orders: Sequence[WorkOrder]) -> list[Patient]:
    """Who the device is told of: name, birth date, sex, under the number that it asked about."""
    return [
        Patient(
            identifier,
            one.patient.family_name,
            one.patient.given_name,
            one.patient.birth_date,
            {"K": "F", "E": "M"}.get(one.patient.sex, one.patient.sex),
        )
        for one in orders
        if one.known and one.patient is not None and one.specimen == identifier
    ][:1]


def operators_of(settings: Mapping[str, Any]) -> list[Operator] | None:
    """`kullanicilar` of a line: [{"kimlik": "5047", "ad": "...", "yetki": "1"}]; None where the line has none.

    Raises ValueError with a Turkish sentence.
    """
    given = settings.get("kullanicilar")
    if given is None:
        return None
    if not isinstance(given, list) or not all(isinstance(one, dict) and one.get("kimlik") for one in given):
        raise ValueError("kullanicilar: her satırda kimlik bulunan bir liste olmalı")
    return [
        Operator(str(one["kimlik"]), str(one.get("ad", "")), str(one.get("yetki", "1")), str(one.get("yontem", "ALL")))
        for one in given
    ]
