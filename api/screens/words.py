"""How things are said on screen: dates, ages, states, kinds. The words are those of `docs/sozluk.md`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from markupsafe import Markup

from lis_core.domain.states import Priority, TestState, TubeState
from lis_core.domain.turkish import search_key, upper
from lis_core.settings import ISTANBUL
from lis_core.views.order_view import age_in_years
from lis_core.views.signs import Sign

NOTHING = "–"

TEST_STATES: dict[TestState, tuple[str, str]] = {
    TestState.ORDERED: ("○", "istendi"),
    TestState.COLLECTED: ("◔", "alındı"),
    TestState.ACCEPTED: ("◑", "kabul edildi"),
    TestState.RUNNING: ("◕", "cihazda"),
    TestState.RESULTED: ("●", "sonuçlandı"),
    TestState.TECHNICALLY_APPROVED: ("✓", "teknik onaylı"),
    TestState.CLINICALLY_APPROVED: ("✓✓", "klinik onaylı"),
    TestState.REJECTED: ("✕", "reddedildi"),
    TestState.CANCELLED: ("–", "iptal edildi"),
}
"""A sign and a word for each state."""

TUBE_STATES: dict[TubeState, tuple[str, str]] = {
    TubeState.EXPECTED: ("○", "bekleniyor"),
    TubeState.COLLECTED: ("◔", "alındı"),
    TubeState.DISPATCHED: ("→", "yolda"),
    TubeState.RECEIVED: ("✓", "kabul edildi"),
    TubeState.CONDITIONAL: ("!", "şartlı kabul"),
    TubeState.REJECTED: ("✕", "reddedildi"),
}

EVENTS = {
    "istem": "İstem yapıldı",
    "alindi": "Numune alındı",
    "yolda": "Yola çıktı",
    "kabul": "Kabul edildi",
    "sartli_kabul": "Şartlı kabul edildi",
    "ret": "Reddedildi",
    "cihazda": "Cihazda okundu",
    "sonuc": "Sonuç geldi",
    "teknik_onay": "Teknik onay",
    "klinik_onay": "Klinik onay",
    "tekrar": "Tekrar istendi",
    "teknik_geri": "Teknik onay geri alındı",
    "klinik_geri": "Klinik onay geri alındı",
    "kosu_secimi": "Koşu seçildi",
}

CLINICAL_WORDS = {"gebe": "gebe", "sigara": "sigara içiyor", "emziren": "emziriyor", "diyaliz": "diyaliz"}

MESSAGE_STATES = {
    "islendi": ("good", "işlendi"),
    "kismen": ("warn", "kısmen işlendi"),
    "tekrar": ("", "tekrar geldi"),
    "yarim": ("bad", "yarım kaldı"),
    "hata": ("bad", "okunamadı"),
    "sorgu": ("", "sorgu"),
    "bos": ("", "sonuç yok"),
}

LINE_KINDS = {"tcp-sunucu": "TCP (dinler)", "tcp-istemci": "TCP (bağlanır)", "seri": "Seri port", "klasor": "Klasör"}

CAUSES = {
    "numune_yok": "Numune numarası kayıtlı değil",
    "test_tanimsiz": "Cihazın test kodu tanımlı değil",
    "istemde_yok": "Tetkik bu istemde yok",
    "materyal": "Materyal bu tetkike uygun değil",
    "kapali": "İstem kapanmış ya da tetkik iptal",
    "onayli": "Onaylı sonucun üstüne sonuç geldi",
    "numunesiz": "Sonuçta numune numarası yok",
    "birim": "Birim beklenenden farklı",
    "deger": "Değer okunamadı",
    "belirsiz": "Hangi zaman noktasına ait olduğu belli değil",
    "cihaz_yok": "Hattın cihazı tanımlı değil",
    "adim_yok": "Cihazın bildirdiği iş adımı bizde yok",
    "adim_iptal": "İş adımı iptal edilmişti",
    "geri_cekildi": "Cihaz sonucu geri çekti",
    "kesin_degil": "Cihaz sonucu kesinleştirmedi",
}

_SIGN_CLASSES = {
    Sign.PANIC: "panic",
    Sign.DELTA: "delta",
    Sign.QC: "qc",
    Sign.INSTRUMENT: "device",
    Sign.HELD: "held",
    Sign.ABNORMAL: "abnormal",
    Sign.HIGH: "high",
    Sign.LOW: "low",
}


def local(at: datetime) -> datetime:
    """On Turkey's clock."""
    return at.astimezone(ISTANBUL)


def day(at: date | datetime | None) -> str:
    """GG.AA.YYYY."""
    if at is None:
        return NOTHING
    return (local(at) if isinstance(at, datetime) else at).strftime("%d.%m.%Y")


def clock(at: datetime | None) -> str:
    """SS:DD."""
    return NOTHING if at is None else local(at).strftime("%H:%M")


def clock_s(at: datetime | None) -> str:
    """SS:DD:ss, where seconds matter (traffic)."""
    return NOTHING if at is None else local(at).strftime("%H:%M:%S")


def clock_ms(at: datetime) -> str:
    """SS:DD:ss,mmm: bytes on a line."""
    return local(at).strftime("%H:%M:%S,") + f"{at.microsecond // 1000:03d}"


def clock_of(seconds: float) -> str:
    """SS:DD:ss of seconds since the epoch."""
    return datetime.fromtimestamp(seconds, ISTANBUL).strftime("%H:%M:%S")


def moment(at: datetime | None) -> str:
    """GG.AA.YYYY SS:DD."""
    return NOTHING if at is None else local(at).strftime("%d.%m.%Y %H:%M")


def moment_short(at: datetime | None) -> str:
    """Only the time for today, day and time for another day."""
    if at is None:
        return NOTHING
    there = local(at)
    return clock(at) if there.date() == datetime.now(ISTANBUL).date() else there.strftime("%d.%m. %H:%M")


def waited(since: datetime, now: datetime | None = None) -> str:
    """How long something waits: "4 dk", "2 sa", "3 gün"."""
    minutes = int(((now or datetime.now(ISTANBUL)) - since).total_seconds() // 60)
    if minutes < 1:
        return "şimdi"
    if minutes < 60:
        return f"{minutes} dk"
    if minutes < 48 * 60:
        return f"{minutes // 60} sa"
    return f"{minutes // 1440} gün"


def days_before(at: datetime, then: datetime | None) -> str:
    """How many days before another moment: "3 gün", "bugün"."""
    days = (local(then or datetime.now(ISTANBUL)).date() - local(at).date()).days
    return "aynı gün" if days == 0 else f"{days} gün"


def age(born: date | None, on: datetime | date | None = None) -> str:
    """Age as a laboratory needs it: days for newborns, months for infants, years after."""
    if born is None:
        return "yaş ?"
    today = local(on).date() if isinstance(on, datetime) else (on or datetime.now(ISTANBUL).date())
    days = (today - born).days
    if days < 0:
        return "yaş ?"
    if days < 60:
        return f"{days} günlük"
    years = age_in_years(born, today) or 0
    if years < 2:
        months = (today.year - born.year) * 12 + today.month - born.month - (today.day < born.day)
        return f"{months} aylık"
    return f"{years} yaş"


def sex(letter: str | None) -> str:
    return {"F": "Kadın", "M": "Erkek"}.get(letter or "", "cinsiyet ?")


def sex_letter(letter: str | None) -> str:
    return {"F": "K", "M": "E"}.get(letter or "", "?")


def short_name(given: str, family: str) -> str:
    """Surname first, as people are called in a laboratory: "ŞIĞIRCI İ."."""
    return f"{upper(family)} {given[:1]}.".strip()


def percent(change: Decimal | None) -> str:
    """A change with its sign: "+64 %"; "" where there is none."""
    if change is None:
        return ""
    if abs(change) >= 1000:
        return ">+999 %" if change > 0 else "<-999 %"
    return f"{change:+.0f} %".replace("-", "−") if abs(change) >= Decimal("0.5") else "0 %"


def percent_class(change: Decimal | None) -> str:
    return "" if change is None or abs(change) < 20 else "moved"


def conditions(clinical: Mapping[str, Any]) -> list[str]:
    """Special conditions of the patient in words, those that are simply true first."""
    found = [words for key, words in CLINICAL_WORDS.items() if clinical.get(key) is True]
    found += [str(key) for key, value in clinical.items() if value is True and key not in CLINICAL_WORDS]
    if clinical.get("sat"):
        found.append(f"SAT {clinical['sat']}")
    return found


def clinical_note(clinical: Mapping[str, Any]) -> str:
    """Free text of the order."""
    return " · ".join(str(clinical[key]) for key in ("on_tani", "not") if clinical.get(key))


def value_class(flag: str) -> str:
    return {"Y": "out high", "D": "out low", "P!": "out panic", "A": "out abnormal"}.get(flag, "")


def sign_class(sign: Sign | str) -> str:
    return _SIGN_CLASSES[Sign(sign)]


def sign_words(sign: Sign | str) -> str:
    return Sign(sign).words


def test_state(state: TestState) -> tuple[str, str]:
    return TEST_STATES[state]


def tube_state(state: TubeState) -> tuple[str, str]:
    return TUBE_STATES[state]


def tube_class(colour: str) -> str:
    """Class of a cap colour; a colour without one is drawn grey, its name stands beside it anyway."""
    return f"tube-{search_key(colour)}" if search_key(colour).isascii() and search_key(colour).isalpha() else ""


def priority_words(priority: Priority) -> str:
    return {Priority.URGENT: "ACİL", Priority.PRIORITY: "öncelikli", Priority.ROUTINE: "rutin"}[priority]


_CONTROLS = (
    "NUL SOH STX ETX EOT ENQ ACK BEL BS HT LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US"
)
_CONTROL_NAMES = _CONTROLS.split(" ")
"""Names of the bytes 0 to 31."""


def key_words(key: str) -> str:
    """A key as its cap says it: "shift+h" -> "Shift H"."""
    return " ".join(part.upper() if len(part) == 1 else part[:1].upper() + part[1:] for part in key.split("+"))


def iso_moment(text: str) -> str:
    """An instrument's own time ("2026-11-22T10:16:47") as GG.AA.YYYY SS:DD; a text that is no time stays as it is."""
    try:
        return datetime.fromisoformat(text).strftime("%d.%m.%Y %H:%M:%S")
    except ValueError:
        return text or NOTHING


def visible_bytes(content: bytes, limit: int = 200_000) -> Markup:
    """Bytes of a message for people: control characters as names (`<STX>`), a new line after each CR or LF."""
    parts: list[str | Markup] = []
    text: list[str] = []

    def flush() -> None:
        if text:
            parts.append(_decoded(bytes(ord(letter) for letter in text)))
            text.clear()

    shown = content[:limit]
    for place, byte in enumerate(shown):
        if byte >= 32 and byte != 127:
            text.append(chr(byte))
            continue
        flush()
        name = "DEL" if byte == 127 else _CONTROL_NAMES[byte]
        parts.append(Markup('<b class="control">&lt;{}&gt;</b>').format(name))
        follows_lf = byte == 13 and place + 1 < len(shown) and shown[place + 1] == 10
        if byte in (10, 13) and not follows_lf:
            parts.append("\n")
    flush()
    if len(content) > limit:
        parts.append(f"\n… {len(content) - limit} bayt daha")
    return Markup("").join(parts)


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1254", errors="replace")


FILTERS: dict[str, Callable[..., Any]] = {
    "day": day,
    "clock": clock,
    "clock_s": clock_s,
    "clock_ms": clock_ms,
    "clock_of": clock_of,
    "moment": moment,
    "moment_short": moment_short,
    "waited": waited,
    "age": age,
    "sex": sex,
    "sex_letter": sex_letter,
    "percent": percent,
    "percent_class": percent_class,
    "conditions": conditions,
    "clinical_note": clinical_note,
    "value_class": value_class,
    "sign_class": sign_class,
    "sign_words": sign_words,
    "tube_class": tube_class,
    "priority_words": priority_words,
    "key_words": key_words,
    "iso_moment": iso_moment,
    "visible_bytes": visible_bytes,
    "folded": search_key,
}
GLOBALS: dict[str, Any] = {
    "test_state": test_state,
    "tube_state": tube_state,
    "short_name": short_name,
    "days_before": days_before,
    "event_words": EVENTS,
    "message_states": MESSAGE_STATES,
    "line_kinds": LINE_KINDS,
    "causes": CAUSES,
    "NOTHING": NOTHING,
}
