"""What each simulated model says and how: data, one profile a model.

ASTM positions count the record letter as field 1. Templates are `str.format` texts; the names that may stand in them
are those of `astm_dialect.slots`. Serial numbers and software versions are invented.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from simulators.physiology import ANALYTES

__all__ = [
    "MODELS",
    "AnyModel",
    "AstmModel",
    "Channel",
    "Hl7Model",
    "Model",
    "PoctModel",
    "UnknownModel",
    "model_named",
]

Framing = Literal["records", "stream", "message"]


@dataclass(frozen=True, slots=True)
class Channel:
    """One test of an analyser: which analyte, in which unit, printed how.

    factor: from the analyte's unit to this one. cutoff: the channel is qualitative; a value at or above it is positive.
    decimals None = as many as the analyte has.
    """

    analyte: str
    unit: str = ""
    factor: float = 1.0
    decimals: int | None = None
    module: str = ""
    cutoff: float | None = None


@dataclass(frozen=True, kw_only=True)
class Model:
    """What every profile has. `asks`: can inquire at the host; `open_menu`: runs any code it is offered."""

    key: str
    name: str
    source: str
    channels: dict[str, Channel]
    asks: bool = True
    open_menu: bool = False
    encoding: str = "utf-8"
    answer_wait: float = 15.0
    silence_means_nothing: bool = False
    """No "nothing to do" exists in its protocol: after `answer_wait` without an answer the tube passes."""
    usual_tests: tuple[str, ...] = ()
    """What it runs where nobody says what (codes); empty = all it has."""
    unavailable: str = "-----"
    """What stands in the value field when the text_for_number fault strikes."""

    @property
    def protocol(self) -> str:
        """`astm` or `hl7`."""
        raise NotImplementedError

    def code_of(self, test: str) -> str:
        """The analyser's own code: `test` itself, or that of the channel which measures this analyte."""
        if test in self.channels:
            return test
        return next((code for code, channel in self.channels.items() if channel.analyte == test), test)


@dataclass(frozen=True, kw_only=True)
class AstmModel(Model):
    """An analyser that speaks ASTM E1394 in E1381 frames.

    framing: `records` one record a frame, `stream` the message cut every `frame_limit` bytes, `message` one frame.
    answer_place: (field, component) of the host's O record that holds the tube number.
    answer_echo: field of the host's O record that must repeat `echo` byte for byte, else the answer is refused.
    answer_purpose: H-11 of a valid answer begins so. no_order: letters in O-26 that mean "nothing to do".
    """

    header: str
    purpose_query: str = ""
    purpose_result: str = ""
    query: str
    cancel: str = ""
    patient: tuple[str, ...] = ("P|1",)
    order: str
    after_order: tuple[str, ...] = ()
    order_test: str
    result_test: str
    result: str
    alarm: str = ""
    alarm_always: bool = False
    before_end: tuple[str, ...] = ()
    end: str = "L|1|N"
    query_end: str = "L|1|N"
    framing: Framing = "records"
    frame_limit: int = 240
    closing_cr: bool = True
    many_per_query: bool = False
    rack_width: int = 5
    position_width: int = 3
    answer_place: tuple[int, int] = (3, 1)
    answer_echo: int = 0
    echo: str = ""
    answer_purpose: str = ""
    answer_code: int = 4
    no_order: str = "YZ"
    most_tests: int = 0
    rerun_status: str = "F"
    qc: dict[str, str] = field(default_factory=dict)
    """Slots that have another value when the sample is a control."""

    @property
    def protocol(self) -> str:
        """See Model."""
        return "astm"


@dataclass(frozen=True, kw_only=True)
class Hl7Model(Model):
    """An analyser that speaks HL7 v2 over MLLP. `dialect`: `law` (IHE LAW) or `mindray` (ORU^R01 of HL7 2.3.1)."""

    dialect: Literal["law", "mindray"]
    application: str
    facility: str
    device: str = ""
    offset: str = "+0300"

    @property
    def protocol(self) -> str:
        """See Model."""
        return "hl7"


@dataclass(frozen=True, kw_only=True)
class PoctModel(Model):
    """A point-of-care device that speaks POCT1-A: what its HEL says of it."""

    vendor: str
    device: str
    topics: tuple[str, ...] = ("D_EV",)
    directives: tuple[str, ...] = ("SET_TIME", "START_CONTINUOUS")

    @property
    def protocol(self) -> str:
        """See Model."""
        return "poct1a"


AnyModel = AstmModel | Hl7Model | PoctModel


class UnknownModel(KeyError):
    """No such profile; the text is for people (Turkish)."""

    def __str__(self) -> str:
        return str(self.args[0])


def _own_codes() -> dict[str, Channel]:
    """The catalogue's own codes and units."""
    return {code: Channel(code, analyte.unit) for code, analyte in ANALYTES.items()}


def _blood_count() -> dict[str, Channel]:
    cells = "WBC RBC HGB HCT MCV MCH MCHC PLT NEUT% LYMPH% MONO% EO% BASO% NEUT# LYMPH# MONO# EO# BASO# IG% IG#"
    sizes = "RDW-SD RDW-CV PDW MPV P-LCR PCT"
    return {code: Channel(code, ANALYTES[code].unit) for code in f"{cells} {sizes}".split()}


GENERIC_ASTM = AstmModel(
    key="generic-astm",
    name="Genel ASTM cihazı",
    source="ASTM E1394-97 in its plainest form; specimen in O-3 and Q-3.2, test in O-5.4 and R-3.4",
    channels=_own_codes(),
    open_menu=True,
    usual_tests=("GLU", "UREA", "CREA", "K", "NA", "ALT", "AST"),
    header=r"H|\^&|||NUMUNE-SIM^1.0^1|||||||P|LIS2-A2|{now}",
    query="Q|1|{asked}||ALL||||||||O",
    query_end="L|1|N",
    cancel="Q|1|{asked}||ALL||||||||A",
    patient=("P|1",),
    order="O|1|{barcode}||{tests}|{priority}||||||{action}||||{material}||||||||||F",
    order_test="^^^{code}",
    result_test="^^^{code}",
    result="R|{n}|{test}|{value}|{unit}|{range}|{flags}||{status}||{operator}||{time}|SIM-1",
    many_per_query=True,
    qc={"action": "Q"},
)

SYSMEX_XN = AstmModel(
    key="sysmex-xn",
    name="Kan sayım cihazı (Sysmex XN)",
    source="captures of XN-330, XN-350 and XN-550; the query in the form that a CS-2500 capture shows",
    channels=_blood_count(),
    encoding="ascii",
    header=r"H|\^&|||    XN-550^00-24^90001^^^^NU900001||||||||E1394-97",
    query="Q|1|{rack}^{position}^{padded}^B|||0|{now}",
    patient=("P|1||||^^|||U|||||^||||||||||||^^^", "C|1||"),
    order="O|1||{rack}^{position}^{padded}^B|{tests}|||||||{action}||||||||||||||F",
    after_order=("C|1||",),
    order_test="^^^^{code}",
    result_test="^^^^{code}^1",
    result="R|{n}|{test}|{value}|{unit}||{flags}||{status}||||{time}",
    before_end=("C|1||",),
    rack_width=6,
    position_width=2,
    answer_place=(3, 3),
    answer_echo=3,
    echo="{rack}^{position}^{padded}^B",
    answer_code=5,
    no_order="Y",
    unavailable="----",
    qc={"action": "Q"},
)

_C311 = (
    "717=GLU 418=UREA 690=CREA 798=CHOL 781=TRIG 435=HDL 685=ALT 687=AST 158=ALP 712=TBIL 735=DBIL 989=NA 990=K 991=CL"
)
_E411 = "10=TSH 30=FT4 50=FT3 130=FERR 150=B12 160=FOL 201=TNT 271=PROBNP 410=ANTIHBS"
_ROCHE_UNITS = {"U/L": "U/l", "mg/dL": "mg/dl", "mmol/L": "mmol/l", "u[IU]/mL": "uIU/ml", "m[IU]/mL": "IU/l"}
_ROCHE_UNITS |= {"ng/dL": "ng/dl", "pg/mL": "pg/ml", "ng/mL": "ng/ml"}


def _roche(table: str, module: str) -> dict[str, Channel]:
    channels = {}
    for pair in table.split():
        code, analyte = pair.split("=")
        unit = ANALYTES[analyte].unit
        own = "ISE1" if analyte in {"NA", "K", "CL"} else module
        channels[code] = Channel(analyte, _ROCHE_UNITS.get(unit, unit), module=own)
    return channels


ROCHE_C311 = AstmModel(
    key="roche-cobas-c311",
    name="Biyokimya cihazı (cobas c 311)",
    source="a c 311 and three Modular captures; Host Interface Manual 1.4 as summed up in the instrument table",
    channels=_roche(_C311, "P1"),
    encoding="ascii",
    answer_wait=25.0,
    silence_means_nothing=True,
    header=r"H|\^&|||H7600^1|||||host|{purpose}|P|1",
    purpose_query="TSREQ^REAL",
    purpose_result="RSUPL^REAL",
    query="Q|1|^^{padded}^{sequence}^{rack}^{position}^^S1^SC||ALL||||||||O",
    cancel="Q|1|^^{padded}^{sequence}^{rack}^{position}^^S1^SC||ALL||||||||A",
    patient=("P|1|||||||U||||||^",),
    order="O|1|{padded}|{sequence}^{rack}^{position}^^{kind}^SC|{tests}|{priority}||{now}||||{action}||||1|||||||{time}|||F",
    after_order=("C|1|I|{none:30}^{none:25}^{none:20}^{none:15}^|G",),
    order_test="^^^{code}/",
    result_test="^^^{code}/",
    result="R|{n}|{test}|{value}|{unit}||{flags}||{status}||{operator:6}|||{module}",
    alarm="C|1|I|{alarm}|I",
    alarm_always=True,
    framing="stream",
    answer_place=(3, 1),
    answer_echo=4,
    echo="{sequence}^{rack}^{position}^^S1^SC",
    answer_purpose="TSDWN",
    rerun_status="C",
    qc={"action": "Q", "kind": "QC"},
)

ROCHE_E411 = AstmModel(
    key="roche-cobas-e411",
    name="Hormon-ELISA cihazı (cobas e 411)",
    source="Host Interface Manual 2.3 (cobas type) as summed up in the instrument table; test codes are a site setting",
    channels=_roche(_E411, "E1")
    | {
        "400": Channel("HBSAG", "COI", module="E1", cutoff=1.0),
        "420": Channel("ANTIHCV", "COI", module="E1", cutoff=1.0),
        "430": Channel("ANTIHIV", "COI", module="E1", cutoff=1.0),
    },
    encoding="ascii",
    header=r"H|\^&|||cobas-e411^1|||||host|{purpose}|P|1",
    purpose_query="TSREQ^REAL",
    purpose_result="RSUPL^REAL",
    query="Q|1|^^{padded}^{sequence}^{rack}^{position}^^S1^SC||ALL||||||||O",
    cancel="Q|1|^^{padded}^{sequence}^{rack}^{position}^^S1^SC||ALL||||||||A",
    patient=("P|1|||||||U||||||^",),
    order="O|1|{padded}|{sequence}^{rack}^{position}^^{kind}^SC|{tests}|{priority}||{now}||||{action}||||1|||||||{time}|||F",
    order_test="^^^{code}^",
    result_test="^^^{code}/1/not",
    result="R|{n}|{test}|{value}|{unit}||{flags}||{status}||{operator:6}|||{module}",
    alarm="C|1|I|{alarm}|I",
    framing="stream",
    answer_place=(3, 1),
    answer_echo=4,
    echo="{sequence}^{rack}^{position}^^S1^SC",
    answer_purpose="TSDWN",
    most_tests=18,
    silence_means_nothing=True,
    usual_tests=("10", "30", "400"),
    unavailable="       ",
    qc={"action": "Q", "kind": "QC"},
)

ALCOR_ISED = AstmModel(
    key="alcor-ised",
    name="Sedimantasyon cihazı (Alcor iSED)",
    source="a public driver: sender, O-3, R-3.4 ESR, frames of 240; results only, no query is documented",
    channels={"ESR": Channel("ESR", "mm/h")},
    encoding="ascii",
    asks=False,
    header=r"H|\^&|||Alcor^iSED^01.00A^01|||||||P|1|{now}",
    query="",
    order="O|1|{barcode}||{tests}|R||||||{action}||||||||||||||F",
    order_test="^^^{code}",
    result_test="^^^{code}",
    result="R|{n}|{test}|{value}|{unit}||{flags}||{status}||||{time}",
    framing="stream",
)

GENERIC_ESR = AstmModel(
    key="generic-esr",
    name="Sedimantasyon cihazı",
    source="ASTM E1394-97 in its plainest form: no sedimentation analyser that asks over ASTM is documented",
    channels={"ESR": Channel("ESR", "mm/h")},
    encoding="ascii",
    header=r"H|\^&|||SEDIM-SIM^1.0^1|||||||P|LIS2-A2|{now}",
    query="Q|1|{asked}||ALL||||||||O",
    cancel="Q|1|{asked}||ALL||||||||A",
    order="O|1|{barcode}||{tests}|{priority}||||||{action}||||||||||||||F",
    order_test="^^^{code}",
    result_test="^^^{code}",
    result="R|{n}|{test}|{value}|{unit}||{flags}||{status}||||{time}",
    qc={"action": "Q"},
)

GENERIC_LAW = Hl7Model(
    key="generic-law",
    name="Genel IHE LAW cihazı",
    source="IHE LAW as summed up in the LAW facts, worked examples E1 to E9",
    channels=_own_codes(),
    open_menu=True,
    usual_tests=("TSH", "FT4", "FERR", "B12"),
    dialect="law",
    application="LAWSIM",
    facility="LAB",
    device="LAW-SIM^Numune~SN0001^Numune",
    answer_wait=10.0,
)


def _mindray() -> dict[str, Channel]:
    """code^name^system: channel. Haemoglobin in g/L, cells per litre."""
    loinc = (
        "6690-2=WBC 704-7=BASO# 706-2=BASO% 751-8=NEUT# 770-8=NEUT% 711-2=EO# 713-8=EO% 731-0=LYMPH# 736-9=LYMPH% "
        "742-7=MONO# 5905-5=MONO% 789-8=RBC 718-7=HGB 787-2=MCV 785-6=MCH 786-4=MCHC 788-0=RDW-CV 21000-5=RDW-SD "
        "4544-3=HCT 777-3=PLT 32623-1=MPV 32207-3=PDW"
    )
    names = {"BASO": "BAS", "NEUT": "NEU", "EO": "EOS", "LYMPH": "LYM", "MONO": "MON"}
    units = {"10*3/uL": ("10*9/L", 1.0, None), "10*6/uL": ("10*12/L", 1.0, None), "g/dL": ("g/L", 10.0, 0)}
    channels = {}
    for pair in loinc.split():
        code, analyte = pair.split("=")
        unit, factor, decimals = units.get(ANALYTES[analyte].unit, (ANALYTES[analyte].unit, 1.0, None))
        name = names.get(analyte[:-1], analyte[:-1]) + analyte[-1] if analyte[-1] in "#%" else analyte
        channels[f"{code}^{name}^LN"] = Channel(analyte, unit, factor, decimals)
    for code, analyte in (("10002^PCT^99MRC", "PCT"), ("10014^PLCR^99MRC", "P-LCR")):
        channels[code] = Channel(analyte, ANALYTES[analyte].unit, decimals=3 if analyte == "PCT" else None)
    return channels


MINDRAY_BC_6800 = Hl7Model(
    key="mindray-bc-6800",
    name="Kan sayım cihazı (Mindray BC-6800)",
    source="a BC-6800 capture; the query as an unnamed five-part counter sends it (ORM^O01, ORC-1 RF)",
    channels=_mindray(),
    dialect="mindray",
    application="BC-6800",
    facility="Mindray",
    asks=False,
    answer_wait=10.0,
    offset="",
    unavailable="***",
)

GENERIC_POCT1A = PoctModel(
    key="generic-poct1a",
    name="Hasta başı cihazı (POCT1-A)",
    source="CLSI POCT01-A2 in its plainest form; the tube in ORD.order_id",
    channels={code: Channel(code, ANALYTES[code].unit) for code in ("GLU", "K", "NA", "CREA", "HGB")},
    asks=False,
    vendor="NUMUNE",
    device="HB-SIM",
    topics=("D_EV", "OP_LST"),
)

MODELS: dict[str, AnyModel] = {
    model.key: model
    for model in (
        GENERIC_ASTM,
        SYSMEX_XN,
        ROCHE_C311,
        ROCHE_E411,
        GENERIC_ESR,
        ALCOR_ISED,
        GENERIC_LAW,
        MINDRAY_BC_6800,
        GENERIC_POCT1A,
    )
}


def model_named(key: str) -> AnyModel:
    """Raises UnknownModel."""
    if key not in MODELS:
        raise UnknownModel(f"{key!r} diye bir cihaz profili yok. Olanlar: {', '.join(MODELS)}")
    return MODELS[key]
