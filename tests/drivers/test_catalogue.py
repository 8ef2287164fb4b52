"""Definition files: the grammar and its schema, what is refused and how, bases and revisions, speed of loading."""

from __future__ import annotations

import json
import tomllib
from importlib import import_module, resources
from pathlib import Path

import pytest

from drivers.definition import Catalog, DefinitionError, UnknownModel, load_catalog
from drivers.language import schema_text

MODELS = {
    "alcor-ised", "erba-elite-580", "euroimmun-analyzer-i", "generic-astm", "generic-esr", "generic-hl7",
    "generic-law", "mindray-bc-6800", "mindray-bs-240", "roche-cobas-c311", "roche-cobas-e411", "roche-elecsys-2010",
    "snibe-maglumi", "sysmex-xn", "sysmex-xp-300",
}  # fmt: skip

SMALL = """
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
[specimen]
from = ["O-3.1"]
[test]
from = ["R-3.4"]
[value]
from = ["R-4"]
"""


def loaded(folder: Path, *texts: str) -> Catalog:
    for number, text in enumerate(texts):
        (folder / f"t{number}.toml").write_text(text, encoding="utf-8")
    return load_catalog(folder)


def refused(folder: Path, *texts: str) -> str:
    with pytest.raises(DefinitionError) as caught:
        loaded(folder, *texts)
    return str(caught.value)


# ---- the catalogue


def test_the_catalogue_holds_the_models_of_the_demonstration(catalog: Catalog) -> None:
    assert {definition.key for definition in catalog} >= MODELS
    assert catalog.generic("astm").key == "generic-astm" and catalog.generic("hl7").key == "generic-hl7"


def test_every_definition_compiles_and_says_where_it_comes_from(catalog: Catalog) -> None:
    for definition in catalog:
        definition.prepare()
        assert definition.file.source and definition.file.quirks, definition.key
        if definition.standing == "replayed":
            assert definition.file.tested_with, definition.key


def test_an_unknown_model_is_refused_in_words(catalog: Catalog) -> None:
    with pytest.raises(UnknownModel, match=r"'yok-boyle' adlı bir cihaz tanımı yok"):
        catalog.get("yok-boyle")


def test_the_sender_is_a_hint(catalog: Catalog) -> None:
    """An XN-350 that calls itself XN-330 is an XN all the same; Elecsys says nothing and is never guessed."""
    assert [one.key for one in catalog.recognise("astm", "    XN-330^00-27^14184")] == ["sysmex-xn"]
    assert catalog.recognise("astm", "") == []


# ---- the grammar


def test_the_schema_file_is_what_the_grammar_says() -> None:
    """After a change of the grammar: python -m drivers.language"""
    kept = (resources.files("drivers") / "schema" / "instrument.schema.json").read_bytes()
    assert kept == schema_text()


def test_schema_and_grammar_accept_the_same_files() -> None:
    jsonschema = import_module("jsonschema")
    validator = jsonschema.Draft202012Validator(json.loads(schema_text()))
    for entry in (resources.files("drivers") / "catalog").iterdir():
        if entry.name.endswith(".toml") and "based_on" not in entry.read_text(encoding="utf-8"):
            assert list(validator.iter_errors(tomllib.loads(entry.read_text(encoding="utf-8")))) == [], entry.name


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('maker = "Deneme"\n', "", "zorunlu alan eksik: maker"),
        ('maker = "Deneme"', 'maker = "Deneme"\nmakr = "x"', "bilinmeyen alan: makr"),
        ('protocol = "astm"', 'protocol = "poct"', "protocol: 'poct' olamaz; seçenekler: astm, hl7"),
        ('from = ["R-4"]', "from = [4]", "value.from.0: 4 türü yanlış"),
        ('from = ["R-4"]', 'from = ["R4"]', "value.from.0: 'R4' beklenen biçimde değil"),
        ('key = "deneme-100"', 'key = "Deneme 100"', "key: 'Deneme 100' beklenen biçimde değil"),
        ('from = ["R-4"]', 'from = [{ at = "R-4", match = "(" }]', "geçersiz düzenli ifade"),
        ('from = ["R-4"]', 'from = ["O-9", "R-4"]', "sonucun kendi yerleri"),
        ('from = ["R-4"]', 'from = ["OBX-5"]', "bu protokolde böyle bir kayıt yok"),
        ('from = ["R-4"]', 'from = ["R-4"]\ntyped = true', "yalnız HL7'de"),
        ('from = ["O-3.1"]', 'from = ["R-3"]', "sonuç kaydında olamaz"),
        ('directions = ["results"]', 'directions = ["results", "query"]', "[query] ve [answer] gereklidir"),
        ('links = ["tcp"]', 'links = ["tcp"', "TOML okunamadı"),
        ('links = ["tcp"]', 'links = ["tcp"]\nencoding = "utf-99"', "böyle bir karakter kümesi yok"),
    ],
)
def test_a_fault_is_explained_in_turkish(tmp_path: Path, old: str, new: str, says: str) -> None:
    message = refused(tmp_path, SMALL.replace(old, new))

    assert says in message and message.startswith("t0.toml: ")


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("O|1|{specimn}", "geçersiz yer: 'specimn'"),
        ("O|1|{specimen:^22}", "biçimi anlaşılmıyor"),
        ("O|1|{specimen", "süslü parantez"),
    ],
)
def test_a_broken_template_is_found_when_it_is_loaded(tmp_path: Path, template: str, says: str) -> None:
    answer = f"[query]\nspecimen = [\"Q-3.2\"]\n[answer]\nhead = ['H|\\^&']\norder = ['{template}']\ntail = ['L|1|N']\n"

    assert says in refused(tmp_path, SMALL + answer)


def test_all_faults_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    message = refused(tmp_path, SMALL.replace('maker = "Deneme"\n', ""), SMALL.replace("R-4", "R4"))

    assert "t0.toml" in message and "t1.toml" in message


# ---- bases and revisions


def test_one_key_and_revision_cannot_be_said_twice(tmp_path: Path) -> None:
    assert "deneme-100/1 iki dosyada tanımlı" in refused(tmp_path, SMALL, SMALL)


def test_the_newest_revision_counts_and_older_ones_stay(tmp_path: Path) -> None:
    newer = SMALL.replace("revision = 1", "revision = 2").replace('"R-4"', '"R-4.2"')
    catalog = loaded(tmp_path, newer, SMALL)

    assert catalog.get("deneme-100").revision == 2
    assert catalog.get("deneme-100", 1).file.value.places == ["R-4"]


def test_a_definition_based_on_another_says_only_what_differs(tmp_path: Path) -> None:
    child = (
        'key = "deneme-200"\nrevision = 1\nbased_on = "deneme-100/1"\nmaker = "Deneme"\nmodel = "D-200"\n'
        'family = "chemistry"\nprotocol = "astm"\nsource = "x"\nstanding = "simulated"\ndirections = ["results"]\n'
        'links = ["tcp"]\n[value]\ndecimal = "comma"\n'
    )
    file = loaded(tmp_path, SMALL, child).get("deneme-200").file

    assert (file.model, file.value.places, file.value.decimal) == ("D-200", ["R-4"], "comma")
    assert "based_on: 'deneme-100/1' bulunamadı" in refused(tmp_path / "..", child)


def test_link_options_are_what_the_link_takes(catalog: Catalog) -> None:
    from drivers.protocols.astm_link import LinkOptions

    assert catalog.get("snibe-maglumi").link_options() == {"framing": "stx-etx", "checksum": "none"}
    for definition in catalog:
        if definition.protocol == "astm":
            LinkOptions(**definition.link_options())


def test_opening_a_catalogue_compiles_no_reader(tmp_path: Path) -> None:
    """A definition is compiled when its first message comes, so five hundred of them cost little to open: how little is
    measured in `benchmarks/decode.py`."""
    definitions = list(loaded(tmp_path, *(SMALL.replace("deneme-100", f"deneme-{number}") for number in range(20))))
    astm = [one for one in definitions if one.protocol == "astm"]

    assert len(astm) > 20 and not any("_reader" in vars(one) for one in astm)
    assert astm[0].read(b"") is not None and "_reader" in vars(astm[0])
