"""A line as its form shows it, and what the form says: kind, address, link, the machine's own settings, its gateway.

What a model's documentation leaves to the site (widths of columns, where an identifier stands) is declared in its
definition; the fields for it are made from there. A field that is left empty keeps the definition's default, which
nobody has proven at this machine: the form says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData

from api.screens import line_words
from drivers.definition import Definition, DefinitionError
from drivers.gateway.gateway import text_link
from drivers.gateway.work_line import WorkTiming
from drivers.law_reading import law_of
from drivers.links.networks import Networks
from drivers.protocols.astm_link import LinkOptions
from drivers.protocols.mllp import MllpOptions
from drivers.protocols.poct1a_words import Poct1aOptions
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.storage.tables import Connection

SERIAL_DEFAULTS = {"hiz": "9600", "veri": "8", "parite": "N", "dur": "1", "akis": ""}
FOLDER_DEFAULTS = {"bekleme": "3", "aralik": "1", "desenler": "*"}
OURS = frozenset(
    (
        *SERIAL_DEFAULTS,
        *FOLDER_DEFAULTS,
        "ikinci",
        "hat",
        "parametre",
        "is_hatti",
        "is_dagitimi",
        "izinli",
        "tls",
        "yukleme_gonder",
    )
)
"""Settings of a line that this form knows; the others stay as they are."""
PUSHING = {"": "tanımdaki gibi", "evet": "tüp okutulunca konumuyla gönderilir", "hayir": "gönderilmez"}
"""Whether the work of a load list goes to an ASTM analyser unasked."""
DISTRIBUTION = {"": "tanımdaki gibi", "sorgu": "cihaz sorunca", "yayin": "sorulmadan, istem gelince"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A setting of the machine that its definition declares. `value`: what the site wrote, "" = nobody did."""

    name: str
    meaning: str
    default: str
    choices: tuple[str, ...]
    whole: bool
    value: str

    @property
    def proven(self) -> bool:
        """True where somebody at this machine wrote it, also where he wrote the default."""
        return self.value != ""


@dataclass(frozen=True, slots=True)
class LineForm:
    """A line as the form shows it. `hat`: options chosen besides the definition."""

    id: int
    name: str
    kind: str
    address: str
    second: str
    serial: Mapping[str, str]
    folder: Mapping[str, str]
    hat: Mapping[str, Any]
    parameters: tuple[Parameter, ...]
    work_line: str
    distribution: str
    active: bool
    gateway: str
    """Name of the remote gateway where it stands; "" = the centre's own."""
    allowed: str = ""
    """Networks that may connect; "" = those of the operator's settings, else everybody."""
    tls: str = ""
    """Name of the `[tls.*]` table of the operator's settings; "" = plain."""
    pushing: str = ""
    """One of PUSHING."""

    @property
    def remote(self) -> bool:
        return self.gateway != ""

    @property
    def unproven(self) -> int:
        """Settings of the machine that are still the definition's guess."""
        return sum(not one.proven for one in self.parameters)


def line_form(
    line: Connection | None, definition: Definition | None, gateways: Mapping[int, str], code: str = ""
) -> LineForm:
    """The form of a line; None: of a new one. gateways: names by id."""
    if line is None:
        usual = _usual_kind(definition)
        return LineForm(
            0, code, usual, "", "yenisi", dict(SERIAL_DEFAULTS), dict(FOLDER_DEFAULTS), {},
            parameters_of(definition, {}), "", "", True, "",
        )  # fmt: skip
    settings = line.settings
    serial = {name: str(settings.get(name, usual)) for name, usual in SERIAL_DEFAULTS.items()}
    folder = {name: _shown(settings.get(name, usual)) for name, usual in FOLDER_DEFAULTS.items()}
    return LineForm(
        line.id, line.name, line.kind, line.address, str(settings.get("ikinci", "yenisi")), serial, folder,
        dict(settings.get("hat", {})), parameters_of(definition, settings.get("parametre") or {}),
        str(settings.get("is_hatti", "")), str(settings.get("is_dagitimi", "")), line.active,
        gateways.get(line.gateway_id or 0, ""), _shown(settings.get("izinli") or ""), str(settings.get("tls") or ""),
        {True: "evet", False: "hayir"}.get(settings.get("yukleme_gonder"), ""),  # type: ignore[arg-type]
    )  # fmt: skip


def _usual_kind(definition: Definition | None) -> str:
    """The kind of line that a new form begins with: what the model's definition says, else TCP."""
    if definition is None:
        return "tcp-sunucu"
    links = definition.file.links
    if definition.protocol == "tablo" or links == ["file"]:
        return "klasor"
    if "tcp" in links:
        return "tcp-istemci" if definition.file.link.connects == "host" else "tcp-sunucu"
    return "seri" if "serial" in links else "tcp-sunucu"


def _shown(value: object) -> str:
    if isinstance(value, list):
        return " ".join(str(one) for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def parameters_of(definition: Definition | None, given: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """The machine's settings that a definition declares, with what the site wrote of them."""
    read_as_text = definition is not None and definition.protocol in ("metin", "poct1a")
    text = definition.file.text if definition is not None and read_as_text else None
    return tuple(
        Parameter(
            name, one.meaning, str(one.default), tuple(str(choice) for choice in one.choices),
            isinstance(one.default, int), str(given[name]) if name in given else "",
        )
        for name, one in (text.parameters if text is not None else {}).items()
    )  # fmt: skip


# ---- what a form says


def line_of(form: FormData, definition: Definition | None) -> tuple[str, str, dict[str, Any]]:
    """Kind, address and settings of a line. Raises INVALID_INPUT for what cannot be opened."""
    kind, address = word(form, "tur"), word(form, "adres")
    _check_address(kind, address)
    settings: dict[str, Any] = {}
    if kind == "seri":
        settings |= _serial(form)
    elif kind == "klasor":
        settings |= _folder(form)
    settings |= _security(form, kind)
    if word(form, "ikinci") in line_words.SECOND and word(form, "ikinci") != "yenisi":
        settings["ikinci"] = word(form, "ikinci")
    if hat := _link(form, definition, kind):
        settings["hat"] = hat
    if parameters := _parameters(form, definition):
        settings["parametre"] = parameters
    if definition is not None and law_of(definition.file) is not None:
        settings |= _law(form)
    if definition is not None and definition.pushes and (chosen := word(form, "yukleme_gonder")) in PUSHING and chosen:
        settings["yukleme_gonder"] = chosen == "evet"
    return kind, address, settings


def _check_address(kind: str, address: str) -> None:
    if kind not in line_words.KINDS:
        raise _wrong("hat türü seçilmedi")
    if kind == "seri":
        if not address or any(letter.isspace() for letter in address):
            raise _wrong("seri portun yolu yazılmalı (örnek: /dev/ttyUSB0)")
    elif kind == "klasor":
        if not address.startswith("/"):
            raise _wrong("klasörün tam yolu yazılmalı (örnek: /srv/cihaz/sonuclar)")
    elif re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}", address) is None or _port(address) > 65535:
        raise _wrong("adres sunucu:port biçiminde olmalı (örnek: 0.0.0.0:5001)")


def _link(form: FormData, definition: Definition | None, kind: str) -> dict[str, Any]:
    """`hat`: options of the link chosen besides the definition, proven by making the link with them."""
    protocol = definition.protocol if definition is not None else "astm"
    try:
        hat = line_words.link_settings({name: str(value) for name, value in form.items()}, options_of(definition))
        chosen = {**(definition.link_options() if definition is not None else {}), **hat}
        if protocol == "hl7":
            MllpOptions(**chosen)
        elif protocol == "astm":
            LinkOptions(**chosen)
        elif protocol == "poct1a":
            Poct1aOptions(**chosen)
        elif definition is not None and kind != "klasor" and protocol in ("metin", "tablo"):
            text_link(definition, chosen)
    except (ValueError, TypeError) as error:
        raise _wrong(f"bağlantı seçeneği: {error}") from error
    return hat


def options_of(definition: Definition | None) -> Sequence[line_words.LinkOption]:
    """Options that the link of this model has."""
    if definition is None:
        return line_words.options_of("astm")
    wire = definition.file.wire
    return line_words.options_of(definition.protocol, wire.kind if wire is not None else "")


def _parameters(form: FormData, definition: Definition | None) -> dict[str, int | str]:
    """`parametre`: what was written, each by what its definition allows. Raises INVALID_INPUT naming the field."""
    written: dict[str, int | str] = {}
    for one in parameters_of(definition, {}):
        text = word(form, f"parametre.{one.name}")
        if not text:
            continue
        if one.choices and text not in one.choices:
            raise _wrong(f"{one.meaning} ({one.name}): {text} olamaz; seçenekler: {', '.join(one.choices)}")
        if one.whole and (not text.isdecimal() or int(text) > 999):
            raise _wrong(f"{one.meaning} ({one.name}): 0 ile 999 arasında bir tam sayı yazın, “{text}” değil")
        written[one.name] = int(text) if one.whole else text
    if written and definition is not None:
        try:
            definition.at_site(written).prepare()
        except DefinitionError as error:
            raise _wrong(f"cihazın ayarları: {error}") from error
    return written


def _law(form: FormData) -> dict[str, Any]:
    """Settings of an IHE LAW line: which line carries its work, and whether it is sent unasked."""
    settings: dict[str, Any] = {}
    if line := word(form, "is_hatti"):
        settings["is_hatti"] = line
    if (given := word(form, "is_dagitimi")) in DISTRIBUTION and given:
        settings["is_dagitimi"] = given
    return settings


def check_work_line(name: str, settings: Mapping[str, Any], gateway: str, lines: Sequence[LineForm]) -> None:
    """A LAW line's work goes over a line of the same instrument in the same house. Raises INVALID_INPUT."""
    if gateway and settings.get("yukleme_gonder"):
        raise _wrong("yükleme listesindeki işler uzak geçitteki bir hatta gönderilemez; tüpleri cihazdan girin")
    WorkTiming.of(dict(settings))
    wanted = settings.get("is_hatti")
    if not wanted or wanted == name:
        return
    found = next((line for line in lines if line.name == wanted), None)
    if found is None:
        raise _wrong(f"iş hattı {wanted} bu cihazın hatlarından biri değil; önce o hattı ekleyin")
    if found.gateway != gateway:
        raise _wrong(f"iş hattı {wanted} başka bir geçitte; iki hat aynı geçitte olmalı")


def _serial(form: FormData) -> dict[str, Any]:
    speed = whole(word(form, "hiz") or "9600", "hız", 4_000_000)
    allowed = {
        "veri": ("7", "8"),
        "parite": ("N", "E", "O", "M", "S"),
        "dur": ("1", "1.5", "2"),
        "akis": ("", "xonxoff", "rtscts", "dsrdtr"),
    }
    chosen = {name: word(form, name) or SERIAL_DEFAULTS[name] for name in allowed}
    for name, values in allowed.items():
        if chosen[name] not in values:
            raise _wrong(f"{name}: {chosen[name]} olamaz")
    return {
        "hiz": speed,
        "veri": int(chosen["veri"]),
        "parite": chosen["parite"],
        "dur": float(chosen["dur"]) if "." in chosen["dur"] else int(chosen["dur"]),
        **({"akis": chosen["akis"]} if chosen["akis"] else {}),
    }


def _security(form: FormData, kind: str) -> dict[str, Any]:
    """Who may connect, and the certificates; only lines over the network have them."""
    settings: dict[str, Any] = {}
    if kind == "tcp-sunucu" and (texts := word(form, "izinli").replace(",", " ").split()):
        try:
            Networks.of(texts)
        except ValueError as error:
            raise _wrong(f"izinli ağlar: {error}") from error
        settings["izinli"] = texts
    if kind in ("tcp-sunucu", "tcp-istemci") and (label := word(form, "tls")):
        if re.fullmatch(r"[a-z0-9-]{1,40}", label) is None:
            raise _wrong("TLS: ayar dosyasındaki [tls.*] tablosunun adını yazın (örnek: cihaz)")
        settings["tls"] = label
    return settings


def _folder(form: FormData) -> dict[str, Any]:
    """How a folder is watched; what is as usual is not written."""
    settings: dict[str, Any] = {}
    for name, caption, least, most in (("bekleme", "bekleme", 0.5, 600.0), ("aralik", "bakma aralığı", 0.2, 600.0)):
        written = word(form, name) or FOLDER_DEFAULTS[name]
        try:
            seconds = float(written.replace(",", "."))
        except ValueError as error:
            raise _wrong(f"{caption}: {written} bir sayı değil") from error
        if not least <= seconds <= most:
            raise _wrong(f"{caption}: {least:g} ile {most:g} saniye arasında olmalı")
        if seconds != float(FOLDER_DEFAULTS[name]):
            settings[name] = seconds
    patterns = word(form, "desenler").replace(",", " ").split()
    if any("/" in pattern for pattern in patterns):
        raise _wrong("dosya adı deseninde / olamaz (örnek: *.csv)")
    if patterns and patterns != ["*"]:
        settings["desenler"] = patterns
    return settings


def word(form: FormData, name: str) -> str:
    """A field of the form, without blanks around it; "" where it is not there."""
    value = form.get(name)
    return value.strip()[:300] if isinstance(value, str) else ""


def whole(written: str, caption: str, most: int) -> int:
    """A whole number from 0 to `most`. Raises INVALID_INPUT."""
    if not written.isdecimal() or int(written) > most:
        raise _wrong(f"{caption}: 0 ile {most} arasında bir tam sayı yazın")
    return int(written)


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _wrong(problem: str) -> NumuneError:
    return NumuneError(errors.INVALID_INPUT, problem=problem)
