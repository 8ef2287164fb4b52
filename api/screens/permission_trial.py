"""What somebody's screens would be ("dene"): pages, buttons, limits of lists, from what the addresses declare.

Nothing is done or read in his name: his rights are held against the declarations, and that is all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fastapi import FastAPI

from api.access import Access, Door, Who, doors_of
from api.screens.shell import MENU, MenuItem
from lis_core.domain.permissions import P, Rights
from lis_core.storage.database import Actor
from lis_core.views.permission_words import PlaceNames

WORDS = {
    "POST /teknik-onay/{number}/onayla": "Onayla",
    "POST /teknik-onay/{number}/hepsi": "Hepsini onayla (normal)",
    "POST /teknik-onay/toplu": "Toplu onay",
    "POST /teknik-onay/{number}/tekrar": "Tekrar iste",
    "POST /teknik-onay/{number}/ret": "Numuneyi reddet",
    "POST /teknik-onay/{number}/deger": "Elle sonuç gir",
    "POST /teknik-onay/{number}/kosu": "Koşu seç",
    "POST /teknik-onay/{number}/geri": "Teknik onayı geri al",
    "POST /klinik-onay/{number}/onayla": "Onayla",
    "POST /klinik-onay/{number}/hepsi": "Hepsini onayla",
    "POST /klinik-onay/{number}/tekrar": "Tekrar iste",
    "POST /klinik-onay/{number}/geri": "Klinik onayı geri al",
    "POST /kabul/okut": "Tüp okut",
    "POST /kabul/ret": "Numuneyi reddet",
    "POST /kabul/sartli": "Şartlı kabul",
    "POST /istem": "İstem kaydet",
    "GET /istem/hasta": "Hasta ara",
    "GET /istem/{number}": "İstemi aç",
    "POST /istem/{number}/iptal": "İstemi iptal et",
    "GET /istem/{number}/etiket": "Etiket bas",
    "POST /istem/{number}/belge": "Hasta belgesi bas",
    "POST /istem/{number}/belge/istemiyor": "Hasta internetten gösterilmesini istemiyor",
    "POST /gizlilik/internet/ayar": "Hasta sayfasını aç / kapat",
    "POST /gizlilik/internet/kural": "Gösterilmeyen sonuç kuralı ekle",
    "POST /gizlilik/internet/gizli": "Gizli tetkik işaretle",
    "GET /cihazlar/kur": "Cihaz kur",
    "POST /cihazlar/{code}/hizmet": "Hizmete al / hizmetten çıkar",
    "POST /cihazlar/{code}/hat": "Hat tanımla",
    "POST /cihazlar/hat/{line_id}/durum": "Hattı aç / kapat",
    "POST /cihazlar/{code}/deneme": "Hattı dene",
    "GET /cihazlar/hat/{line_id}": "Hattın trafiğini izle",
    "GET /cihazlar/kodlar": "Tanımsız kodlar",
    "POST /cihazlar/kodlar": "Tanımsız koda karşılık ver",
    "POST /cihazlar/{code}/esleme": "Kod eşlemesini değiştir",
    "GET /cihazlar/mesajlar": "Ham mesajları ara",
    "POST /cihazlar/mesajlar/onizle": "Yeniden işlemeyi önizle",
    "POST /cihazlar/mesajlar/yeniden": "Mesajları yeniden işle",
    "POST /cihazlar/mesaj/{message_id}/yeniden": "Mesajı yeniden işle",
    "POST /cihazlar/tanim": "Tanım atölyesi",
    "POST /cihazlar/tanim/yayimla": "Tanımı yayımla",
    "POST /eslesmeyen/{unmatched_id}/bagla": "Sonucu isteme bağla",
    "POST /eslesmeyen/{unmatched_id}/kapat": "Bağlamadan kapat",
    "POST /kisiler": "Hesap aç",
    "POST /kisiler/{user_id}/durum": "Hesabı kapat / aç",
    "POST /kisiler/{user_id}/parola": "İlk parola ver",
    "POST /kisiler/{user_id}/ikinci-asama": "İkinci aşamayı sıfırla",
    "POST /kisiler/{user_id}/oturumlar": "Oturumları kapat",
    "POST /kisiler/{user_id}/gorev": "İzin, rapor, ayrılış yaz",
    "POST /kisiler/{user_id}/gorev/{absence_id}/geri": "İzin kaydını geri al",
    "POST /kisiler/{user_id}/kimlik/{identity_id}/ayir": "Kimliği ayır",
    "POST /kisiler/{user_id}/destek": "Destek erişimi ver",
    "POST /kisiler/{user_id}/destek/{grant_id}/geri": "Destek erişimini geri al",
    "POST /istemciler": "Web servis istemcisi aç",
    "GET /denetim/dosya.csv": "Denetimi dışa aktar",
    "POST /gizlilik/degerlendir/{access_id}": "Acil erişimi değerlendir",
    "POST /gizlilik/gizle": "Hastayı numara ile izlet",
    "POST /gizlilik/goster/{patient_id}": "Numara ile izlemeyi kaldır",
    "POST /gizlilik/dokum": "Kişisel veri dökümü",
    "POST /gizlilik/sil": "Kişisel veriyi sil",
    "POST /gizlilik/acil/{number}": "Kaydı gerekçe ile acil aç",
    "POST /yetkiler/kisi/{user_id}": "Kişiye yetki ver / al",
    "GET /yetkiler/kisi/{user_id}/dene": "Bir kişinin ekranlarını dene",
    "POST /yetkiler/grup": "Yeni grup",
    "POST /yetkiler/grup/{group_id}": "Grubun yetkilerini ve üyelerini değiştir",
    "POST /yetkiler/grup/{group_id}/kopya": "Grubu kopyala",
}
"""What the button of an address says. A changing address that is not here is named by its permission."""

LISTS: dict[str, tuple[tuple[str, P], ...]] = {
    "technical": (("onaylanacak sonuçlar", P.RESULT_TECHNICAL), ("onaysız değerler", P.RESULT_VIEW_UNAPPROVED)),
    "clinical": (("onaylanacak sonuçlar", P.RESULT_CLINICAL), ("önceki onaylı değerler", P.RESULT_VIEW)),
    "orders": (("istemler", P.ORDER_VIEW), ("istem girdiği", P.ORDER_ENTER), ("onaylı değerler", P.RESULT_VIEW)),
    "acceptance": (("numuneler", P.SPECIMEN_VIEW), ("kabul", P.SPECIMEN_ACCEPT)),
    "search": (
        ("istemler", P.ORDER_VIEW),
        ("onaylı değerler", P.RESULT_VIEW),
        ("onaysız değerler", P.RESULT_VIEW_UNAPPROVED),
        ("numara ile izlenenin kimliği", P.PRIVACY_VIEW),
    ),
    "unmatched": (("onaysız değerler", P.RESULT_VIEW_UNAPPROVED),),
}
"""What a screen lists, and the permission that limits it."""

ELSEWHERE = {"/istem/{number}": "search", "/gizlilik/acil": "search"}
"""Addresses that belong to another screen than their beginning says."""


@dataclass(frozen=True, slots=True)
class Button:
    """One action. missing: captions of the permissions that he lacks; empty = he would see it."""

    caption: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Limit:
    """A list and how far it goes for him."""

    caption: str
    words: str


@dataclass(frozen=True, slots=True)
class TrialScreen:
    """One screen as he would have it."""

    caption: str
    path: str
    opens: bool
    in_menu: bool
    missing: tuple[str, ...]
    limits: tuple[Limit, ...]
    buttons: tuple[Button, ...]


def tried(app: FastAPI, rights: Rights, names: PlaceNames) -> list[TrialScreen]:
    """Every screen with its actions, in the order of the menu."""
    person = Actor("dene", rights=rights)  # asked only what he may; it reaches no database
    doors: dict[str, list[Door]] = {item.key: [] for item in MENU}
    for door in doors_of(app):
        if (key := _screen_of(door)) is not None:
            doors[key].append(door)
    return [_screen(item, doors[item.key], person, names) for item in MENU]


def _screen_of(door: Door) -> str | None:
    """The screen whose button this is; None for pages, parts and what is open to everybody."""
    named = f"{door.method} {door.path}" in WORDS
    if not named and (door.method == "GET" or door.path.startswith("/api/")):
        return None
    if not any(access.who is Who.HOLDERS for access in door.access):
        return None
    for start, key in ELSEWHERE.items():
        if door.path.startswith(start):
            return key
    found = [item for item in MENU if door.path == item.path or door.path.startswith(item.path + "/")]
    return max(found, key=lambda item: len(item.path)).key if found else None


def _screen(item: MenuItem, doors: Sequence[Door], person: Actor, names: PlaceNames) -> TrialScreen:
    opens = item.access.admits(person)
    limits = tuple(
        Limit(caption, names.extent(person.rights.extent(permission)))
        for caption, permission in LISTS.get(item.key, ())
        if opens
    )
    buttons = {_caption(door): Button(_caption(door), _missing(door, person)) for door in doors}
    return TrialScreen(
        item.caption,
        item.path,
        opens,
        item.listed(person),
        _lacking([item.access], person),
        limits,
        tuple(buttons.values()),
    )


def _caption(door: Door) -> str:
    own = next(access for access in door.access if access.who is Who.HOLDERS)
    return WORDS.get(f"{door.method} {door.path}") or " / ".join(one.caption for one in own.permissions)


def _missing(door: Door, person: Actor) -> tuple[str, ...]:
    return _lacking(door.access, person)


def _lacking(accesses: Iterable[Access], person: Actor) -> tuple[str, ...]:
    """What he lacks for all of these, in captions."""
    lacking = [
        " ya da ".join(one.caption for one in access.permissions)
        if access.any_of
        else ", ".join(one.caption for one in access.permissions if not person.may(one))
        for access in accesses
        if not access.admits(person)
    ]
    return tuple(dict.fromkeys(lacking))
