"""A definition in the making, where a value was read, and bytes in words."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.anatomy import lay_open, parts_of
from drivers.capture import messages_in
from drivers.definition import Catalog, definition_file, load_catalog
from drivers.drafting import begin, complete, examine, forget, made, next_revision, places, point, readable, to_toml
from drivers.language import DefinitionError
from drivers.origins import trace
from drivers.wire_words import masked, seen, words_of

ASTM = (
    b"H|\\^&|||Acme^X1|||||||P|1|20260101120000\rP|1\rO|1|77|1001^12^3||^^^GLU|R\r"
    b"R|1|^^^GLU^x|5,4|mmol/L||N||F||||20260101115500\rR|2|^^^HCT|41|%||||F\rL|1|N\r"
)
HL7 = (
    b"MSH|^~\\&|ACME|X|||20260101||ORU^R01|1|P|2.3.1\rPID|1||P77\rOBR|1||1001|^\r"
    b"OBX|1|NM|GLU^Glukoz||5.4|mmol/L|4.1-5.9|H|||F|||20260101115500\r"
)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def test_every_definition_is_written_and_read_back_as_the_same(catalog: Catalog) -> None:
    for definition in catalog:
        table = next_revision(definition)
        assert definition_file(tomllib.loads(to_toml(table))) == definition_file(table), definition.key


def test_each_value_is_traced_to_the_component_that_says_it(catalog: Catalog) -> None:
    first, second = trace(catalog.generic("astm"), ASTM).origins
    assert first == {
        "specimen": "O-3", "test": "R-3.4", "value": "R-4", "unit": "R-5", "flags": "R-7", "status": "R-9",
        "measured_at": "R-13",
    }  # fmt: skip
    assert second["unit"] == "R-5" and "flags" not in second  # a sign without letters is traced, too
    (hl7,) = trace(catalog.generic("hl7"), HL7).origins
    assert {item: hl7[item] for item in ("specimen", "patient", "test", "value", "range", "measured_at")} == {
        "specimen": "OBR-3", "patient": "PID-3", "test": "OBX-3.1", "value": "OBX-5", "range": "OBX-7",
        "measured_at": "OBX-14",
    }  # fmt: skip


def test_pointing_changes_what_is_read_and_forgetting_takes_it_back(catalog: Catalog) -> None:
    table = begin("astm", catalog.generic("astm"))
    messages = messages_in(ASTM)
    table = point(table, "specimen", "O-2")
    draft = examine(table, catalog, messages)
    assert [one.specimen for one in draft.traced[0].reading.observations] == ["1", "1"]
    assert any("kaynak" in fault for fault in draft.faults) and draft.definition is None
    table = point(point(table, "specimen", "O-4.1"), "specimen", "O-3.1", more=True)
    assert places(table, catalog)["specimen"] == ["O-4.1", "O-3.1"]
    draft = examine(table, catalog, messages)
    assert draft.traced[0].reading.observations[0].specimen == "1001"
    assert "specimen" not in forget(table, "specimen")
    with pytest.raises(DefinitionError, match="sonuç kaydında olamaz"):
        readable(point(table, "specimen", "R-4"), catalog)
    with pytest.raises(DefinitionError, match="geçersiz yer"):
        point(table, "value", "R4")
    with pytest.raises(DefinitionError, match="alan türü"):
        point(table, "links", "R-4")


def test_a_part_of_a_typed_field_is_read_as_text(catalog: Catalog) -> None:
    table = point(point(begin("hl7", catalog.generic("hl7")), "value", "OBX-3.2"), "unit", "OBX-6.1")
    assert complete(table, catalog)["value"]["typed"] is False
    (traced,) = examine(table, catalog, messages_in(HL7)).traced
    assert traced.reading.observations[0].value == "Glukoz"


def test_a_whole_draft_is_a_definition_that_says_its_quirks(catalog: Catalog) -> None:
    head = {"key": "acme-x1", "maker": "Acme", "model": "X1", "source": "capture", "quirks": ["Virgüllü ondalık."]}
    table = point({**begin("astm", catalog.generic("astm")), **head}, "value", "R-4")
    draft = examine(table, catalog, messages_in(ASTM))
    assert draft.faults == [] and draft.warnings == []
    assert made(tomllib.loads(to_toml(table)), catalog).file.quirks == ["Virgüllü ondalık."]


@settings(max_examples=150, deadline=None)
@given(text=st.binary(max_size=300), header=st.sampled_from([b"", b"H|\\^&\r", b"MSH|^~\\&|\r", b"H", b"MSH"]))
def test_arbitrary_bytes_are_laid_open_without_raising(text: bytes, header: bytes) -> None:
    data = header + text
    for protocol in ("astm", "hl7"):
        for _, part in parts_of(lay_open(data, protocol)):  # type: ignore[arg-type]
            assert 0 <= part.start <= part.end <= len(data)
    words_of(data)
    assert len(masked(data)) == len(data)


def test_chunks_are_said_in_words() -> None:
    assert words_of(b"\x05") == ["ENQ: göndermek istiyor"]
    assert words_of(b"\x021H|\\^&\r\x03E5\r\n\x04") == ["çerçeve 1, H kaydı, son", "EOT: aktarım bitti"]
    assert "SAĞLAMA YANLIŞ" in words_of(b"\x021H|\\^&\r\x0300\r\n")[0]
    assert words_of(b"\x0b" + HL7 + b"\x1c\r") == ["HL7 bloğu ORU^R01, 4 bölüm"]
    assert masked(b"\x02R|1|5.4\r\x03") == b"\x02.......\r\x03"


@pytest.mark.parametrize(
    ("data", "protocol", "kind", "verdict", "words"),
    [
        (b"", "astm", "tcp-sunucu", "uyari", "Hiç bayt gelmedi"),
        (b"\x05", "astm", "seri", "iyi", "ENQ"),
        (b"\x0bMSH|^~\\&|", "astm", "tcp-sunucu", "uyari", "HL7 görünüyor, hat ise ASTM"),
        (b"\x0bMSH|^~\\&|", "hl7", "tcp-sunucu", "iyi", "HL7"),
        (b"H|\\^&\r", "astm", "seri", "iyi", "çerçevesiz"),
        (bytes(range(128, 200)), "astm", "seri", "kotu", "hız, parite"),
        (b"Sonuc: 5.4\r\n", "astm", "seri", "uyari", "düz metin"),
    ],
)
def test_what_a_line_seems_to_talk(data: bytes, protocol: str, kind: str, verdict: str, words: str) -> None:
    told = seen(data, protocol, kind)
    assert told[0] == verdict and words in told[1]
