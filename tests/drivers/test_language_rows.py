"""What a definition can say about rows: codes made of several parts, "no result", remarks, powers of ten, flag lists."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from drivers.decode import decode_bytes
from drivers.definition import Catalog, Definition, DefinitionError, load_catalog
from drivers.messages import Query, WorkOrder, WorkTest
from drivers.protocols.astm_frames import frames_of
from drivers.reading import Reading
from drivers.values import scaled

TOP = """
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
    "specimen": 'from = ["O-3.1"]',
    "test": 'from = ["R-3.4"]',
    "value": 'from = ["R-4.lone"]',
    "unit": 'from = ["R-5"]',
    "flags": 'from = ["R-7"]',
}


def made(folder: Path, more: str = "", **tables: str) -> Definition:
    text = TOP + "".join(f"[{name}]\n{body}\n" for name, body in {**TABLES, **tables}.items()) + more
    (folder / "d.toml").write_text(text, encoding="utf-8")
    return load_catalog(folder).get("deneme-100")


def read(definition: Definition, *records: str) -> Reading:
    lines = (r"H|\^&|||X", "P|1", "O|1|1001", *records, "L|1|N")
    return definition.read("".join(line + "\r" for line in lines).encode())


def test_one_code_in_several_rows_is_told_apart_by_further_parts(tmp_path: Path) -> None:
    """Final result, its interpretation and the second isolate's: three codes, so none becomes a re-run of another."""
    definition = made(
        tmp_path, test="""from = ["R-3.4"]\njoin = "^"\nfurther = [{ at = "R-3.5", match = '^I$' }, "R-3.6"]"""
    )
    rows = read(definition, "R|1|^^^161^F|0.12", "R|2|^^^161^I|Nonreactive", "R|3|^^^161^I^2|Reactive").observations

    assert [(row.test, row.replicate) for row in rows] == [("161", 1), ("161^I", 1), ("161^I^2", 1)]


def test_what_says_that_there_is_no_result_is_never_a_value(tmp_path: Path) -> None:
    definition = made(tmp_path, value="from = [\"R-4\"]\nnothing = ['NA', '-+', 'ERR.*']")
    rows = read(
        definition, "R|1|^^^A|NA", "R|2|^^^B|--", "R|3|^^^C|ERROR", "R|4|^^^D|NAD", "R|5|^^^E|0", "R|6|^^^F|-1"
    ).observations

    assert [(row.value, row.number, row.comments) for row in rows] == [
        (None, None, ["Sonuç yok: NA"]),
        (None, None, ["Sonuç yok: --"]),
        (None, None, ["Sonuç yok: ERROR"]),
        ("NAD", None, []),
        ("0", 0.0, []),
        ("-1", -1.0, []),
    ]


def test_a_remark_says_what_has_no_place_of_its_own(tmp_path: Path) -> None:
    more = (
        '[[remark]]\nlabel = "Seyreltme"\nfrom = ["R-3.5"]\nnone = [\'1\']\n'
        '[[remark]]\nlabel = "Yorum"\nfrom = [{ at = "R-4.2" }]\n[texts]\nneg = "Negatif"\n'
    )
    definition = made(tmp_path, more, value='from = ["R-4.1"]')
    diluted, plain = read(definition, "R|1|^^^A^10|2.7^Neg", "R|2|^^^A^1|2.7").observations

    assert (diluted.value, diluted.comments) == ("2.7", ["Seyreltme: 10", "Yorum: Negatif"])
    assert plain.comments == []


def test_a_control_is_told_by_where_it_stands_and_keeps_where_that_was(tmp_path: Path) -> None:
    """By its number, by a field, by its place: each is enough, and none of them is a patient."""
    rules = "when = [{ 'O-4.2' = '9[0-9]{3}' }, { 'O-12' = 'Q' }]\nspecimens = ['QC.*']"
    more = f"[qc]\n{rules}\n[rack]\nfrom = ['O-4.2']\n[position]\nfrom = ['O-4.3']\n[operator]\nfrom = ['R-11']\n"
    definition = made(tmp_path, more)
    told = {}
    for order in ("O|1|1001|^9001^4", "O|1|1002|^0012^4", "O|1|1003|^0012^5||||||||Q", "O|1|QC7|^0012^6"):
        records = ("H|\\^&|||X", "P|1", order, "R|1|^^^K|4.1|mmol/L||||||ayse", "L|1|N")
        [one] = definition.read("".join(record + "\r" for record in records).encode()).observations
        told[one.specimen] = (one.kind, one.rack, one.position, one.operator)
    assert told == {
        "1001": ("qc", "9001", "4", "ayse"),
        "1002": ("result", "0012", "4", "ayse"),
        "1003": ("qc", "0012", "5", "ayse"),
        "QC7": ("qc", "0012", "6", "ayse"),
    }


def test_the_expiry_of_a_reagent_is_said_with_the_result_and_its_lot(tmp_path: Path) -> None:
    definition = made(
        tmp_path, "[lot]\nfrom = ['R-14.1']\n[[remark]]\nlabel = 'Reaktif son kullanma'\nfrom = ['R-14.2']\n"
    )
    [one] = read(definition, "R|1|^^^K|4.1|mmol/L|||||||||L4471^20270331").observations
    assert (one.lot, one.comments) == ("L4471", ["Reaktif son kullanma: 20270331"])


def test_a_comment_that_lists_flags(tmp_path: Path) -> None:
    definition = made(
        tmp_path,
        "[comments]\nflag_list = 'Instrument Flag (.*)'\n",
        flags="""from = ["R-7"]\nnone = ["N"]""",
    )
    first, second = read(
        definition, "R|1|^^^A|5||^x|A", "C|1|I|Instrument Flag A,A, H,N|I", "R|2|^^^B|5||^x|N", "C|1|I|see above|I"
    ).observations

    assert (first.flags, first.comments) == (["A", "H"], [])
    assert (second.flags, second.comments) == ([], ["see above"])


def test_components_behind_an_empty_one_are_flags_of_their_own(tmp_path: Path) -> None:
    definition = made(tmp_path, flags='from = ["R-7"]\nparts = true\nnone = ["0"]')
    (row,) = read(definition, r"R|1|^^^A|5|||^0^FRMN\^0^NR\^5^").observations

    assert row.flags == ["FRMN", "NR", "5"]


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        ("367", "10*-1.{copies}/mL", ("36.7", "copies/mL")),
        ("194", "10*0.{Copies}/mL", ("194", "Copies/mL")),
        ("226", "10*4.{Copies}/mL", ("2260000", "Copies/mL")),
        ("2.50", "10*1.[iU]/mL", ("25.0", "[iU]/mL")),
        ("<20", "10*1.{copies}/mL", ("<200", "copies/mL")),
    ],
)
def test_a_power_of_ten_in_the_unit_belongs_to_the_number(value: str, unit: str, shown: tuple[str, str]) -> None:
    assert scaled(value, unit) == (*shown, f"Cihazın yazdığı: {value} {unit}")


@pytest.mark.parametrize(("value", "unit"), [("5", "10*3/uL"), ("Titer", "10*1.{copies}/mL"), ("1e3", "10*1.x")])
def test_what_is_no_power_of_ten_stays_as_it_was_sent(value: str, unit: str) -> None:
    assert scaled(value, unit) == (value, unit, "")


def test_a_scaled_unit_in_a_message(tmp_path: Path) -> None:
    definition = made(tmp_path, unit='from = ["R-5"]\nscaled = true')
    (row,) = read(definition, "R|1|^^^HIV|367|10*-1.{copies}/mL").observations

    assert (row.value, row.number, row.unit) == ("36.7", 36.7, "copies/mL")
    assert row.comments == ["Cihazın yazdığı: 367 10*-1.{copies}/mL"]


def test_codes_that_are_ordered_as_one_are_ordered_once(tmp_path: Path) -> None:
    """GeneXpert reports UV2^TBPos and UV2^Rif; what it is asked to run is UV2."""
    definition = made(
        tmp_path,
        "[answer]\nhead = ['H|\\^&']\norder = ['O|1|{specimen}||{tests}']\ntest = '^^^{code}'\n"
        "tail = ['L|1|N']\ncut = \"^\"\n",
    )
    tests = tuple(WorkTest(code) for code in ("UV2^TBPos", "UV2^Rif", "HIV-1"))
    (answer,) = definition.answer(
        Query(specimens=["1001"]),
        [WorkOrder(specimen="1001", known=True, tests=tests)],
        now=datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Istanbul")),
        sender="NUMUNE",
        control_id="n-1",
    )

    assert answer.split(b"\r")[1] == rb"O|1|1001||^^^UV2\^^^HIV-1"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ('[[remark]]\nlabel = "x"\nfrom = ["M-4"]\n', "sonucun kendisinde ya da üstünde"),
        ("[comments]\nflag_list = 'Flag'\n", "tek bir küme"),
        ('[[remark]]\nfrom = ["R-4"]\n', "zorunlu alan eksik: label"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, more: str, says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        made(tmp_path, more)


# ---- HL7 text in the frames of an ASTM model

HL7_TEXT = (
    b"MSH|^~\\&|900000 DENEME LAB^GeneXpert^6.5||LIS||20260105183827||ORU^R32^ORU_R30|GXM-1|P|2.5\r"
    b"OBR|1|||MTBXDR\rTQ1|||||||20260105170829|20260105183818|R\r"
    b"OBX|1|ST|MTBXDR&MTB&Xpert MTB-XDR&1|MTB&|DETECTED^||||||F\rSPM|1|26004178^||ORH\r"
)


def test_an_analyser_set_to_hl7_inside_its_frames_is_read_by_the_definition_for_that(catalog: Catalog) -> None:
    session = b"\x05" + b"".join(frames_of(HL7_TEXT, limit=60)) + b"\x04"
    decoded = decode_bytes(session, catalog, "cepheid-genexpert")
    (line,) = decoded.lines

    assert decoded.failures == []
    assert (line["instrument"], line["specimen"], line["test"], line["value"]) == (
        "cepheid-genexpert-hl7", "26004178", "MTBXDR^MTB", "DETECTED",
    )  # fmt: skip


def test_another_model_is_not_expected_to_do_that(catalog: Catalog) -> None:
    session = b"\x05" + b"".join(frames_of(HL7_TEXT, limit=60)) + b"\x04"

    assert decode_bytes(session, catalog, "beckman-access-2").failures != []
    assert catalog.inside(catalog.get("beckman-access-2")).key == "generic-hl7"


def test_hl7_inside_is_for_astm_models_only(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="yalnız ASTM"):
        (tmp_path / "x.toml").write_text(
            TOP.replace('protocol = "astm"', 'protocol = "hl7"').replace(
                'links = ["tcp"]', 'links = ["tcp"]\nhl7 = "y"'
            )
            + '[specimen]\nfrom = ["SPM-2"]\n[test]\nfrom = ["OBX-3.1"]\n[value]\nfrom = ["OBX-5"]\n',
            encoding="utf-8",
        )
        load_catalog(tmp_path)


def test_a_definition_cannot_name_one_that_is_not_there(tmp_path: Path) -> None:
    made(tmp_path)
    path = tmp_path / "d.toml"
    text = path.read_text(encoding="utf-8").replace("revision = 1", 'revision = 1\nhl7 = "yok-boyle"')
    path.write_text(text, encoding="utf-8")

    with pytest.raises(DefinitionError, match="hl7 = 'yok-boyle' adlı bir tanım yok"):
        load_catalog(tmp_path)


# ---- noise


def test_a_message_that_declares_no_sub_components_has_none(catalog: Catalog) -> None:
    """MSH-2 of one character: OBX-3.1.2 is nothing, and nothing breaks."""
    text = HL7_TEXT.replace(b"MSH|^~\\&|", b"MSH|^|")
    (row, *_) = catalog.get("cepheid-genexpert-hl7").read(text).observations

    assert row.test is not None and row.test.startswith("MTBXDR&MTB")


def test_a_number_with_noise_in_it_is_answered_without_an_escape_character(catalog: Catalog) -> None:
    definition = catalog.get("erba-xl-1000")
    (query,) = definition.read(b"H|`^||||||||||P|E 1394-97\rQ|1|^26\x0004179|||S|||||||O\rL|1|N\r").queries
    work = WorkOrder(specimen=query.specimens[0], known=True, tests=(WorkTest("Na"),))
    now = datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Istanbul"))
    (answer,) = definition.answer(query, [work], now=now, sender="NUMUNE", control_id="n-1")

    assert b"O|1|26 04179^||^^^Na|" in answer
