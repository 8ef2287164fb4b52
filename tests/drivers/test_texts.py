"""The text and table parts of the definition language: what they read, what they refuse, what the host answers."""

from __future__ import annotations

import io
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from drivers.capture_text import read_texts
from drivers.decode import decode_bytes
from drivers.definition import Catalog, Definition, DefinitionError, load_catalog
from drivers.messages import WorkOrder, WorkPatient, WorkTest
from drivers.protocols.hl7 import LocalError
from drivers.text_values import implied

CATALOG = load_catalog()
TEXTS = sorted(one.key for one in CATALOG if one.protocol in ("metin", "tablo"))
NOW = datetime(2026, 1, 1, 9, 5, 40, tzinfo=ZoneInfo("Europe/Istanbul"))

HEAD = """
key = "deneme-metin"
revision = 1
maker = "Deneme"
model = "D"
family = "chemistry"
protocol = "metin"
source = "hand-written"
standing = "simulated"
directions = ["results"]
links = ["serial"]
[wire]
kind = "block"
"""


def definition(folder: Path, rest: str, head: str = HEAD) -> Definition:
    (folder / "d.toml").write_text(head + rest, encoding="utf-8")
    return load_catalog(folder).get("deneme-metin")


# ---- numbers without a point


@pytest.mark.parametrize(
    ("text", "digits", "value"),
    [
        ("00652", 2, "6.52"),
        ("0135", 1, "13.5"),
        ("  5", 2, "0.05"),
        ("0000", 1, "0.0"),
        ("-012", 1, "-1.2"),
        ("0249", 0, "249"),
        ("6.52", 2, "6.52"),
        ("<12", 1, "<12"),
        ("----", 1, "----"),
    ],
)
def test_the_point_is_put_where_the_maker_means_it(text: str, digits: int, value: str) -> None:
    assert implied(text, digits) == value


# ---- what is refused


def test_a_record_of_another_length_is_refused_whole(catalog: Catalog) -> None:
    """One column too many, and every value behind it would be another one's."""
    (message, *_) = read_texts(
        (Path(__file__).with_name("messages") / "sysmex-kx-21n.bin").read_bytes(), catalog.get("sysmex-kx-21n")
    ).messages
    assert len(catalog.get("sysmex-kx-21n").read(message.text).observations) == 18
    for wrong in (message.text + b"0", message.text[:-1], message.text[:20] + b" " + message.text[20:]):
        reading = catalog.get("sysmex-kx-21n").read(wrong)
        assert reading.observations == [] and "tanıma uymuyor" in (reading.problem or "")


def test_cells_that_do_not_come_out_even_are_refused(catalog: Catalog) -> None:
    head = b"D 001203 000126000145            " + b"    E" + b" " * 126
    good = catalog.get("beckman-au5800").read(head + b"003   5.2  ")
    assert [(one.specimen, one.test, one.value) for one in good.observations] == [("26000145", "003", "5.2")]
    assert catalog.get("beckman-au5800").read(head + b"003   5.2 ").observations == []


def test_the_widths_of_a_site_are_parameters(catalog: Catalog) -> None:
    site = catalog.get("beckman-au5800").at_site({"kimlik": 10, "bilgi": 6, "test": 2, "deger": 9, "isaret": 4})
    reading = site.read(b"D 001203 0001" + b"26000145  " + b"    E" + b" " * 6 + b"03      5.2H   ")

    assert [(one.specimen, one.test, one.value, one.flags) for one in reading.observations] == [
        ("26000145", "03", "5.2", ["H"])
    ]
    with pytest.raises(DefinitionError, match="kimlik: 0-999 arası"):
        catalog.get("beckman-au5800").at_site({"kimlik": "on"})
    with pytest.raises(DefinitionError, match="seçenekler: 2, 3"):
        catalog.get("beckman-au5800").at_site({"test": 5})
    with pytest.raises(DefinitionError, match="parametresi yok"):
        catalog.get("sysmex-xn").at_site({"kimlik": 10})


def test_a_model_that_is_only_listened_to_reads_nothing(catalog: Catalog) -> None:
    for key in ("generic-metin", "mindray-bc-20s", "siemens-advia-1800", "streck-esr-auto-plus"):
        reading = catalog.get(key).read(b"26000145 WBC 6.5")
        assert reading.observations == [] and "yalnız saklanır" in (reading.problem or "")


def test_a_dimension_date_is_not_the_year_4005(catalog: Catalog) -> None:
    """ssmmHHddMMyy: 400509010126 is 9:05:40 on the first of January 2026."""
    text = b"R\x1c1\x1c\x1c26000145\x1c1\x1c\x1c0\x1c400509010126\x1c1\x1c1\x1c1\x1cGLU\x1c98\x1cmg/dL\x1c\x1c"
    assert catalog.get("siemens-dimension-exl").read(text).observations[0].measured_at == "2026-01-01T09:05:40"


@pytest.mark.parametrize("code", ["7", "12", "16", "17", "19"])
def test_a_dimension_error_code_suppresses_the_value(catalog: Catalog, code: str) -> None:
    text = f"R\x1c1\x1c\x1c26000145\x1c1\x1c\x1c0\x1c400509010126\x1c1\x1c1\x1c1\x1cGLU\x1c98\x1cmg/dL\x1c{code}\x1c"
    (one,) = catalog.get("siemens-dimension-exl").read(text.encode()).observations
    assert one.value is None and one.number is None and code in one.flags


def test_xml_with_a_document_type_is_not_read(catalog: Catalog) -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><SA ID="26000145"><AC><AR Key="RBC">&a;</AR></AC></SA>'
    reading = catalog.get("beckman-iricell-iq200").read(bomb)
    assert reading.observations == [] and "güvenlik" in (reading.problem or "")


def test_xml_as_hexadecimal_utf_16(catalog: Catalog) -> None:
    xml = '<SA ID="26000145"><AC><AR Key="RBC">12 /ul</AR></AC></SA>'
    (one,) = catalog.get("beckman-iricell-iq200").read(xml.encode("utf-16-le").hex().encode()).observations
    assert (one.specimen, one.test, one.number, one.unit) == ("26000145", "RBC", 12.0, "/ul")


# ---- the grammar


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ("[text]\n", "en az bir"),
        ("[text]\n[[text.rule]]\nmatch = '('\nas = 'results'\n", "geçersiz düzenli ifade"),
        ("[text]\n[[text.rule]]\nas = 'results'\n", "match, columns ya da path"),
        ("[text]\n[[text.rule]]\nmatch = '.{%en%}'\nas = 'results'\n", "%en% adlı parametre"),
        ("[text]\n[[text.rule]]\nmatch = '.'\nas = 'results'\ncells = 'x'\n", "cells adlı bir grup"),
        ("[text]\n[[text.rule]]\nmatch = '.'\nas = 'results'\n[text.rule.values]\nh1 = {test = '1h'}\n", "grup yok"),
        ("[text]\nread_nothing = true\n[specimen]\nfrom = ['O-3']\n", "yalnız ASTM ve HL7"),
        ("[table.columns]\nspecimen = ['a']\n", "[text], tablo ise [table]"),
        ("[text]\n[[text.rule]]\ncolumns = ['specimen']\nas = 'results'\n", "beklenen biçimde değil"),
    ],
)
def test_a_fault_of_a_text_definition_is_explained(tmp_path: Path, rest: str, says: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        definition(tmp_path, rest)
    assert says in str(caught.value)


def test_a_line_that_its_codec_does_not_know_is_explained(tmp_path: Path) -> None:
    head = HEAD.replace('kind = "block"', 'kind = "dimension"\ncheck = "xor"')
    with pytest.raises(DefinitionError, match="bilinmeyen ayar: check"):
        definition(tmp_path, "[text]\nread_nothing = true\n", head)


def test_columns_are_a_way_to_say_it(tmp_path: Path) -> None:
    made = definition(
        tmp_path,
        "[text]\nrefuse = true\n[[text.rule]]\ncolumns = ['-:1', 'specimen:8', 'value:4', 'flags:1']\nas = 'results'\n"
        "test = 'ESR'\nunit = 'mm/h'\nbegins = true\n",
    )
    (one,) = made.read(b"R26000145  23H").observations
    assert (one.specimen, one.test, one.value, one.number, one.unit, one.flags) == (
        "26000145", "ESR", "23", 23.0, "mm/h", ["H"],
    )  # fmt: skip
    assert made.read(b"R26000145  23").observations == []


def test_a_template_names_only_what_a_query_says(tmp_path: Path) -> None:
    rest = "[text]\n[[text.rule]]\nmatch = 'R(?P<specimen>.{8})'\nas = 'query'\n[answer]\norder = ['S{raf}']\n"
    with pytest.raises(DefinitionError, match="böyle bir grup yok"):
        definition(tmp_path, rest)


# ---- answers


def answered(catalog: Catalog, key: str, text: bytes, *tests: WorkTest, **order: Any) -> list[bytes]:
    made = catalog.get(key)
    (query,) = made.read(text).queries
    orders = [WorkOrder(specimen=name, known=True, tests=tests, **order) for name in query.specimens] if tests else []
    return made.answer(query, orders, now=NOW, sender="NUMUNE", control_id="n-1")


def test_au_the_answer_repeats_the_question_and_lists_the_tests(catalog: Catalog) -> None:
    query = b"R " + b"0012" + b"03" + b" " + b"0001" + b"26000145".rjust(20)
    answer = answered(catalog, "beckman-au5800", query, WorkTest("3"), WorkTest("012", dilution="1"))

    assert answer == [b"S " + query[2:] + b"    E" + b" " * 126 + b"0030" + b"0121"]
    assert answered(catalog, "beckman-au5800", query) == [b"SE"]


def test_ca_600_the_answer_keeps_the_head_and_lists_groups(catalog: Catalog) -> None:
    query = b"R2210101U010126090500120326000145     B           "
    answer = answered(catalog, "sysmex-ca-600", query, WorkTest("040"), WorkTest("050"))

    assert answer == [b"S2210101U010126090500120326000145     B           040      050      "]
    for nothing in answered(catalog, "sysmex-ca-600", query):
        assert nothing.endswith(b"000      ") and b"999" not in nothing


def test_advia_the_order_is_padded_with_zeros(catalog: Catalog) -> None:
    answer = answered(
        catalog,
        "siemens-advia-2120",
        b"Q 00000026000145",
        WorkTest("1", priority="S"),
        WorkTest("010"),
        patient=WorkPatient(identifier="4711", family_name="GİZLİ", sex="F"),
    )
    (order,) = answer
    assert order.startswith(b"Y  UA 00000026000145 ") and order.endswith(b"\r\n001010")
    assert b"4711" in order and b"G" not in order.replace(b"UA", b"")  # the name is not the counter's business
    assert answered(catalog, "siemens-advia-2120", b"Q 00000026000145") == [b"N W 00000026000145"]


def test_a_code_that_does_not_fit_its_column_is_our_mistake_and_is_told(catalog: Catalog) -> None:
    with pytest.raises(LocalError, match="sığmıyor"):
        answered(catalog, "siemens-advia-2120", b"Q 00000026000145", WorkTest("1234"))


# ---- tables


def sheet(rows: list[list[object]]) -> bytes:
    book, out = Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(out)
    return out.getvalue()


def test_a_worksheet_reads_as_it_is_shown(catalog: Catalog) -> None:
    data = sheet(
        [
            ["Rapor", None, None],
            ["Barcode", "Test", "Result", "Unit", "Date"],
            [26000145, "GLU", 5.2, "mmol/L", datetime(2026, 1, 1, 9, 5, 40)],
            [26000145, "CRP", "<0.6", "mg/L", None],
            [None, None, None, None, None],
        ]
    )
    first, second = catalog.get("generic-tablo").read(data).observations

    assert (first.specimen, first.test, first.number, first.measured_at) == (
        "26000145", "GLU", 5.2, "2026-01-01T09:05:40",
    )  # fmt: skip
    assert (second.value, second.number, second.flags) == ("<0.6", None, ["<"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1254"])
@pytest.mark.parametrize("separator", [";", ",", "\t"])
def test_a_csv_of_any_separator_and_character_set(catalog: Catalog, encoding: str, separator: str) -> None:
    text = separator.join(["Barkod", "Test", "Sonuç"]) + "\r\n" + separator.join(["26000145", "TİT", '"+1"']) + "\r\n"
    (one,) = catalog.get("generic-tablo").read(text.encode(encoding)).observations
    assert (one.specimen, one.test, one.value) == ("26000145", "TİT", "+1")


def test_a_row_that_was_cut_off_is_told(catalog: Catalog) -> None:
    reading = catalog.get("generic-tablo").read(b"Barkod;Test;Result;Unit\n26000145;GLU;5.2;mmol/L\n26000152;GL\n")
    assert len(reading.observations) == 1 and "1 satırın sütunları eksik" in (reading.problem or "")


def test_the_last_line_of_a_csv_may_be_12_of_123_and_is_not_read(catalog: Catalog, tmp_path: Path) -> None:
    """A writer that stopped for a while, or a full disk: every column is there, and the value is another one."""
    whole = "Barkod;Test;Sonuç\r\n26000145;GLU;95\r\n26000152;GLU;123\r\n".encode()
    generic = catalog.get("generic-tablo")
    for cut, values in ((0, ["95", "123"]), (1, ["95", "123"]), (2, ["95"]), (3, ["95"]), (4, ["95"]), (5, ["95"])):
        reading = generic.read(whole[: len(whole) - cut])
        assert [one.value for one in reading.observations] == values, cut
        assert ("Son satırın sonu yok" in (reading.problem or "")) == (cut > 1), cut
    assert [one.value for one in generic.read(whole.decode().encode("utf-16")).observations] == ["95", "123"]
    (tmp_path / "t.toml").write_text(WIDE.replace("[table]\n", "[table]\nopen_end = true\n"), encoding="utf-8")
    at_once = load_catalog(tmp_path).get("deneme-tablo")
    assert [one.value for one in at_once.read(b"Sample ID,Type,HGB\n26000145,P,13.4").observations] == ["13.4"]


def test_a_worksheet_that_is_half_there_is_told(catalog: Catalog) -> None:
    data = sheet([["Barcode", "Test", "Result"], [26000145, "GLU", 5.2]])
    reading = catalog.get("generic-tablo").read(data[: len(data) // 2])
    assert reading.observations == [] and "yarım" in (reading.problem or "")


WIDE = """
key = "deneme-tablo"
revision = 1
maker = "Deneme"
model = "D"
family = "chemistry"
protocol = "tablo"
source = "hand-written"
standing = "simulated"
directions = ["results"]
links = ["file"]
[table]
other_columns_are_tests = true
control = [{ kind = "QC" }]
[table.columns]
specimen = ["Sample ID"]
kind = ["Type"]
[table.tests]
"WBC (10^3/uL)" = { test = "WBC", unit = "10*3/uL" }
"""


def test_one_row_a_specimen_with_a_column_a_test(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_text(WIDE, encoding="utf-8")
    made = load_catalog(tmp_path).get("deneme-tablo")
    reading = made.read(b"Sample ID,Type,WBC (10^3/uL),HGB\n26000145,P,6.5,13.4\n26000152,P,7.1,\nQC1,QC,4.0,12.0\n")

    told = [(one.kind, one.specimen, one.test, one.value, one.unit) for one in reading.observations]
    assert told == [
        ("result", "26000145", "WBC", "6.5", "10*3/uL"),
        ("result", "26000145", "HGB", "13.4", None),
        ("result", "26000152", "WBC", "7.1", "10*3/uL"),
        ("qc", "QC1", "WBC", "4.0", "10*3/uL"),
        ("qc", "QC1", "HGB", "12.0", None),
    ]


# ---- whatever a peer sends


@pytest.mark.parametrize("key", TEXTS)
@given(data=st.binary(max_size=400))
@settings(max_examples=25, deadline=None)
def test_nothing_that_is_sent_raises(key: str, data: bytes) -> None:
    reading = CATALOG.get(key).read(data)
    assert len(reading.fingerprint) == 32
    decode_bytes(data, CATALOG, key)


@pytest.mark.parametrize("key", TEXTS)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_a_damaged_message_never_raises(key: str, data: st.DataObject) -> None:
    found = list(Path(__file__).with_name("messages").glob(f"{key}.[bc]*"))
    if not found:
        return
    message = bytearray(found[0].read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    decode_bytes(bytes(message), CATALOG, key)
