"""What a definition says about texts that are neither ASTM nor HL7: fixed columns, printed lines, fields, XML, tables.

`protocol = "metin"`: [text] cuts a message into units (lines, blocks, XML elements) and [[text.rule]] says what each
unit is. A rule is a regular expression with named groups, or columns that become one. Groups carry the items of the
language: specimen, patient, rack, position, operator, lot, test, name, value, unit, flags, range, status, date, time,
comment; every other name is kept for conditions (`when`), for [text] control and event, and for answers.

`protocol = "poct1a"` is read by [text] too, with `xml = true`.

`protocol = "tablo"`: [table] names the columns of a CSV or XLSX file by their headings.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Regex = Annotated[str, msgspec.Meta(min_length=1, description="A regular expression (Python); %name% = a parameter")]
Text = Annotated[str, msgspec.Meta(min_length=1)]
Name = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]*$", description="A group, in lower case")]
Control = Annotated[
    str,
    msgspec.Meta(
        pattern="^([A-Z0-9]{2,3}( [A-Z0-9]{2,3})*)?$",
        description="Control characters by name (STX ETX ENQ CR LF) or as two hexadecimal digits, blanks between them",
    ),
]
Column = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^([a-z][a-z0-9_]*|-):([0-9]+|%[a-z_]+%|\*)$",
        description="name:width, -:width for what says nothing, name:* for the rest; the width may be a parameter",
    ),
]


class _Part(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One table of a definition file."""


class Parameter(_Part):
    """A setting of the machine that the site must know: widths of columns above all."""

    default: int | str
    meaning: Text
    """In Turkish, for whoever sets up the line."""
    choices: list[int | str] = []


class Cell(_Part):
    """A test that is told by its place, not by a code."""

    test: Text
    name: str = ""
    unit: str = ""
    decimals: int | None = None
    """The point is not sent: so many digits stand behind it."""


class TextRule(_Part, kw_only=True):
    """What one unit of the message is. The first rule that fits it from end to end decides."""

    match: Regex | None = None
    columns: list[Column] = []
    """In order, without gaps; in place of `match`."""
    path: Regex | None = None
    """XML: the element's path from end to end, `Result/Analyte`."""
    take: dict[Name, Text] = {}
    """XML: group = `@attribute`, `text`, or `Child` / `Child/@attribute`."""
    kind: Literal["above", "results", "query", "event", "ignore", "remark"] = msgspec.field(name="as")
    """`above`: what it says holds for the results after it (and before it: see `spread`). `remark`: its group `comment`
    is said of the result before it."""
    whole: bool = False
    """Remark: of every result of the specimen, also of those before it."""
    begins: bool = False
    """A new specimen: what stood above is forgotten."""
    when: dict[Name, Regex] = {}
    """Only where what stands above says so."""
    sets: dict[Name, str] = {}
    """Fixed texts, as if they had been groups."""
    test: str = ""
    """The code, where no group holds it. `{group}` stands for what a group says: `{test}.qn`."""
    unit: str = ""
    values: dict[Name, Cell] = {}
    """Groups that are values, each of its own test."""
    cells: Regex | None = None
    """The group `cells` is a row of these; it must come out even, or the unit is refused."""
    cell_columns: list[Column] = []
    tests: list[Cell | str] = []
    """The tests of the cells, by position; an empty text leaves a cell out."""
    names: int = 0
    """The group `names` holds the tests of the cells, each so many characters wide; a blank one leaves a cell out.
    `test` may then be a pattern with {cell} in it."""
    go_on: bool = False
    """The rules after this one look at the same unit too."""
    blank: Literal["report", "omit"] = "report"
    """A value of nothing but blanks: a result without a value (a person sees it), or not there at all."""
    each: Regex | None = None
    """Query: the group `specimen` holds several identifiers; each of these is one."""


class TextTable(_Part):
    """How a text is read."""

    split: str = "\r\n|\r|\n"
    """Between units; empty: the whole message is one."""
    xml: bool = False
    remove: list[Regex] = []
    """Taken out before anything else."""
    parameters: dict[Name, Parameter] = {}
    rule: list[TextRule] = []
    unknown: Literal["problem", "ignore"] = "problem"
    """A unit that fits no rule is told to a person, or is known to say nothing."""
    refuse: bool = False
    """With a unit that fits no rule nothing of the message is read: its columns are somewhere else than we think."""
    needs: list[Name] = []
    """What a message with results must say; without it the message is not whole."""
    spread: list[Name] = []
    """Said after a result it holds for the results of the same specimen before it too (an identifier at the end)."""
    decimals: dict[Regex, int] = {}
    """By test code: the point is not sent; so many digits stand behind it."""
    units: dict[Regex, str] = {}
    """By test code, where the message does not say the unit and the maker fixes it."""
    value_pattern: Regex | None = None
    """A value that fits it from end to end is its group `value`, with its groups `unit` and `flags`."""
    specimen_without: str = ""
    """Characters that are printed into the identifier and do not belong to it."""
    control_name: str = ""
    """What names the material of a control, of its groups: `{control} {level}`. Empty: the group `specimen`."""
    same_without: Regex | None = None
    """Left out where two messages are compared: the header, whose time differs when a message is sent again."""
    no_result: list[Regex] = []
    """What stands for a value where there is none, from end to end: the result then has no value, and says so."""
    suppress: dict[Name, Regex] = {}
    """A result whose group says this has no value: the instrument's own error codes."""
    flags_are: Literal["words", "characters", "whole"] = "words"
    control: list[dict[Name, Regex]] = []
    """One of these is enough to make it a control: each group from end to end."""
    event: list[dict[Name, Regex]] = []
    expand: dict[str, list[Column]] = {}
    """A test whose value is several in one: `096 = ["L:2", ...]`, each then of its own code."""
    read_nothing: bool = False
    """Too little is known of this model: every message is kept and shown, and nothing is read from it."""


class TableFile(_Part):
    """A file of results: CSV or a worksheet. One row is one result, or one specimen with a column a test."""

    columns: dict[Name, list[Text]] = {}
    """Item = possible headings of its column, whatever their case: specimen, test, value, unit ..."""
    tests: dict[Text, Cell | str] = {}
    """Headings that are tests."""
    other_columns_are_tests: bool = False
    """Every heading that nothing else claims is the code of a test."""
    separators: str = ";,\t|"
    sheet: str = ""
    """Worksheet; empty: the first one."""
    skip_blank: bool = True
    """An empty cell of a test column is a test that was not ordered."""
    open_end: bool = False
    """The last line of a CSV needs no line end. Else it may be cut off (12 of 123) and is not read."""
    no_result: list[Regex] = []
    control: list[dict[Name, Regex]] = []


class Wire(_Part, kw_only=True):
    """How bytes become messages on a line of this model: the link codec and its settings."""

    kind: Literal["block", "dimension", "integra", "advia", "coulter", "bci", "lis3", "ves-matic", "astm"]
    start: Control | None = None
    ends: list[Control] | None = None
    check: Literal["none", "xor", "or", "sum"] | None = None
    check_form: Literal["byte", "hex"] | None = None
    check_covers: Literal["text", "end", "all"] | None = None
    answer: bool | None = None
    hello: list[Control] | None = None
    closes: Control | None = None
    drop: Control | None = None
    keep_alive: list[str] | None = None
    bare_end: Regex | None = None
    pause: float | None = None
    join: Control | None = None
    checksum: Literal["required", "optional", "none"] | None = None
    max_block: int | None = None
    max_message: int | None = None
    listen_limit: float | None = None
    reply_limit: float | None = None
    answer_limit: float | None = None
    poll: float | None = None
    unit_name: str | None = None
    delay: float | None = None
    echo: list[str] | None = None
    """Texts that the link sends straight back (a ping), and keeps nowhere."""
    acknowledge: Control | None = None
    refuse: Control | None = None


class Poct(_Part):
    """POCT1-A: how the device is talked to (`drivers.protocols.poct1a_words.Poct1aOptions`). What is not said is as
    there."""

    framing: Literal["auto", "bare", "mllp"] | None = None
    continuous: bool | None = None
    set_time: bool | None = None
    events: bool | None = None
    end: bool | None = None
    ack_id: Literal["ack_control_id", "control_id"] | None = None
    ack_end_of_topic: bool | None = None
    operator_topic: Text | None = None
    patients: bool | None = None
    overdue: float | None = None
    keep_alive: float | None = None
    turnaround: float | None = None
    answer_limit: float | None = None
    listen_limit: float | None = None
    max_message: int | None = None
