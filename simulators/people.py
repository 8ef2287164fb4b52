"""Invented people for a hospital that does not exist."""

from __future__ import annotations

from random import Random

from stdnum.tr import tckimlik

from simulators.hospital_messages import Person

__all__ = ["invented_person"]

_WOMEN = "Ayşe Fatma Çiğdem Gülşah İpek Özge Şule Ümran Zübeyde Hatice Işıl Nuran"
_MEN = "Ahmet Çağatay Hüseyin İsmail Oğuz Özgür Şükrü Ümit Yiğit Mehmet Ilgaz Tuğrul"
_FAMILIES = "ÖRNEK DENEME SINAMA TASLAK ÇİZELGE GÖSTERİM ŞABLON ÜRETKEN IŞIKLI KURGU"
_BLOCK = 900_500_000
"""First nine digits begin with 900, the mark of invented people in the demonstration data, too."""


def invented_person(number: int, seed: int = 1) -> Person:
    """The n-th person (0-99,999); the same number and seed give the same person."""
    dice = Random(f"{seed}/{number}")
    sex = dice.choice("FM")
    given = dice.choice((_WOMEN if sex == "F" else _MEN).split())
    born = f"{dice.randint(1940, 2020):04}{dice.randint(1, 12):02}{dice.randint(1, 28):02}"
    digits = str(_BLOCK + number % 100_000)
    tc = digits + tckimlik.calc_check_digits(digits)
    return Person(f"P{seed}{number:05}", tc, dice.choice(_FAMILIES.split()), given, born, sex)
