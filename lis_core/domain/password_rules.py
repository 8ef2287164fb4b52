"""What makes a password acceptable: length first, then nothing that a guesser tries before all else.

The words are our own list of what Turkish and English speakers choose; a password that is nothing but such words,
keyboard runs, repeated signs and numbers is refused however long it is. There is no rule about kinds of characters:
such rules make passwords worse. A list of passwords that are known to everybody is the institution's to give
(`services.known_passwords`).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from lis_core.domain.account_rules import LONGEST_PASSWORD
from lis_core.domain.turkish import search_key

_WORDS = """
parola sifre password passwd pass word sifrem parolam gizli giris login admin administrator yonetici root user kullanici
test deneme demo guest misafir welcome hosgeldin hosgeldiniz merhaba selam hello secret master system sistem server
sunucu changeme degistir letmein access default varsayilan temp gecici yeni new eski old super numune laboratuvar lab
laboratory tahlil kan hastane hospital doktor doctor hekim hemsire nurse saglik health bakanlik klinik clinic eczane
teknisyen uzman kabul aile ailehekimi hasta sonuc rapor barkod tup cihaz kurum birim mudur mudurluk
galatasaray fenerbahce besiktas trabzonspor bursaspor cimbom kanarya kartal futbol
turkiye turkey ankara istanbul izmir bursa adana antalya konya samsun trabzon diyarbakir erzurum anadolu ataturk
cumhuriyet vatan bayrak asker polis
ocak subat mart nisan mayis haziran temmuz agustos eylul ekim kasim aralik
january february march april may june july august september october november december
ilkbahar yaz sonbahar kis spring summer autumn fall winter
pazartesi sali carsamba persembe cuma cumartesi pazar monday tuesday wednesday thursday friday saturday sunday
ask askim sevgi sevgilim canim hayatim bebegim tatlim bitanem melek cicek gunes yildiz deniz ay anne baba kardes
mehmet mustafa ahmet ali huseyin hasan ibrahim ismail osman yusuf murat omer ramazan fatma ayse emine hatice zeynep elif
meryem serife zehra sultan can cem emre burak volkan kemal
dragon monkey shadow sunshine princess football baseball superman batman pokemon starwars iloveyou love lovely
qwerty qwertz azerty computer bilgisayar internet google facebook instagram microsoft windows apple samsung nokia
bismillah allah islam hersey hicbirsey kimse anahtar kilit kapi ev araba
"""
_RUNS = (
    "abcdefghijklmnopqrstuvwxyz", "qwertyuiopgu", "asdfghjklsi", "zxcvbnmoc", "0123456789012345678901234567890",
    # the rows of the Turkish F keyboard
    "fggiodrnhpqw", "uieautkmlysx", "jovcczsb",
    # down the columns, and to and fro between two rows: "1qaz2wsx3edc", "q1w2e3r4t5y6"
    "1qaz", "2wsx", "3edc", "4rfv", "5tgb", "6yhn", "7ujm", "8ik", "9ol",
    "1q2w3e4r5t6y7u8i9o0p", "q1w2e3r4t5y6u7i8o9p0", "qawsedrftgyhujikolp", "aqswdefrgthyjukilo", "azsxdcfvgbhnjmk",
    "zaxscdvfbgnhmj",
)  # fmt: skip
_LEET_DIGITS = str.maketrans("013457", "oieast")
_LEET_SIGNS = str.maketrans("@$!", "asi")
_LEAST_DISTINCT = 5


@cache
def _common() -> frozenset[str]:
    return frozenset(_WORDS.split())


_LONGEST_WORD = 14


def password_problem(password: str, *, least: int, personal: Iterable[str] = ()) -> str | None:
    """What is wrong with a new password, in Turkish; None where it is acceptable.

    least: characters. personal: user name, names, names of the institution: they must not make up the password.
    """
    if len(password) < least:
        return f"en az {least} karakter olmalı (birkaç kelimelik bir cümle kolay akılda kalır)"
    if len(password) > LONGEST_PASSWORD:
        return f"en çok {LONGEST_PASSWORD} karakter olabilir"
    if len(set(search_key(password))) < _LEAST_DISTINCT:
        return "aynı karakterler yineleniyor"
    own = frozenset(word for name in personal for word in _plain(name) if len(word) >= 3)
    if any(word in "".join(_plain(password)) for word in own if len(word) >= 5):
        return "kullanıcı adınızı ya da adınızı içermemeli"
    known = _common() | own
    if _is_made_of(_joined(password), known) or _is_made_of(_joined(password.translate(_LEET_SIGNS)), known):
        return "yaygın kelimelerden, sıralı tuşlardan ve sayılardan oluşuyor; kolay tahmin edilir"
    return None


def _plain(text: str) -> list[str]:
    """Words of a text in small ASCII letters and digits."""
    folded = search_key(text)
    return "".join(sign if sign.isascii() and sign.isalnum() else " " for sign in folded).split()


def _joined(text: str) -> str:
    return "".join(_plain(text))


def _is_made_of(text: str, words: frozenset[str]) -> bool:
    """True where the text can be cut into common words, numbers, keyboard runs and repeated signs without a rest."""
    reached = [True] + [False] * len(text)
    for start in range(len(text)):
        if not reached[start]:
            continue
        if text[start].isdigit():
            reached[start + 1] = True
        for end in range(start + 2, min(len(text), start + _LONGEST_WORD) + 1):
            piece = text[start:end]
            if piece in words or piece.translate(_LEET_DIGITS) in words or (len(piece) >= 3 and _is_run(piece)):
                reached[end] = True
    return reached[-1]


def _is_run(piece: str) -> bool:
    return len(set(piece)) == 1 or any(piece in run or piece[::-1] in run for run in _RUNS)
