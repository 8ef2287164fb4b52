"""Reference ranges and critical limits of the demonstration laboratory.

Starting values: reference intervals are the usual ones of general textbooks and differ between methods and
populations; critical limits follow the example list of the project's facts (section 2.4). A laboratory verifies each
and its specialist approves it; until then `onaylayan` says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

NOT_APPROVED = "başlangıç değeri: uzman onayı bekliyor"
VERSION = "b1"
IN_FORCE_FROM = date(2020, 1, 1)

NEWBORN_END = 28  # days
CHILD_END = 6575  # days: 18 years
_BANDS: dict[str, tuple[int | None, int | None]] = {
    "H": (None, None),  # everyone (herkes)
    "Y": (0, NEWBORN_END),  # newborn (yenidoğan)
    "C": (NEWBORN_END, CHILD_END),  # child (çocuk)
    "E": (CHILD_END, None),  # adult (erişkin)
}


@dataclass(frozen=True, slots=True)
class DemoRange:
    """One range row; limits in the unit of the test."""

    test: str
    sex: str | None
    age_from_days: int | None
    age_to_days: int | None
    low: Decimal | None
    high: Decimal | None
    critical_low: Decimal | None
    critical_high: Decimal | None
    normal_text: str | None


# test | band[sex] | low-high | critical low, critical high | expected text
_ROWS = """
GLU     H    70..100      50..500
UREA    E    17..43
UREA    C    11..38
UREA    Y    8..26
CREA    EF   0.50..0.90   ..6
CREA    EM   0.70..1.20   ..6
CREA    C    0.20..0.80   ..6
CREA    Y    0.30..1.00   ..6
UA      EF   2.4..5.7
UA      EM   3.4..7.0
UA      C    2.0..5.5
UA      Y    1.0..4.6
TBIL    E    0.2..1.2     ..10
TBIL    C    0.1..1.0     ..10
TBIL    Y    ..12         ..15
DBIL    H    ..0.3
CHOL    E    ..200
CHOL    C    ..170
CHOL    Y    ..170
HDL     EF   50..
HDL     EM   40..
HDL     C    45..
LDL     E    ..130
LDL     C    ..110
TRIG    E    ..150
TRIG    C    ..130
TP      E    6.4..8.3
TP      C    6.0..8.0
TP      Y    4.6..7.0
ALB     E    3.5..5.2
ALB     C    3.8..5.4
ALB     Y    2.8..4.4
NA      H    136..145     126..155
K       E    3.5..5.1     2.9..6.0
K       C    3.4..4.7     2.9..6.0
K       Y    3.7..5.9     2.9..6.5
CL      H    98..107
HCO3    H    22..29       10..
CA      E    8.6..10.2    7..13
CA      C    8.8..10.8    7..13
CA      Y    7.6..10.4    7..13
P       E    2.5..4.5
P       C    4.0..7.0
P       Y    4.5..9.0
MG      H    1.6..2.6     1..5
FE      EF   37..145
FE      EM   59..158
FE      C    50..120
TIBC    H    228..428
ALT     EF   ..33
ALT     EM   ..41
ALT     C    ..39
ALT     Y    ..50
AST     EF   ..32
AST     EM   ..40
AST     C    ..50
AST     Y    ..110
ALP     EF   35..104
ALP     EM   40..129
ALP     C    100..390
ALP     Y    80..250
GGT     EF   ..40
GGT     EM   ..60
GGT     C    ..23
GGT     Y    ..180
LDH     E    135..225
LDH     C    120..300
LDH     Y    225..600
CK      EF   ..170
CK      EM   ..190
CK      C    ..225
AMY     E    28..100
AMY     C    25..120
CRP     H    ..5
HBA1C   H    4.0..6.0
WBC     E    4.0..10.0    1..25
WBC     C    5.0..14.5    1..25
WBC     Y    9.0..30.0    1..40
RBC     EF   3.90..5.20
RBC     EM   4.40..5.80
RBC     C    3.90..5.30
RBC     Y    3.90..6.30
HGB     EF   12..16       7..20
HGB     EM   13.5..17.5   7..20
HGB     C    11..15       7..20
HGB     Y    14..22       9.5..23
HCT     EF   36..46       20..60
HCT     EM   40..52       20..60
HCT     C    33..45       20..60
HCT     Y    42..66       28..70
MCV     E    80..100
MCV     C    75..95
MCV     Y    95..121
MCH     E    27..34
MCH     C    25..33
MCH     Y    31..37
MCHC    H    31.5..36.0
PLT     E    150..400     20..1000
PLT     C    150..450     20..1000
PLT     Y    150..450     50..1000
RDW-SD  H    35..56
RDW-CV  H    11.5..14.8
PDW     H    9.0..17.0
MPV     H    7.0..11.5
P-LCR   H    13..43
PCT     H    0.15..0.40
NEUT#   E    1.80..7.70   1.0..
NEUT#   C    1.50..8.00   1.0..
LYMPH#  E    1.00..4.80
LYMPH#  C    1.50..7.00
MONO#   H    0.10..1.00
EO#     H    ..0.50
BASO#   H    ..0.20
NEUT%   E    40..75
NEUT%   C    30..65
LYMPH%  E    20..45
LYMPH%  C    25..60
MONO%   H    2..10
EO%     H    ..6
BASO%   H    ..2
IG#     H    ..0.06
IG%     H    ..0.9
TSH     E    0.27..4.20
TSH     C    0.60..5.50
TSH     Y    0.70..15.00
FT4     E    0.93..1.70
FT4     C    0.90..1.80
FT4     Y    0.90..2.60
FT3     E    2.0..4.4
FT3     C    2.4..5.2
FERR    EF   13..150
FERR    EM   30..400
FERR    C    7..140
B12     H    197..771
FOL     H    3.9..26.8
VITD    H    20..50
INS     H    2.6..24.9
CORT    H    6.2..19.4
TESTO   EF   8..48
TESTO   EM   249..836
PSA     EM   ..4.0
BHCG    EF   ..5.3
TNT     H    ..0.014
PROBNP  H    ..125
HBSAG   H    ..0.99       ..          Negatif|Non-reaktif
ANTIHBS H    10..
ANTIHCV H    ..0.99       ..          Negatif|Non-reaktif
ANTIHIV H    ..0.99       ..          Negatif|Non-reaktif
ESR     EF   ..20
ESR     EM   ..15
ESR     C    ..10
U-RENK  H    ..           ..          Sarı|Açık sarı
U-GOR   H    ..           ..          Berrak
U-DAN   H    1.005..1.030
U-PH    H    5.0..8.0
U-GLU   H    ..           ..          Negatif
U-PRO   H    ..           ..          Negatif
U-KET   H    ..           ..          Negatif
U-BIL   H    ..           ..          Negatif
U-UBG   H    ..           ..          Normal|Negatif
U-NIT   H    ..           ..          Negatif
U-LEU   H    ..           ..          Negatif
U-KAN   H    ..           ..          Negatif
"""


def _limits(text: str) -> tuple[Decimal | None, Decimal | None]:
    low, _, high = text.partition("..")
    return (Decimal(low) if low else None, Decimal(high) if high else None)


def ranges() -> Iterator[DemoRange]:
    """Every row of the table above."""
    for line in _ROWS.strip().splitlines():
        test, band, limits, *rest = line.split(None, 4)
        low, high = _limits(limits)
        critical = _limits(rest[0]) if rest else (None, None)
        normal = rest[1].strip() if len(rest) > 1 else None
        age_from, age_to = _BANDS[band[0]]
        sex = band[1:] or None
        yield DemoRange(test, sex, age_from, age_to, low, high, *critical, normal)
