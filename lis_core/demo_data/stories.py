"""Invented patients and what has become of their orders when the demonstration laboratory opens its doors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from lis_core.domain.states import Priority


@dataclass(frozen=True, slots=True)
class Story:
    """One order. `stage`: how far it has come: istendi, alindi, yolda, kabul, sonuclandi, teknik, klinik, ret, tekrar.

    values: results that differ from the usual ones. unanswered: tests that have no result yet.
    """

    patient: int
    tests: tuple[str, ...]
    stage: str
    by: str = "hekim"
    hours_ago: float = 2.0
    priority: Priority = Priority.ROUTINE
    values: tuple[tuple[str, str], ...] = ()
    unanswered: tuple[str, ...] = ()
    clinical: tuple[tuple[str, bool], ...] = ()
    reason: str = ""


PATIENTS = (  # given name, family name, sex, birth date; the T.C. number is the n-th synthetic one
    ("Ayşe", "Yılmaz", "F", date(1979, 3, 14)),
    ("Mehmet", "Öz", "M", date(1951, 7, 2)),
    ("Işıl", "Şığırcı", "F", date(1980, 1, 30)),
    ("İbrahim", "Çelik", "M", date(1965, 11, 9)),
    ("Gülşen", "Ünal", "F", date(1992, 5, 21)),
    ("Uğur", "Işık", "M", date(1988, 9, 17)),
    ("Zeynep", "Ağaoğlu", "F", date(2016, 2, 29)),
    ("Çınar", "Güneş", "M", date(2021, 8, 8)),
    ("Hatice", "Öztürk", "F", date(1947, 12, 1)),
    ("Ömer", "Şimşek", "M", date(1973, 4, 4)),
    ("Elif", "Doğan", "F", date(2000, 10, 10)),
    ("Kâmil", "Yıldız", "M", date(1959, 6, 26)),
    ("Şükran", "Aydın", "F", date(1968, 2, 11)),
    ("Yiğit", "Kılıç", "M", date(1995, 3, 3)),
    ("Müge", "Çakır", "F", date(1984, 8, 19)),
    ("İsmail", "Özdemir", "M", date(1940, 1, 5)),
    ("Nuriye", "Koç", "F", date(1976, 6, 13)),
    ("Tuğrul", "Ateş", "M", date(2010, 9, 30)),
    ("Sevgi", "İnce", "F", date(1999, 12, 24)),
    ("Barış", "Güler", "M", date(1982, 7, 7)),
)

STORIES = (
    # earlier visits, so that there is a history to compare with
    Story(2, ("K", "NA", "CREA", "TSH", "CBC"), "klinik", hours_ago=24 * 35, values=(("K", "4.2"), ("TSH", "2.10"))),
    Story(1, ("BIYO", "HBA1C"), "klinik", hours_ago=24 * 92, values=(("GLU", "171"), ("HBA1C", "8.1"))),
    Story(8, ("CBC", "FERR"), "klinik", "ailehekimi", 24 * 60, values=(("HGB", "12.4"), ("FERR", "22"))),
    # ordered, on the way, arrived
    Story(0, ("GLU", "CBC", "TSH", "TIT"), "istendi", "ailehekimi", 0.3),
    Story(3, ("BIYO", "CBC", "ESR"), "istendi", hours_ago=0.2),
    Story(4, ("TIROID", "FERR", "B12", "FOL"), "alindi", "ailehekimi", 1.0, clinical=(("gebe", True),)),
    Story(5, ("HBSAG", "ANTIHBS", "ANTIHCV", "ANTIHIV"), "yolda", "ailehekimi", 3.0),
    Story(6, ("CBC", "ESR", "CRP"), "kabul", hours_ago=1.1),
    Story(7, ("GLU", "CBC", "FERR"), "kabul", "ailehekimi", 2.2),
    Story(9, ("GLU", "K", "NA", "CREA", "TNT"), "kabul", hours_ago=0.4, priority=Priority.URGENT),
    # waiting for technical approval
    Story(
        2,
        ("K", "NA", "CREA", "TSH", "CBC"),
        "sonuclandi",
        hours_ago=0.9,
        priority=Priority.URGENT,
        values=(("K", "6.9"), ("CREA", "1.42")),
        unanswered=("TSH",),
    ),
    Story(10, ("BIYO", "CBC"), "sonuclandi", "ailehekimi", 2.5),
    Story(11, ("CBC", "ESR"), "sonuclandi", hours_ago=3.1, values=(("PLT", "14"), ("ESR", "51"), ("WBC", "26.4"))),
    Story(12, ("TIROID", "VITD"), "sonuclandi", "ailehekimi", 4.0, values=(("TSH", "<0.01"), ("FT4", "3.10"))),
    Story(13, ("TIT", "GLU"), "sonuclandi", hours_ago=2.8, values=(("U-LEU", "++"), ("U-NIT", "Pozitif"))),
    # waiting for the specialist
    Story(1, ("BIYO", "HBA1C"), "teknik", hours_ago=5.0, values=(("GLU", "246"), ("HBA1C", "9.4"), ("TRIG", "310"))),
    Story(14, ("HBSAG", "ANTIHCV", "ANTIHIV"), "teknik", "ailehekimi", 6.0, values=(("HBSAG", "412.6"),)),
    Story(15, ("UREA", "CREA", "K", "PROBNP"), "teknik", hours_ago=4.4, values=(("CREA", "2.31"), ("UREA", "96"))),
    # released
    Story(16, ("BIYO", "CBC", "TSH"), "klinik", "ailehekimi", 26.0),
    Story(8, ("CBC", "FERR"), "klinik", "ailehekimi", 25.0, values=(("HGB", "9.8"), ("MCV", "71.2"), ("FERR", "6"))),
    Story(17, ("GLU", "CBC"), "klinik", hours_ago=30.0),
    # not straight on
    Story(18, ("K", "LDH", "CBC"), "ret", hours_ago=1.6, reason="hemolizli numune"),
    Story(19, ("GLU", "CA"), "tekrar", hours_ago=2.0, values=(("CA", "16.8"),), reason="önceki sonuçla uyumsuz"),
)

STRAY_RESULT = ("424242", "GLU", "96")
"""A result whose number nobody registered: it waits for a person."""

USUAL = {
    "GLU": "92", "UREA": "29", "CREA": "0.84", "UA": "4.8", "TBIL": "0.6", "DBIL": "0.2", "CHOL": "182", "HDL": "54",
    "LDL": "104", "TRIG": "112", "TP": "7.2", "ALB": "4.4", "NA": "140", "K": "4.3", "CL": "102", "HCO3": "25",
    "CA": "9.4", "P": "3.6", "MG": "2.0", "FE": "88", "TIBC": "310", "ALT": "21", "AST": "19", "ALP": "74", "GGT": "22",
    "LDH": "180", "CK": "96", "AMY": "61", "CRP": "1.4", "HBA1C": "5.4", "WBC": "6.52", "RBC": "4.81", "HGB": "14.1",
    "HCT": "42.0", "MCV": "87.3", "MCH": "29.3", "MCHC": "33.6", "PLT": "241", "RDW-SD": "41.2", "RDW-CV": "12.9",
    "PDW": "11.8", "MPV": "10.1", "P-LCR": "26.0", "PCT": "0.24", "NEUT#": "3.61", "LYMPH#": "2.21", "MONO#": "0.50",
    "EO#": "0.16", "BASO#": "0.04", "NEUT%": "55.4", "LYMPH%": "33.9", "MONO%": "7.7", "EO%": "2.4", "BASO%": "0.6",
    "IG#": "0.02", "IG%": "0.3", "TSH": "1.87", "FT4": "1.21", "FT3": "3.1", "FERR": "64", "B12": "402", "FOL": "9.1",
    "VITD": "27", "INS": "8.4", "CORT": "11.9", "TESTO": "31", "PSA": "0.9", "BHCG": "1.2", "TNT": "<0.010",
    "PROBNP": "61", "HBSAG": "0.41", "ANTIHBS": "118", "ANTIHCV": "0.08", "ANTIHIV": "0.12", "ESR": "9",
    "U-RENK": "Sarı", "U-GOR": "Berrak", "U-DAN": "1.018", "U-PH": "6.0", "U-GLU": "Negatif", "U-PRO": "Negatif",
    "U-KET": "Negatif", "U-BIL": "Negatif", "U-UBG": "Normal", "U-NIT": "Negatif", "U-LEU": "Negatif",
    "U-KAN": "Negatif",
}  # fmt: skip
"""A plain value of each test."""
