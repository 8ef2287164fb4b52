"""Instruments of the demonstration laboratory, their lines, and which code of theirs means which test.

Codes are the real ones of each model as far as its maker's documents are public; where the host code table is a setting
of the analyser (cobas e 411), the numbers are this laboratory's setting.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lis_core.demo_data.catalogue import PANELS, TESTS


@dataclass(frozen=True, slots=True)
class DemoInstrument:
    """An analyser with one line. `port`: added to the base of all demonstration ports. `codes`: its code -> ours.

    `units`: its code -> its unit, where that is spelled unlike ours and means the same number.
    """

    code: str
    name: str
    definition: str
    maker: str
    model: str
    protocol: str
    port: int
    codes: dict[str, str]
    units: dict[str, str] = field(default_factory=dict)


_ALL = {test.code: test.code for test in TESTS}
_HAEMOGRAM = {code: code for _, _, _, _, members in PANELS[:1] for code in members}
_C311 = {
    "717": "GLU",
    "418": "UREA",
    "690": "CREA",
    "798": "CHOL",
    "781": "TRIG",
    "435": "HDL",
    "685": "ALT",
    "687": "AST",
    "158": "ALP",
    "712": "TBIL",
    "735": "DBIL",
    "989": "NA",
    "990": "K",
    "991": "CL",
}
_E411 = {
    "10": "TSH",
    "30": "FT4",
    "50": "FT3",
    "130": "FERR",
    "150": "B12",
    "160": "FOL",
    "201": "TNT",
    "271": "PROBNP",
    "400": "HBSAG",
    "410": "ANTIHBS",
    "420": "ANTIHCV",
    "430": "ANTIHIV",
}
_E411_UNITS = {"400": "COI", "410": "IU/L", "420": "COI", "430": "COI"}

TRANSLATIONS = {
    "negative": "Negatif",
    "positive": "Pozitif",
    "non-reactive": "Non-reaktif",
    "nonreactive": "Non-reaktif",
    "reactive": "Reaktif",
    "neg": "Negatif",
    "pos": "Pozitif",
    "normal": "Normal",
}

INSTRUMENTS = (
    DemoInstrument("genel", "Genel ASTM cihazı", "generic-astm", "", "ASTM E1394", "astm", 0, _ALL),
    DemoInstrument("hemogram", "Kan sayım cihazı", "sysmex-xn", "Sysmex", "XN-550", "astm", 1, _HAEMOGRAM),
    DemoInstrument("biyokimya", "Biyokimya cihazı", "roche-cobas-c311", "Roche", "cobas c 311", "astm", 2, _C311),
    DemoInstrument(
        "hormon", "Hormon-ELISA cihazı", "roche-cobas-e411", "Roche", "cobas e 411", "astm", 3, _E411, _E411_UNITS
    ),
    DemoInstrument("sedim", "Sedimantasyon cihazı", "generic-esr", "", "ASTM (sorgulu)", "astm", 4, {"ESR": "ESR"}),
    DemoInstrument("law", "Genel IHE LAW cihazı", "generic-law", "", "IHE LAW", "hl7", 75, _ALL),
)
