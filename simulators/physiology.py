"""Plausible values of people who do not exist. The same seed, tube and analyte always give the same value.

Limits are the usual adult intervals of textbooks and serve only to look plausible; a laboratory's own limits are
Numune's business. About one value in fifteen is abnormal, about one in 150 critical. What belongs together stays
together: red cell indices follow from each other, the differential adds up to 100 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from random import Random

__all__ = ["ANALYTES", "Analyte", "Body", "rounded"]

ABNORMAL = 1 / 15
CRITICAL = 1 / 150
IMPRECISION = 0.015  # relative standard deviation between two runs of one tube


@dataclass(frozen=True, slots=True)
class Analyte:
    """Limits in `unit`; `critical_*` None = no critical limit on that side. `words`: qualitative, normal ones first."""

    code: str
    unit: str
    low: float
    high: float
    decimals: int
    critical_low: float | None = None
    critical_high: float | None = None
    words: tuple[str, ...] = ()


# code, unit, low, high, decimals, critical low, critical high (- = none)
_NUMBERS = """
GLU mg/dL 70 100 0 50 500       | UREA mg/dL 17 43 0 - 200        | CREA mg/dL 0.6 1.2 2 - 6
UA mg/dL 2.6 7.0 1 - -          | TBIL mg/dL 0.2 1.2 2 - 10       | DBIL mg/dL 0.0 0.3 2 - -
CHOL mg/dL 120 200 0 - -        | HDL mg/dL 40 65 0 - -           | LDL mg/dL 60 130 0 - -
TRIG mg/dL 50 150 0 - -         | TP g/dL 6.4 8.3 1 - -           | ALB g/dL 3.5 5.2 1 1.5 -
NA mmol/L 136 145 0 120 160     | K mmol/L 3.5 5.1 2 2.5 6.5      | CL mmol/L 98 107 0 75 125
HCO3 mmol/L 22 29 0 10 40       | CA mg/dL 8.6 10.2 1 6.5 13      | P mg/dL 2.5 4.5 1 1.0 9.0
MG mg/dL 1.6 2.6 2 1.0 4.7      | FE ug/dL 37 145 0 - -           | TIBC ug/dL 250 400 0 - -
ALT U/L 5 41 0 - 1000           | AST U/L 5 40 0 - 1000           | ALP U/L 40 129 0 - -
GGT U/L 8 60 0 - -              | LDH U/L 135 225 0 - -           | CK U/L 39 308 0 - 5000
AMY U/L 28 100 0 - 500          | CRP mg/L 0.2 5.0 1 - 200        | HBA1C % 4.0 6.0 1 - -
WBC 10*3/uL 4.0 10.0 2 1.0 50   | HGB g/dL 12.0 17.0 1 6.0 21     | MCV fL 80 97 1 - -
MCHC g/dL 32 36 1 - -           | PLT 10*3/uL 150 400 0 20 1000   | RDW-SD fL 37 54 1 - -
RDW-CV % 11.5 14.5 1 - -        | PDW fL 9 17 1 - -               | MPV fL 9 13 1 - -
P-LCR % 13 43 1 - -             | NEUT% % 45 68 1 - -             | MONO% % 4 9 1 - -
EO% % 0.5 5.0 1 - -             | BASO% % 0.1 1.0 1 - -           | IG% % 0.0 0.6 1 - -
TSH u[IU]/mL 0.27 4.20 3 - 60   | FT4 ng/dL 0.93 1.70 2 0.3 5     | FT3 pg/mL 2.0 4.4 2 - -
FERR ng/mL 15 200 1 - -         | B12 pg/mL 197 771 0 - -         | FOL ng/mL 3.9 26.0 1 - -
VITD ng/mL 20 60 1 - -          | INS u[IU]/mL 2.6 24.9 2 - -     | CORT ug/dL 6.0 18.4 1 2 60
TESTO ng/dL 200 836 0 - -       | PSA ng/mL 0.10 4.00 3 - -       | BHCG m[IU]/mL 0.1 5.0 1 - -
TNT ng/mL 0.003 0.014 3 - 0.1   | PROBNP pg/mL 5 125 0 - -        | HBSAG {COI} 0.10 0.90 3 - -
ANTIHBS m[IU]/mL 10 400 1 - -   | ANTIHCV {COI} 0.02 0.90 3 - -   | ANTIHIV {COI} 0.05 0.90 3 - -
ESR mm/h 2 20 0 - 140           | U-DAN - 1.005 1.030 3 - -       | U-PH - 5.0 7.5 1 - -
"""
_WORDS = {
    "U-RENK": ("Sarı", "Açık sarı", "Koyu sarı"),
    "U-GOR": ("Berrak", "Hafif bulanık", "Bulanık"),
    **dict.fromkeys(("U-GLU", "U-PRO", "U-KET", "U-BIL", "U-LEU", "U-KAN"), ("Negatif", "Eser", "+", "++")),
    "U-UBG": ("Normal", "+"),
    "U-NIT": ("Negatif", "Pozitif"),
}
_DERIVED = {  # code: (unit, low, high, decimals)
    "HCT": ("%", 36, 50, 1),
    "RBC": ("10*6/uL", 3.8, 5.8, 2),
    "MCH": ("pg", 26, 34, 1),
    "PCT": ("%", 0.17, 0.35, 2),
    "LYMPH%": ("%", 20, 45, 1),
    **{f"{cell}#": ("10*3/uL", 0.0, high, 2) for cell, high in (("NEUT", 7), ("LYMPH", 4), ("MONO", 0.8))},
    **{f"{cell}#": ("10*3/uL", 0.0, high, 2) for cell, high in (("EO", 0.5), ("BASO", 0.1), ("IG", 0.06))},
}


_CELLS = ("NEUT%", "MONO%", "EO%", "BASO%")
MOST_WITHOUT_LYMPHOCYTES = 98.0


def _number(text: str) -> float | None:
    return None if text == "-" else float(text)


def _read_table() -> dict[str, Analyte]:
    table: dict[str, Analyte] = {}
    for row in _NUMBERS.replace("|", "\n").split("\n"):
        if not row.strip():
            continue
        code, unit, low, high, decimals, critical_low, critical_high = row.split()
        unit = "" if unit == "-" else unit
        bounds = _number(critical_low), _number(critical_high)
        table[code] = Analyte(code, unit, float(low), float(high), int(decimals), *bounds)
    for code, (unit, low_end, high_end, places) in _DERIVED.items():
        table[code] = Analyte(code, unit, low_end, high_end, places)
    for code, words in _WORDS.items():
        table[code] = Analyte(code, "", 0, 0, 0, words=words)
    return table


ANALYTES = _read_table()


def rounded(number: float, decimals: int) -> Decimal:
    """As an analyser prints it: 5 goes up, zeros at the end stay."""
    return Decimal(repr(number)).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)


class Body:
    """What is in one tube."""

    def __init__(self, seed: int, tube: str) -> None:
        self._seed, self._tube = seed, tube

    def value(self, code: str, run: int = 1) -> float:
        """Amount in the analyte's unit, unrounded. A later run of the same tube differs by the usual imprecision.

        Raises KeyError: unknown analyte, or one that is told in words.
        """
        true = self._derived(code) if code in _DERIVED else self._share(code) if code in _CELLS else self._drawn(code)
        if run == 1:
            return true
        return max(true * (1 + Random(f"{self._seed}/{self._tube}/{code}/{run}").gauss(0, IMPRECISION)), 0.0)

    def word(self, code: str) -> str:
        """The finding in words; mostly the first."""
        words = ANALYTES[code].words
        dice = self._dice(code)
        return words[0] if dice.random() >= ABNORMAL else dice.choice(words[1:])

    def _dice(self, code: str) -> Random:
        return Random(f"{self._seed}/{self._tube}/{code}")

    def _drawn(self, code: str) -> float:
        analyte = ANALYTES[code]
        if analyte.words:
            raise KeyError(code)
        dice = self._dice(code)
        fate = dice.random()
        width = analyte.high - analyte.low
        if fate < CRITICAL:
            if analyte.critical_high is not None and (analyte.critical_low is None or dice.random() < 0.5):
                return analyte.critical_high * dice.uniform(1.02, 1.2)
            if analyte.critical_low is not None:
                return analyte.critical_low * dice.uniform(0.8, 0.98)
        if fate < ABNORMAL:
            return self._abnormal(analyte, dice)
        middle = (analyte.low + analyte.high) / 2
        return min(max(dice.gauss(middle, width / 6), analyte.low + width / 50), analyte.high - width / 50)

    @staticmethod
    def _abnormal(analyte: Analyte, dice: Random) -> float:
        """Outside the limits, but not critical."""
        width = analyte.high - analyte.low
        if analyte.low > 0 and dice.random() < 0.4:
            floor = analyte.critical_low if analyte.critical_low is not None else max(analyte.low - width / 2, 0.0)
            return max(dice.uniform(analyte.low - (analyte.low - floor) / 2, analyte.low - width / 50), 0.0)
        ceiling = analyte.critical_high if analyte.critical_high is not None else analyte.high + 2 * width
        return dice.uniform(analyte.high + width / 50, analyte.high + (ceiling - analyte.high) / 2)

    def _share(self, code: str) -> float:
        """Several cell lines may be high at once, but there are never more than a hundred of a hundred cells."""
        total = sum(self._drawn(cell) for cell in _CELLS)
        return self._drawn(code) * min(1.0, MOST_WITHOUT_LYMPHOCYTES / total)

    def _derived(self, code: str) -> float:
        if code.endswith("#"):
            return self.value("WBC") * self.value(code[:-1] + "%") / 100
        if code == "LYMPH%":
            return 100 - sum(self.value(cell) for cell in _CELLS)
        if code == "PCT":
            return self.value("PLT") * self.value("MPV") / 10_000
        haematocrit = self.value("HGB") * 100 / self.value("MCHC")
        if code == "HCT":
            return haematocrit
        red_cells = haematocrit * 10 / self.value("MCV")
        return red_cells if code == "RBC" else self.value("HGB") * 10 / red_cells
