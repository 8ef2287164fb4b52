"""What an instrument definition may say: the words of a file in `drivers/catalog`, and their meaning.

A definition is data. These structures are its grammar: `drivers/schema/instrument.schema.json` is generated from them
(`python -m drivers.language`), `drivers.definition` compiles them.

A *path* names a place in a message: record, field, and what of the field.

    O-3         the whole field, its delimiters left in it
    O-3.2       its second component                    SPM-2.1.1   the first sub-component of the first component
    R-3.4..     the first component from the fourth on that holds something
    R-4.lone    the one component that holds something; where several do, the whole field
    OBX-18[2].1 of the second repetition (without a number: of the first)
    Q-3.4-9     components 4 to 9 as sent, delimiters between them (in templates only)

ASTM fields count the record letter as field 1, HL7 fields count as in the standard. Where several places are given,
the first that holds something wins. The HL7 null `""` holds nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

import msgspec

from drivers.language_text import Poct, TableFile, TextTable, Wire

PATH = (
    r"[A-Z][A-Z0-9]{0,2}-[1-9][0-9]{0,2}(\[[1-9][0-9]?\])?(\.([1-9][0-9]?(\.\.|(\.[1-9][0-9]?)|(-[1-9][0-9]?))?|lone))?"
)

Path = Annotated[str, msgspec.Meta(pattern=f"^{PATH}$", description="A place in a message, for example R-3.4")]
Regex = Annotated[str, msgspec.Meta(min_length=1, description="A regular expression (Python)")]
Text = Annotated[str, msgspec.Meta(min_length=1)]
Key = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*(?!\n)$", max_length=64)]
When = Annotated[
    dict[Path, str], msgspec.Meta(description="Each place must match its expression from end to end (re.fullmatch)")
]


class DefinitionError(ValueError):
    """A definition file that cannot be used: our mistake, never an instrument's. The message is for people, Turkish."""


class _Part(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One table of a definition file. An unknown word is an error, never ignored."""


class Place(_Part):
    """A path with conditions."""

    at: Path
    match: Regex | None = None
    """Only where this is found in the text; then its first group, or without a group the text itself."""
    unless: Regex | None = None
    """Not where this is found in the text (of the path, before `match`)."""
    when: When = {}
    says: Text | None = None
    """What the place says where it holds something, in place of its own text."""


Places = list[Path | Place]
Trim = Literal["both", "left", "right", "none"]


class Item(_Part):
    """One thing that a message tells, and where."""

    places: Places = msgspec.field(name="from", default_factory=list)
    trim: Trim = "both"


class Specimen(Item):
    """The identifier on the tube."""

    remove: str = ""
    """Characters that the model puts into the identifier and that do not belong to it (`-` in `2600-4178`)."""
    not_read: list[Regex] = []
    """What stands in its place when no barcode could be read: the result has no specimen then; a comment says so."""


class Test(Item):
    """The instrument's own code of a test."""

    name: Places = []
    cut: str = ""
    """The code ends before this character: `/` makes 717 of `717/dec`."""
    also: Places = []
    """What else names a result where one code comes several times (its unit): `041` in `s` is test `041/s`."""
    join: Text = "/"
    """Between the code and what `also` says."""
    ordered: Places = []
    """Where an order names its tests; by default the same components of O-5 or OBR-4."""
    further: Places = []
    """What makes the code of a row its own where one code stands in several: a result type, an analyte, an isolate.
    As `also`, but every place that holds something is added, each after `join`."""


class Value(Item):
    """The measured value."""

    decimal: Literal["point", "comma", "either"] = "point"
    """How a number is written. `either`: a comma counts where it cannot be a thousands separator."""
    no_number: list[Regex] = []
    """Texts (from end to end) that look like numbers and are none: error codes, signs of qualitative results."""
    nothing: list[Regex] = []
    """Texts (from end to end) that say that there is no result: the row has no value then, a comment says so."""
    word: Places = []
    """Where the word for [texts] stands, if it is not the value itself."""
    titre: list[Regex] = []
    """Test codes (from end to end) whose values may be titres: `1:160` and `1 / 160` are told as 1/160
    (`Observation.translation`). The value stays as sent, and a titre is no number."""
    typed: bool = False
    """HL7: read OBX-5 by its type in OBX-2 (`<^0.01` of type SN is <0.01, `NEG^Negative^L` of type CE is NEG)."""


class Unit(Item):
    """The unit of a value."""

    coded: bool = False
    """HL7: `mg/dL^^UCUM` is mg/dL, `^Copies/mL` its text, an unescaped `10^9/L` one unit."""
    scaled: bool = False
    """A power of ten in the unit belongs to the number: 367 with `10*-1.{copies}/mL` is 36.7 copies/mL. The value is
    written anew, exactly; a comment keeps what was sent."""


class Flags(Item):
    """Abnormal flags, each repetition one."""

    none: list[str] = []
    """What means "no flag"."""
    meaning: dict[str, Text] = {}
    """What a flag means, in Turkish. A flag that is not listed here must hold a result."""
    comparator: bool = True
    """`<` or `>` in front of a value counts as a flag."""
    parts: bool = False
    """Each component is a flag of its own, also behind an empty first one (`^0^NQ` is 0 and NQ)."""
    also: Places = []
    """A further place whose text is a flag too: the W of R-9, "measured, with a warning"."""


class Status(Item):
    """The instrument's own status letter."""

    meaning: dict[str, Literal["final", "preliminary", "corrected", "repeated", "failed", "deleted"]] = {}


class MeasuredAt(Item):
    """When it was measured."""

    formats: list[Text] = []
    """`strptime` formats besides the standard's YYYYMMDD[HHMM[SS]][+ZZZZ]."""
    of_run: bool = False
    """A time that stands above the result (O-23, OBR-7) is still the time of this very run."""
    carry: bool = False
    """Only the first result of an order names the time: it holds for those after it."""


class Lot(Item):
    """Reagent lot of a result."""

    shared: Regex | None = None
    """A lot told with one result is that of all results of its specimen whose codes give this first group: `^(..)`
    makes one group of 041, 042 and 043. Where two lots are told for a group, nothing is filled in."""


class Comments(Item):
    """Remarks on a result, or on its order."""

    of_order: bool = False
    """What is said about the order is said with each of its results too."""
    ignore: list[Regex] = []
    flags: Regex | None = None
    """Comments that are alarm codes (from end to end) become flags."""
    flag_list: Regex | None = None
    """A comment in which this is found is a list of flags: its first group, separated by commas."""
    ignore_order: bool = False
    """Remarks on the order are no remarks on the specimen (demographics in a comment record): leave them out."""
    each: bool = False
    """ASTM: each repetition of the field is a remark of its own."""


class Remark(_Part, kw_only=True):
    """Something said with the result that has no place of its own: it becomes a comment, `label: text`."""

    label: Text
    """In Turkish."""
    places: Places = msgspec.field(name="from")
    none: list[Regex] = []
    """Texts (from end to end) that need no comment: a dilution of 1."""


class Qc(_Part):
    """How a control is told from a patient."""

    when: list[When] = []
    """One of these is enough."""
    specimens: list[Regex] = []
    """Control identifiers, from end to end."""


class Row(_Part, kw_only=True):
    """What to do with a result row that is not an ordinary one. The first rule that fits decides."""

    test: Regex | None = None
    """Its test code, from end to end."""
    when: When = {}
    kind: Literal["event", "ignore", "result", "qc"] = msgspec.field(name="as")
    attachment: Path | None = None
    """Where the picture, curve or file name stands. The row then has no value."""
    sets: Literal["rack", "position", "operator", "lot"] | None = None
    """The row's value says this about all results of its specimen; use it with `as = "ignore"`."""
    text: Text | None = None
    """A comment of ours, in Turkish."""


class Extra(_Part, kw_only=True):
    """ASTM: a record that is no result and says more than a remark (the curves in M records): it becomes an event."""

    record: Annotated[str, msgspec.Meta(pattern="^[A-Z]$")]
    when: When = {}
    test: Places = []
    """What the event is called."""
    attachment: Path | None = None
    """Where the picture or curve stands."""
    value: Path | None = None
    text: Text | None = None
    """A comment of ours, in Turkish."""


class Query(_Part):
    """How the instrument asks for work."""

    on: dict[Text, When] = {}
    """HL7: message types that ask, `QBP^Q11`, each with what must hold besides."""
    specimen: Places = []
    separator: str = ""
    """Several identifiers in one component, separated by this."""
    until: Places = []
    """ASTM: the last identifier of a range whose first is `specimen`."""
    rack: Places = []
    position: Places = []
    tests: Places = []
    all_tests: str = "ALL|0|"
    """What Q-5 says when it means every test, from end to end."""
    everything: When = {}
    """What a query for all pending work says."""
    cancel: When = {}
    """What a query says that takes an earlier one back."""


LawOption = Literal[
    "bi-directional",
    "query-all",
    "query-by-rack",
    "query-by-tray",
    "query-by-isolate",
    "priority",
    "contributing-substances",
    "patient-demographics",
    "assay-parameters",
    "prior-results",
    "rerun",
    "reflex",
    "pooling",
]


class Law(_Part):
    """IHE LAW: a query is answered by RSP^K11 and then OML^O33, with work or with "nothing to do"."""

    patient: bool = True
    """Whether the analyser may be told who the patient is (the least: identifier, name, birth date, sex)."""
    system: str = ""
    """Coding system of the test codes, OBR-4.3."""
    material_system: str = "HL70487"
    priority: bool = True
    """Whether the analyser has the priority option (TQ1)."""
    profile: str = "LAB-28^IHE"
    """MSH-21 of the OML."""
    version: str = "2.5.1"
    options: list[LawOption] = msgspec.field(default_factory=lambda: ["bi-directional"])
    """What the analyser has of the profile's options; option data goes only to those that have it."""
    mode: Literal["query", "broadcast"] = "query"
    """Whether it asks for work, or is sent it unasked; a line's settings may say otherwise."""
    accept: Literal["NE", "ER", "AL"] = "NE"
    application: Literal["AL", ""] = "AL"
    """MSH-15 and MSH-16 of our OML; both empty would be original mode."""
    loinc: Literal["", "first", "second"] = ""
    """Where the LOINC code of a test goes in OBR-4, beside the analyser's own."""
    steps: Literal["echoed", "ignored"] = "echoed"
    """Whether OBR-2 of its results is our AWOS id, or something of its own that must not be looked up."""
    strict: bool = True
    """Whether its messages are held to the profile: broken content AE, another type or version AR."""
    roles: dict[str, Literal["result", "qc", "event"]] = {}
    """What becomes of specimens by SPM-11, beside P (result), L (result of the pool) and Q (qc); else an event."""


class OrmSetting(_Part):
    """One OBX that tells the counter how to run the tube."""

    name: Text
    """code^name^system"""
    value: str
    """`{tests}` stands for the codes of the tests to run."""
    type: str = "IS"


class Orm(_Part):
    """A blood counter's ORM^O01 query is answered by ORR^O02."""

    service: Text
    """OBR-4, code^name^system."""
    settings: list[OrmSetting] = []
    join: str = "+"
    """Between the codes of {tests}."""


class Dsr(_Part):
    """A chemistry analyser's QRY^Q02 is answered by QCK^Q02 and DSR^Q03, an order of numbered DSP lines."""

    lines: Annotated[int, msgspec.Meta(ge=0, le=99)] = 28
    """How many lines come before the tests. All are sent, empty where `say` has nothing for them."""
    say: dict[Annotated[str, msgspec.Meta(pattern="^[1-9][0-9]?$")], Text] = {}
    """By line number: a template as in [answer]."""
    test: Text = "{code}^^^"
    """The line of one test."""


class Answer(_Part):
    """What the host says to a query: records as templates.

    A template is a record as it goes out, with `{places}` in it: any path (of the query and its header, byte for byte
    as sent) and {sender} {now} {control_id} {specimen} {tests} {priority} {material} {collected} {n}
    {patient.identifier} {patient.family_name} {patient.given_name} {patient.birth_date} {patient.sex}; in `test` and
    `each_test` also {code} {name} {dilution} {reference}. `{specimen:>22}` pads, `{now:%Y%m%d}` formats.
    """

    head: list[Text] = []
    order: list[Text] = []
    """For one specimen with work."""
    each_test: list[Text] = []
    """After `order`, once for each test."""
    test: str = ""
    """One entry of {tests}."""
    join: str = "\\"
    """Between the entries of {tests}."""
    cut: str = ""
    """The order names a code up to this character: of `UV2^TBPos` and `UV2^Rif` it orders UV2, once."""
    nothing: list[Text] = []
    """For a specimen without work, in place of `order`. Empty: it is left out."""
    unknown: list[Text] = []
    """For an identifier that we do not know; empty: as `nothing`."""
    tail: list[Text] = []
    nothing_head: list[Text] = []
    """In place of `head` where no specimen of the answer has work; empty: as `head`."""
    nothing_tail: list[Text] = []
    when_nothing: Literal["answer", "silence"] = "answer"
    """`silence`: where no specimen of the query has work, nothing is sent at all."""
    message_per: Literal["answer", "specimen"] = "answer"
    priorities: dict[str, str] = {}
    """Ours (S, A, R) to the instrument's."""
    sexes: dict[str, str] = {}
    materials: dict[str, str] = {}
    encoding: Text = "cp1254"
    """Letters of names that it lacks become plain ones; identifiers and codes must fit."""
    echo_delimiters: bool = False
    """Write with the delimiters of the query instead of those in the templates (ASTM)."""
    law: Law | None = None
    orm: Orm | None = None
    dsr: Dsr | None = None


class Push(_Part):
    """ASTM: orders that the host sends unasked for tubes of a load list. What is not said here is as in [answer]; gaps
    are also {rack} {position} (of the list) and {action}, and no place of a query: there is none."""

    head: list[Text] = []
    order: list[Text] = []
    tail: list[Text] = []
    actions: dict[Literal["new", "add", "cancel"], Text] = msgspec.field(default_factory=lambda: {"new": "N"})
    """What {action} says. Without `add`, what comes later is sent as new; without `cancel` nothing is taken back."""
    by_itself: bool = True
    """False: only where the settings of a line say so (`yukleme_gonder`)."""


class Recognise(_Part):
    """What the sender calls itself. A hint only: sister models use one name, and some use none."""

    sender: list[Regex] = []
    """Found in H-5, or in MSH-3 and MSH-4 joined by `|`."""


class Link(_Part):
    """How a line to this model is set up. What is not said is as in the standard."""

    cut: Literal["record", "message"] = "record"
    """One record a frame, or the whole message cut at `frame_text` bytes wherever that falls."""
    frame_text: Annotated[int, msgspec.Meta(ge=1, le=63_993)] = 240
    connects: Literal["analyser", "host", "either"] | None = None
    """Who opens the TCP connection."""
    framing: Literal["e1381", "stx-etx", "raw"] | None = None
    checksum: Literal["required", "optional", "none"] | None = None
    number_modulus: Literal["0-7", "0-9", "1-7", "any"] | None = None
    require_enq: bool | None = None
    control_characters: Literal["refuse", "accept"] | None = None
    interrupt: Literal["honour", "ignore"] | None = None
    max_frame: int | None = None
    max_transfer: int | None = None
    reply_limit: float | None = None
    listen_limit: float | None = None
    turnaround: float | None = None
    missing_vt: bool | None = None
    max_block: int | None = None


class DefinitionFile(_Part, kw_only=True):
    """One model: what its messages mean, how it asks, what it wants to be told."""

    key: Key
    revision: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    """A revision that was once in use never changes; a change is a new revision."""
    based_on: Annotated[str, msgspec.Meta(pattern="^[a-z0-9-]+/[0-9]+$")] | None = None
    """`key/revision` of a definition whose tables hold where this one says nothing."""
    maker: Text
    model: Text
    family: Text
    protocol: Literal["astm", "hl7", "metin", "tablo", "poct1a"]
    """`metin`: texts of the maker's own kind, read by [text] from a line of [wire]. `tablo`: result files, [table].
    `poct1a`: XML of point-of-care devices, read by [text], talked to as [poct] says."""
    source: Text
    standing: Literal["simulated", "replayed", "documented", "on-a-line"]
    """Whether it was proved on a simulator, on captured messages, only read from documents, or at a named site."""
    tested_with: list[Text] = []
    quirks: list[Text] = []
    directions: Annotated[list[Literal["results", "query", "orders"]], msgspec.Meta(min_length=1)]
    links: Annotated[list[Literal["tcp", "serial", "file"]], msgspec.Meta(min_length=1)]
    encoding: str = ""
    """Character set of its texts; empty: UTF-8, else Windows-1254."""
    escapes: bool = True
    """ASTM: whether &F& &S& &R& &E& &Xhh& are escape sequences."""
    local_escapes: dict[str, str] = {}
    """HL7: the maker's own escape sequences, `Z03BC = "μ"`."""
    comments_before: bool = False
    """ASTM: a remark stands before its result."""
    ignore_records: list[Annotated[str, msgspec.Meta(pattern="^[A-Z]$")]] = []
    """ASTM record types beyond the standard's that are known to say nothing."""
    link: Link = msgspec.field(default_factory=Link)
    wire: Wire | None = None
    text: TextTable | None = None
    table: TableFile | None = None
    poct: Poct = msgspec.field(default_factory=Poct)
    recognise: Recognise = msgspec.field(default_factory=Recognise)
    specimen: Specimen = msgspec.field(default_factory=Specimen)
    patient: Item = msgspec.field(default_factory=Item)
    test: Test = msgspec.field(default_factory=Test)
    value: Value = msgspec.field(default_factory=Value)
    unit: Unit = msgspec.field(default_factory=Unit)
    flags: Flags = msgspec.field(default_factory=Flags)
    range: Item = msgspec.field(default_factory=Item)
    status: Status = msgspec.field(default_factory=Status)
    measured_at: MeasuredAt = msgspec.field(default_factory=MeasuredAt)
    rack: Item = msgspec.field(default_factory=Item)
    position: Item = msgspec.field(default_factory=Item)
    replicate: Item = msgspec.field(default_factory=Item)
    operator: Item = msgspec.field(default_factory=Item)
    lot: Lot = msgspec.field(default_factory=Lot)
    reference: Item = msgspec.field(default_factory=Item)
    """Our own identifier of the work step, where the instrument sends it back."""
    comments: Comments = msgspec.field(default_factory=Comments)
    qc: Qc = msgspec.field(default_factory=Qc)
    event: Qc = msgspec.field(default_factory=Qc)
    """How a specimen is told that is neither a patient's nor a control (calibrator, blank)."""
    remark: list[Remark] = []
    failed: list[When] = []
    """An order without a result that says by one of these that it failed."""
    row: list[Row] = []
    hl7: Key | None = None
    """ASTM: the definition that reads HL7 text in this model's frames, where it can be set to send that."""
    extra: list[Extra] = []
    parameters: dict[Text, Text] = {}
    """What nobody has documented and a site must set or check, by its name in this file (`qc.specimens`), with a
    sentence in Turkish. The site's own file says it (`based_on`)."""
    texts: dict[str, Text] = {}
    """The instrument's words in Turkish, whatever their case: negative = "Negatif"."""
    codes: dict[str, Text] = {}
    """Test codes seen on this model and what they are, for whoever maps them."""
    query: Query | None = None
    answer: Answer | None = None
    push: Push | None = None


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a definition file."""
    schema = msgspec.json.schema(DefinitionFile)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Instrument definition", **schema}


def schema_text() -> bytes:
    """The schema as the file holds it."""
    return msgspec.json.format(msgspec.json.encode(json_schema()), indent=2) + b"\n"


if __name__ == "__main__":
    target = FilePath(__file__).parent / "schema" / "instrument.schema.json"
    target.write_bytes(schema_text())
    sys.stdout.write(f"{target.name}\n")
