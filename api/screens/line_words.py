"""How lines, their options and definitions are said on screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

KINDS = {
    "tcp-sunucu": "TCP: biz dinleriz, cihaz bağlanır",
    "tcp-istemci": "TCP: cihaz dinler, biz bağlanırız",
    "seri": "Seri port (RS-232, USB dönüştürücü)",
    "klasor": "İzlenen klasör (cihaz dosya bırakır)",
}
ADDRESS_HINTS = {
    "tcp-sunucu": "0.0.0.0:5001 (bütün ağ kartları, 5001 portu)",
    "tcp-istemci": "10.0.0.7:5001 (cihazın adresi ve portu)",
    "seri": "/dev/ttyUSB0",
    "klasor": "/srv/cihaz/sonuclar",
}
STANDINGS = {
    "simulated": "yalnız taklit cihazla denendi",
    "replayed": "yakalanmış gerçek mesajlarla denendi",
    "documented": "yalnız belgeden yazıldı, denenmedi",
    "on-a-line": "bir laboratuvarda çalışıyor",
}
DIRECTIONS = {"results": "sonuç gönderir", "query": "iş sorar", "orders": "iş emri alır"}
LINKS = {"tcp": "ağ (TCP)", "serial": "seri port", "file": "dosya"}
SECOND = {
    "yenisi": "yenisi hattı devralır, eskisi kapatılır",
    "reddet": "ikincisi kapatılır",
    "birlikte": "ikisi de çalışır",
}
VERDICTS = {"iyi": ("good", "✓ Uygun"), "uyari": ("warn", "! Dikkat"), "kotu": ("bad", "✕ Olmadı")}
READ_KINDS = {"result": "sonuç", "qc": "kontrol", "query": "sorgu", "event": "olay", "order": "iş emri"}


@dataclass(frozen=True, slots=True)
class LinkOption:
    """One word of `hat`: what it means and what it may be. No choices: a number. wires: of texts of the makers' own
    kinds, the links ([wire] kind) that have it; empty = all."""

    name: str
    caption: str
    meaning: str
    protocol: str
    choices: tuple[tuple[str, str], ...] = ()
    unit: str = ""
    whole: bool = False
    wires: tuple[str, ...] = ()


_OWN_LINKS = ("block", "dimension", "lis3", "coulter", "bci", "ves-matic", "integra", "advia")
"""Links of texts whose limits a line may set; framed ASTM under a text has those of its own."""

OPTIONS = (
    LinkOption(
        "checksum", "Sağlama toplamı", "Cihaz sağlama göndermiyorsa “olmayabilir”; “bakılmaz” kabloyu gizler.", "astm",
        (("required", "zorunlu"), ("optional", "olmayabilir, yanlışı alınmaz"), ("none", "bakılmaz")),
    ),
    LinkOption(
        "framing", "Çerçeveleme", "Çerçeve numarası yoksa STX…ETX; hiç çerçeve yoksa çıplak kayıtlar.", "astm",
        (("e1381", "ASTM E1381"), ("stx-etx", "STX … ETX, numarasız"), ("raw", "çerçevesiz")),
    ),
    LinkOption(
        "number_modulus", "Çerçeve numaraları", "Cihaz numaraları standart dışı döndürüyorsa.", "astm",
        (("0-7", "0–7 (standart)"), ("0-9", "0–9"), ("1-7", "1–7"), ("any", "herhangi")),
    ),
    LinkOption(
        "require_enq", "ENQ ile başlar", "Cihaz ENQ göndermeden çerçeveye başlıyorsa “hayır”.", "astm",
        (("true", "evet"), ("false", "hayır")),
    ),
    LinkOption(
        "control_characters", "Denetim karakterleri", "Metinde LF gibi izinsiz karakter varsa “kabul”.", "astm",
        (("refuse", "reddedilir"), ("accept", "kabul edilir")),
    ),
    LinkOption(
        "interrupt", "Araya girme", "Biz gönderirken cihaz EOT derse: sırayı ona bırak ya da sürdür.", "astm",
        (("honour", "sıra cihaza"), ("ignore", "sürdür")),
    ),
    LinkOption("reply_limit", "Yanıt bekleme", "Cihazın ENQ ya da çerçeveye yanıtı için.", "astm", unit="saniye"),
    LinkOption("listen_limit", "Sessizlik sınırı", "Aktarım ortasında en uzun sessizlik.", "astm", unit="saniye"),
    LinkOption("turnaround", "Göndermeden önce ara", "Arada bekleme isteyen cihazlar için.", "astm", unit="saniye"),
    LinkOption("max_frame", "En uzun çerçeve", "Çok uzun çerçeveli cihazlar için.", "astm", unit="bayt", whole=True),
    LinkOption(
        "missing_vt", "VT olmadan", "Cihaz bloğun başına VT koymuyorsa “kabul”.", "hl7",
        (("false", "reddedilir"), ("true", "kabul edilir")),
    ),
    LinkOption("max_block", "En uzun HL7 bloğu", "Resim taşıyan mesajlar için.", "hl7", unit="bayt", whole=True),
    LinkOption(
        "checksum", "Denetim karakteri", "“Bakılmaz” bozuk kabloyu da gizler; hattın olaylarında yazar.", "metin",
        (("required", "tutmayan blok alınmaz"), ("none", "tutmasa da alınır")), wires=("block", "astm"),
    ),
    LinkOption(
        "check", "Denetimin hesabı", "Belgede yoksa denenir: tutmazsa hattın olaylarında yazar.", "metin",
        (("none", "yok"), ("xor", "XOR"), ("or", "OR"), ("sum", "toplam")), wires=("block",),
    ),
    LinkOption(
        "check_form", "Denetimin yazılışı", "Tek bayt mı, iki onaltılık rakam mı.", "metin",
        (("byte", "bir bayt"), ("hex", "iki onaltılık rakam")), wires=("block",),
    ),
    LinkOption(
        "check_covers", "Denetimin kapsadığı", "Hangi baytlar üzerinden hesaplandığı.", "metin",
        (("text", "yalnız metin"), ("end", "metin ve bitiş"), ("all", "başlangıçtan bitişe")), wires=("block",),
    ),
    LinkOption(
        "answer", "Yanıtlanır", "Yazıcı çıkışı gibi tek yönlü hatta “hayır”.", "metin",
        (("true", "evet, ACK / NAK"), ("false", "hayır")), wires=("block",),
    ),
    LinkOption("pause", "Kaydı bitiren sessizlik", "Bitiş karakteri olmayan metinde.", "metin", unit="saniye",
               wires=("block",)),
    LinkOption("poll", "Sorma aralığı", "Cihazın ne sıklıkla sorulacağı.", "metin", unit="saniye", wires=("integra",)),
    LinkOption("delay", "Yanıttan önce ara", "Hızlı yanıtı kaçıran cihazlar için.", "metin", unit="saniye",
               wires=("ves-matic", "advia")),
    LinkOption("listen_limit", "Sessizlik sınırı", "Blok ortasında en uzun sessizlik.", "metin", unit="saniye",
               wires=_OWN_LINKS),
    LinkOption("reply_limit", "Yanıt bekleme", "Cihazın yanıtı için.", "metin", unit="saniye", wires=_OWN_LINKS),
    LinkOption("max_block", "En uzun blok", "Uzun döküm gönderenler için.", "metin", unit="bayt", whole=True,
               wires=_OWN_LINKS),
    LinkOption(
        "framing", "Belgelerin arası", "Cihaz belgeleri MLLP karakterleri arasına koyuyorsa.", "poct1a",
        (("auto", "cihaz nasıl gönderiyorsa"), ("bare", "arasız"), ("mllp", "MLLP karakterleri")),
    ),
    LinkOption(
        "continuous", "Sürekli kip", "Sonuçlar ölçüldükçe gelir; cihaz desteklemiyorsa istenmez.", "poct1a",
        (("true", "istenir"), ("false", "istenmez")),
    ),
    LinkOption(
        "set_time", "Saat ayarı", "Cihazın saati Numune'ninkine ayarlanır; desteklemiyorsa ayarlanmaz.", "poct1a",
        (("true", "ayarlanır"), ("false", "ayarlanmaz")),
    ),
    LinkOption(
        "end", "Konuşmanın sonu", "Sürekli kip yoksa, her şey alındığında hattı kapatan taraf.", "poct1a",
        (("true", "biz bitiririz"), ("false", "cihaza bırakılır")),
    ),
    LinkOption(
        "ack_end_of_topic", "Konu sonu (EOT)", "Cihaz EOT'ye onay beklemiyorsa “onaylanmaz”.", "poct1a",
        (("true", "onaylanır"), ("false", "onaylanmaz")),
    ),
    LinkOption(
        "ack_id", "Onayın alanı", "Onayda mesaj numarasının durduğu yer; cihaz onayı tanımıyorsa.", "poct1a",
        (("ack_control_id", "ACK.ack_control_id (standart)"), ("control_id", "ACK.control_id")),
    ),
    LinkOption(
        "patients", "Hasta sorgusu", "Cihaz okuttuğu numaranın kime ait olduğunu sorarsa (RPAT).", "poct1a",
        (("false", "yanıtlanmaz"), ("true", "ad, doğum tarihi, cinsiyet verilir")),
    ),
    LinkOption("keep_alive", "Hat denetimi", "Bu kadar sessizlikten sonra cihaz yoklanır; 0: yoklanmaz.", "poct1a",
               unit="saniye"),
    LinkOption("answer_limit", "Yanıt bekleme", "Cihaz kendi süresini bildirmiyorsa.", "poct1a", unit="saniye"),
    LinkOption("turnaround", "İki mesajımız arası", "Art arda mesajı tek mesaj sanan cihazlar için.", "poct1a",
               unit="saniye"),
    LinkOption("max_message", "En uzun belge", "Çok uzun belge gönderenler için.", "poct1a", unit="bayt", whole=True),
)  # fmt: skip


def options_of(protocol: str, wire: str = "") -> tuple[LinkOption, ...]:
    """Options of a line that speaks this protocol. wire: for texts, the link that their definition names."""
    return tuple(
        option for option in OPTIONS if option.protocol == protocol and (not option.wires or wire in option.wires)
    )


def link_settings(form: Mapping[str, str], options: Sequence[LinkOption]) -> dict[str, Any]:
    """`hat` of a form: what was chosen besides the definition. Raises ValueError with a Turkish sentence."""
    chosen: dict[str, Any] = {}
    for option in options:
        written = form.get(f"hat.{option.name}", "").strip()
        if not written:
            continue
        if option.choices:
            if written not in dict(option.choices):
                raise ValueError(f"{option.caption}: {written} olamaz")
            chosen[option.name] = {"true": True, "false": False}.get(written, written)
        else:
            chosen[option.name] = _number(option, written)
    return chosen


def _number(option: LinkOption, written: str) -> int | float:
    try:
        number = float(written.replace(",", "."))
    except ValueError as error:
        raise ValueError(f"{option.caption}: {written} bir sayı değil") from error
    if not 0 <= number < 1e9:
        raise ValueError(f"{option.caption}: {written} sınırın dışında")
    return int(number) if option.whole else number


def option_words(option: LinkOption, value: object) -> str:
    """A value of an option in words."""
    word = {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    return dict(option.choices).get(word, f"{word} {option.unit}".strip())


_PARAMETERS = {
    "patient": "hasta numarası",
    "specimen": "numune (tüp) numarası",
    "istem": "istem alanı (ORD.order_id)",
    "PT": "hasta alanı (PT.patient_id)",
}


def parameter_words(value: str) -> str:
    """A choice of a machine's setting in words; a number stays what it is."""
    return _PARAMETERS.get(value, value)
