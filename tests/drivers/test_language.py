"""Words of the definition language that one family or another needs, each on a small message of its own."""

from __future__ import annotations

import tomllib

import pytest

from drivers.definition import Definition, DefinitionError, definition_file, load_catalog
from drivers.reading import Reading

BASE = """
key = "deneme-100"
revision = 1
maker = "Deneme"
model = "D-100"
family = "chemistry"
protocol = "astm"
source = "hand-written"
standing = "simulated"
directions = ["results"]
links = ["tcp"]
"""
TABLES = {
    "specimen": ['from = ["O-3.1"]'],
    "test": ['from = ["R-3.4"]'],
    "value": ['from = ["R-4"]'],
}


def made(extra: str = "", **tables: str) -> Definition:
    """A small definition; each named table gets further lines."""
    text = BASE
    for name, lines in TABLES.items():
        text += f"[{name}]\n" + "\n".join([*lines, tables.pop(name, "")]) + "\n"
    for name, more in tables.items():
        text += f"[{name}]\n{more}\n"
    return Definition(definition_file(tomllib.loads(text + extra)))


def read(definition: Definition, *records: str) -> Reading:
    return definition.read("".join(record + "\r" for record in ("H|\\^&", "P|1", *records, "L|1|N")).encode())


def test_one_code_with_several_units_is_several_tests() -> None:
    """A coagulation analyser sends the prothrombin time as seconds, % and INR under one number."""
    definition = made(test='also = ["R-5"]')
    reading = read(definition, "O|1|26000145", "R|1|^^^001|12.6|s", "R|2|^^^001|102|%", "R|3|^^^002|7.1")

    assert [(one.test, one.replicate) for one in reading.observations] == [("001/s", 1), ("001/%", 1), ("002", 1)]


def test_a_place_may_say_a_word_of_its_own() -> None:
    definition = made(test="""also = [{ at = "R-4", when = { "R-4" = '[-+]+' }, says = "derece" }, "R-5"]""")
    reading = read(definition, "O|1|26000145", "R|1|^^^RBC|++", "R|2|^^^RBC|12.5|p/HPF", "R|3|^^^RBC|3")

    assert [one.test for one in reading.observations] == ["RBC/derece", "RBC/p/HPF", "RBC"]


def test_a_titre_is_told_in_one_spelling_and_is_no_number() -> None:
    """Only for the codes that the file names; the text of the instrument stays beside it."""
    definition = made("[texts]\nnegative = 'Negatif'\n", value="titre = ['ANA.*']")
    results = [("ANA", "1:160"), ("ANA2", "<1 / 20"), ("ANA", "Negative"), ("ANA", "160"), ("ORAN", "1:160")]
    rows = [f"R|{n}|^^^{code}|{value}|||||F" for n, (code, value) in enumerate(results, 1)]

    told = [(one.value, one.number, one.translation, one.flags) for one in read(definition, *rows).observations]
    assert told == [
        ("1:160", None, "1/160", []),
        ("<1 / 20", None, "<1/20", ["<"]),
        ("Negative", None, "Negatif", []),
        ("160", 160.0, None, []),
        ("1:160", None, None, []),
    ]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("generic-hl7", "MSH|^~\\&|A|B|||20260101||ORU^R01|1|P|2.5.1\rOBR|1||1\rOBX|1|SN|ANA^^L||>=^1^:^640|||||F\r"),
        ("generic-poct1a", '<OBS.R01><SVC><SVC.role_cd V="OBS"/><PT><OBS><OBS.observation_id V="ANA"/>'
         '<OBS.qualitative_value V="&gt;=1:640"/></OBS></PT></SVC></OBS.R01>'),
    ],
    ids=["hl7", "poct1a"],
)  # fmt: skip
def test_titres_in_other_protocols(key: str, message: str) -> None:
    (one,) = load_catalog().get(key).read(message.encode()).observations
    assert (one.value, one.number, one.translation, one.flags) == (">=1:640", None, ">=1/640", [">="])


def test_a_status_that_warns_is_a_flag_too() -> None:
    definition = made(flags="""from = ["R-7"]\nnone = ["N"]\nalso = [{ at = "R-9", match = '^[WX]$' }]""")
    reading = read(
        definition, "O|1|26000145", "R|1|^^^WBC|8.5|||HH||W", "R|2|^^^RBC|4.6|||N||F", "R|3|^^^PLT|31|||W||W"
    )

    assert [one.flags for one in reading.observations] == [["HH", "W"], [], ["W"]]


def test_characters_that_the_model_puts_into_an_identifier_are_taken_out() -> None:
    reading = read(made(specimen='remove = "-"'), "O|1|2600-0145-", "R|1|^^^A1c|5.9")

    assert reading.observations[0].specimen == "26000145"


def test_the_time_of_the_first_result_holds_for_those_after_it_and_not_for_the_next_order() -> None:
    definition = made(measured_at='from = ["R-13"]\ncarry = true')
    reading = read(
        definition,
        "O|1|26000145",
        "R|1|^^^pH|7.41|||||||||20260101120000",
        "R|2|^^^pO2|88",
        "O|2|26000152",
        "R|1|^^^pH|7.38",
    )

    assert [one.measured_at for one in reading.observations] == ["2026-01-01T12:00:00", "2026-01-01T12:00:00", None]
    assert not reading.timed


LOT = """from = [{ at = "C-4.4", when = { "C-4.1" = "LOT" } }]\nshared = '^(..)'"""


def test_a_lot_told_once_is_that_of_its_group_of_codes() -> None:
    definition = made(lot=LOT, comments="ignore = ['LOT.*']")
    reading = read(
        definition,
        "O|1|26000145",
        "R|1|^^^041|10.6",
        "R|2|^^^043|0.93",
        "C|1|I|LOT^040^PT^564636|I",
        "R|3|^^^051|25.4",
        "R|4|^^^061|2.1",
    )

    assert [one.lot for one in reading.observations] == ["564636", "564636", None, None]
    assert [one.comments for one in reading.observations] == [[], [], [], []]


def test_two_lots_of_one_group_are_never_spread() -> None:
    definition = made(lot=LOT)
    reading = read(
        definition,
        "O|1|26000145",
        "R|1|^^^041|10.6",
        "C|1|I|LOT^040^PT^1|I",
        "R|2|^^^042|99",
        "R|3|^^^043|0.93",
        "C|1|I|LOT^040^PT^2|I",
    )

    assert [one.lot for one in reading.observations] == ["1", None, "2"]


def test_each_repetition_of_a_comment_may_be_a_remark() -> None:
    definition = made(comments="each = true\nof_order = true\nignore = ['noise']")
    reading = read(definition, "O|1|26000145", r"C|1|I|A^WBC\noise\B^RBC|I", "R|1|^^^WBC|8.5", r"C|1|I|x\y|I")

    assert reading.observations[0].comments == ["A^WBC", "B^RBC", "x", "y"]


def test_a_curve_in_a_record_of_its_own_is_an_event_and_never_a_result() -> None:
    rules = """
[[extra]]
record = "M"
when = { "M-3" = "HISTOGRAM" }
test = ["M-5"]
attachment = "M-6"
text = "Eğri"
"""
    reading = read(
        made(rules), "O|1|26000145", "M|1|HISTOGRAM|RBC|RbcAlong|stream^AAA=", "M|2|OTHER|x", "R|1|^^^RBC|4.6"
    )
    curve, count = reading.observations

    assert (curve.kind, curve.specimen, curve.test, curve.attachment) == (
        "event",
        "26000145",
        "RbcAlong",
        "stream^AAA=",
    )
    assert (curve.value, curve.comments, curve.raw) == (None, ["Eğri"], {"record": 4})
    assert (count.kind, count.number) == ("result", 4.6)


def test_what_a_site_must_set_is_named_by_the_words_of_the_grammar() -> None:
    definition = made('[parameters]\n"qc.specimens" = "Kontrol numaraları"\n"link.connects" = "Kim bağlanır"\n')
    assert definition.file.parameters["qc.specimens"] == "Kontrol numaraları"

    with pytest.raises(DefinitionError, match=r"\[parameters\] qc\.ids: tanımda böyle bir alan yok"):
        made('[parameters]\n"qc.ids" = "Kontrol numaraları"\n')


def test_what_only_astm_has_is_refused_for_hl7() -> None:
    hl7 = BASE.replace('protocol = "astm"', 'protocol = "hl7"') + (
        '[specimen]\nfrom = ["SPM-2.1"]\n[test]\nfrom = ["OBX-3.1"]\n[value]\nfrom = ["OBX-5"]\n'
    )
    with pytest.raises(DefinitionError, match=r"shared yalnız ASTM"):
        Definition(definition_file(tomllib.loads(hl7 + "[lot]\nfrom = [\"INV-16\"]\nshared = '^(..)'\n")))
    with pytest.raises(DefinitionError, match=r"extra\]\] yalnız ASTM"):
        Definition(definition_file(tomllib.loads(hl7 + '[[extra]]\nrecord = "M"\n')))
