"""Materials, tubes, benches, tests and panels of the demonstration laboratory.

LOINC codes and UCUM units only where the project's facts table (domain facts, section 3) names a source; an empty
code is honest, a guessed one is dangerous.
"""

from __future__ import annotations

from dataclasses import dataclass

MATERIALS = (  # code, name on screen, HL7 table 0487
    ("SER", "Serum", "SER"),
    ("EDTA", "EDTA'lı tam kan", "BLD"),
    ("SITRAT", "Sitratlı tam kan", "BLD"),
    ("IDRAR", "İdrar", "UR"),
)

TUBE_TYPES = (  # label code, caption, material, cap colour (9.2.1e: the fixed order of the printed sets)
    ("01", "Biyokimya", "SER", "sarı"),
    ("02", "Hemogram", "EDTA", "mor"),
    ("03", "Hormon-ELISA", "SER", "kırmızı"),
    ("04", "TİT", "IDRAR", "beyaz"),
    ("05", "Sedim", "SITRAT", "siyah"),
)

WORK_GROUPS = (
    ("BIYOKIMYA", "Biyokimya"),
    ("HEMATOLOJI", "Hematoloji"),
    ("HORMON", "Hormon"),
    ("SEROLOJI", "Seroloji (ELISA)"),
    ("SEDIM", "Sedimantasyon"),
    ("IDRAR", "İdrar"),
)


@dataclass(frozen=True, slots=True)
class DemoTest:
    """One row of the catalogue. `materials` empty = the material of its tube."""

    code: str
    name: str
    group: str
    tube: str
    unit: str = ""
    loinc: str | None = None
    decimals: int | None = None
    materials: tuple[str, ...] = ()


def _of(group: str, tube: str, rows: str) -> tuple[DemoTest, ...]:
    """Rows `code | name | unit | LOINC | decimals`, one a line."""
    tests = []
    for line in rows.strip().splitlines():
        code, name, unit, loinc, decimals = (part.strip() for part in line.split("|"))
        tests.append(DemoTest(code, name, group, tube, unit, loinc or None, int(decimals) if decimals else None))
    return tuple(tests)


_CHEMISTRY = """
GLU   | Glukoz                     | mg/dL  | 2345-7  |
UREA  | Üre                        | mg/dL  | 3091-6  |
CREA  | Kreatinin                  | mg/dL  | 2160-0  |
UA    | Ürik asit                  | mg/dL  | 3084-1  |
TBIL  | Total bilirubin            | mg/dL  | 1975-2  |
DBIL  | Direkt bilirubin           | mg/dL  | 1968-7  |
CHOL  | Total kolesterol           | mg/dL  | 2093-3  |
HDL   | HDL kolesterol             | mg/dL  | 2085-9  |
LDL   | LDL kolesterol             | mg/dL  | 2089-1  |
TRIG  | Trigliserit                | mg/dL  | 2571-8  |
TP    | Total protein              | g/dL   | 2885-2  |
ALB   | Albümin                    | g/dL   | 1751-7  |
NA    | Sodyum                     | mmol/L | 2951-2  |
K     | Potasyum                   | mmol/L | 2823-3  |
CL    | Klor                       | mmol/L | 2075-0  |
HCO3  | Bikarbonat                 | mmol/L | 1963-8  |
CA    | Kalsiyum                   | mg/dL  | 17861-6 |
P     | Fosfor                     | mg/dL  | 2777-1  |
MG    | Magnezyum                  | mg/dL  | 19123-9 |
FE    | Demir                      | ug/dL  | 2498-4  |
TIBC  | Total demir bağlama        | ug/dL  | 2500-7  |
ALT   | Alanin aminotransferaz     | U/L    | 1742-6  |
AST   | Aspartat aminotransferaz   | U/L    | 1920-8  |
ALP   | Alkalen fosfataz           | U/L    | 6768-6  |
GGT   | Gama glutamil transferaz   | U/L    | 2324-2  |
LDH   | Laktat dehidrogenaz        | U/L    | 14805-6 |
CK    | Kreatin kinaz              | U/L    | 2157-6  |
AMY   | Amilaz                     | U/L    | 1798-8  |
CRP   | C-reaktif protein          | mg/L   | 1988-5  |
"""

_HAEMATOLOGY = """
WBC    | Lökosit                             | 10*3/uL | 6690-2 |
RBC    | Eritrosit                           | 10*6/uL | 789-8  |
HGB    | Hemoglobin                          | g/dL    | 718-7  |
HCT    | Hematokrit                          | %       |        |
MCV    | Ortalama eritrosit hacmi            | fL      | 787-2  |
MCH    | Ortalama eritrosit hemoglobini      | pg      |        |
MCHC   | Ort. eritrosit hemoglobin derişimi  | g/dL    |        |
PLT    | Trombosit                           | 10*3/uL | 777-3  |
RDW-SD | Eritrosit dağılım genişliği SD      | fL      |        |
RDW-CV | Eritrosit dağılım genişliği CV      | %       |        |
PDW    | Trombosit dağılım genişliği         | fL      |        |
MPV    | Ortalama trombosit hacmi            | fL      |        |
P-LCR  | Büyük trombosit oranı               | %       |        |
PCT    | Trombositokrit                      | %       |        |
NEUT#  | Nötrofil sayısı                     | 10*3/uL |        |
LYMPH# | Lenfosit sayısı                     | 10*3/uL |        |
MONO#  | Monosit sayısı                      | 10*3/uL |        |
EO#    | Eozinofil sayısı                    | 10*3/uL |        |
BASO#  | Bazofil sayısı                      | 10*3/uL |        |
NEUT%  | Nötrofil %                          | %       |        |
LYMPH% | Lenfosit %                          | %       |        |
MONO%  | Monosit %                           | %       |        |
EO%    | Eozinofil %                         | %       |        |
BASO%  | Bazofil %                           | %       |        |
IG#    | Olgunlaşmamış granülosit sayısı     | 10*3/uL |        |
IG%    | Olgunlaşmamış granülosit %          | %       |        |
"""

_HORMONE = """
TSH    | Tiroid uyarıcı hormon      | u[IU]/mL | 3016-3  |
FT4    | Serbest T4                 | ng/dL    | 3024-7  |
FT3    | Serbest T3                 | pg/mL    |         |
FERR   | Ferritin                   | ng/mL    | 2276-4  |
B12    | Vitamin B12                | pg/mL    | 2132-9  |
FOL    | Folat                      | ng/mL    | 2284-8  |
VITD   | 25-OH Vitamin D3           | ng/mL    | 1989-3  |
INS    | İnsülin                    | u[IU]/mL | 20448-7 |
CORT   | Kortizol                   | ug/dL    | 2143-6  |
TESTO  | Total testosteron          | ng/dL    | 2986-8  |
PSA    | Total PSA                  | ng/mL    |         |
BHCG   | Beta HCG                   | m[IU]/mL |         |
TNT    | Troponin T                 | ng/mL    |         |
PROBNP | NT-proBNP                  | pg/mL    |         |
"""

_SEROLOGY = """
HBSAG   | HBsAg        | {COI}     | |
ANTIHBS | Anti-HBs     | m[IU]/mL  | |
ANTIHCV | Anti-HCV     | {COI}     | |
ANTIHIV | Anti-HIV 1/2 | {COI}     | |
"""

_URINE = """
U-RENK | Renk (idrar)              |     | |
U-GOR  | Görünüm (idrar)           |     | |
U-DAN  | Dansite (idrar)           |     | |
U-PH   | pH (idrar)                |     | |
U-GLU  | Glukoz (idrar)            |     | |
U-PRO  | Protein (idrar)           |     | |
U-KET  | Keton (idrar)             |     | |
U-BIL  | Bilirubin (idrar)         |     | |
U-UBG  | Ürobilinojen (idrar)      |     | |
U-NIT  | Nitrit (idrar)            |     | |
U-LEU  | Lökosit esteraz (idrar)   |     | |
U-KAN  | Kan (idrar)               |     | |
"""

_HAEMOGRAM = _of("HEMATOLOJI", "02", _HAEMATOLOGY)
_STRIP = _of("IDRAR", "04", _URINE)

TESTS: tuple[DemoTest, ...] = (
    *_of("BIYOKIMYA", "01", _CHEMISTRY),
    DemoTest("HBA1C", "Hemoglobin A1c", "BIYOKIMYA", "02", "%", "4548-4"),
    *_HAEMOGRAM,
    *_of("HORMON", "03", _HORMONE),
    *_of("SEROLOJI", "03", _SEROLOGY),
    # One of the two tubes is enough: sedimentation runs from the haemogram's EDTA tube as well (INTRO.22).
    DemoTest("ESR", "Eritrosit sedimantasyon hızı", "SEDIM", "05", "mm/h", materials=("SITRAT", "EDTA")),
    *_STRIP,
)

PANELS = (  # code, name, group, tube, members
    ("CBC", "Hemogram (tam kan sayımı)", "HEMATOLOJI", "02", tuple(test.code for test in _HAEMOGRAM)),
    (
        "BIYO",
        "Genel biyokimya",
        "BIYOKIMYA",
        "01",
        ("GLU", "UREA", "CREA", "ALT", "AST", "NA", "K", "CL", "CHOL", "TRIG", "HDL", "TBIL"),
    ),
    ("TIROID", "Tiroid paneli", "HORMON", "03", ("TSH", "FT4", "FT3")),
    ("TIT", "Tam idrar tahlili", "IDRAR", "04", tuple(test.code for test in _STRIP)),
)
