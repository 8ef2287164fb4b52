"""What the host says to the models whose order form is documented: bytes by hand from their documents and captures."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.capture import messages_in
from drivers.definition import Catalog, Definition
from drivers.messages import Query, WorkOrder, WorkPatient, WorkTest
from tests.drivers.test_answers import NOW

MESSAGES = Path(__file__).with_name("messages")
AYSE = WorkPatient("12345", "ORNEK", "AYSE", "19800214", "F")


def queries(definition: Definition) -> list[Query]:
    """The queries among a model's hand-written messages, without those taken back."""
    (path,) = [path for path in MESSAGES.glob(f"{definition.key}.*") if path.suffix != ".jsonl"]
    readings = [definition.read(message.text) for message in messages_in(path.read_bytes())]
    return [query for reading in readings for query in reading.queries if not query.cancels]


def answered(definition: Definition, query: Query, *codes: str, dilution: str = "") -> str:
    """The answer for the first tube of a query, records apart by ¶."""
    tests = tuple(WorkTest(code, dilution=dilution) for code in codes)
    order = WorkOrder(specimen=query.specimens[0], known=bool(codes), tests=tests, patient=AYSE, material="SER")
    messages = definition.answer(query, [order], now=NOW, sender="NUMUNE", control_id="n-1")
    return "¶¶".join(message.decode("cp1254").replace("\r", "¶") for message in messages)


ANSWERS = {
    # O-3 number, O-4 ignored, O-12 A, O-16 sample type, O-26 O\Q
    "roche-cobas-c111": r"H|\^&|||NUMUNE|||||DENEME LAB^Roche^c111^4.2.2.1730^1^90001|TSDWN^REPLY|P|1|20260101120005¶P|1¶"
    r"O|1|26004179||^^^1\^^^2|R||||||A||||1||||||||||O\Q¶L|1|N¶",
    # the place is copied with the padding of the number; the run (R1) is not repeated
    "roche-cobas-6000": r"H|\^&|||host^1|||||cobas6000|TSDWN^REPLY|P|1¶P|1¶"
    r"O|1|26004179              |0^5051^2^^S1^SC|^^^1^\^^^2^|R||||||A||||1||||||||||O¶L|1|N¶",
    "abbott-architect": r"H|\^&|||NUMUNE|||||ARCHITECT^9.45^9000123^H1P1O1R1C1Q1L1||P|1|20260101120005¶P|1¶"
    r"O|1|26004179||^^^1^\^^^2^|R||||||N||||||||||||||Q¶L|1|N¶",
    # one O for each test
    "abbott-alinity-ci": r"H|\^&|||NUMUNE|||||Alinity ci-series^3.6^SCM90012||P|LIS2-A2|20260101120005¶P|1¶"
    r"O|1|26004179||^^^1|R||||||N||||||||||||||Q¶O|2|26004179||^^^2|R||||||N||||||||||||||Q¶L|1|N¶",
    # the number is followed by ^; the repeat character is a backtick
    "erba-xl-1000": r"H|`^&|||NUMUNE||||||||E 1394-97|20260101120005¶P|1¶"
    r"O|1|26004179^||^^^1`^^^2|R|20260101120005|||||A||||Serum¶L|1|N¶",
    # the dilution stands before the first test only
    "ortho-vitros-3600": r"H|\^&|||NUMUNE||||||||LIS2-A|20260101120005¶P|1¶"
    r"O|1|26004179||^^^1.0000+1+1.0\2+1.0|R||20260101120005||||N||||5||||||||||O¶L|1|N¶",
    "beckman-access-2": r"H|\^&|||NUMUNE|||||ACCESS^900707||P|1|20260101120005¶P|1|12345¶"
    r"O|1|26004179||^^^1\^^^2|R||||||A||||Serum¶L|1|F¶",
    "siemens-advia-centaur": r"H|\^&|||NUMUNE|||||ACCP1||P|1|20260101120005¶P|1¶"
    r"O|1|26004179||^^^1\^^^2|R||||||||||||||||||||O\Q¶L|1|F¶",
    # password, sender and receiver as the analyser has them
    "siemens-immulite-2000": r"H|\^&||PAROLA|LABSIS|||||DPC||P|1|20260101120005¶P|1|12345¶"
    r"O|1|26004179||^^^1|R¶O|2|26004179||^^^2|R¶L|1¶",
    "diasorin-liaison-xl": r"H|\^&|||NUMUNE|||||LIAISONXL||P|1|20260101120005¶P|1¶"
    r"O|1|26004179||^^^1^\^^^2^|R||||||||||S||||||||||O¶L|1|F¶",
    "cepheid-genexpert": "H|@^\\|GXM-90000000004||NUMUNE|||||DENEME LAB - 900001^GeneXpert^6.5||P|1394-97|20260101120005¶P|1¶"
    "O|1|26004179||^^^1@^^^2|R|20260101120005|||||A||||ORH||||||||||Q¶L|1|N¶",
    # as a host's captured order
    "immucor-echo": r"H|\^&|||NUMUNE|||||Echo|||LIS2-A2|20260101120005¶P|1|12345|||ORNEK^AYSE||19800214|F¶"
    r"O|1|26004179||^^^1\^^^2|R||||||N||||Blood^Patient¶L|1|N¶",
}


@pytest.mark.parametrize("key", ANSWERS)
def test_an_order_in_the_words_of_the_model(key: str, catalog: Catalog) -> None:
    definition = catalog.get(key)

    assert answered(definition, queries(definition)[0], "1", "2") == ANSWERS[key]


def test_architect_gets_its_query_back_where_there_is_nothing_to_do(catalog: Catalog) -> None:
    definition = catalog.get("abbott-architect")
    answer = answered(definition, queries(definition)[0])

    assert answer.split("¶")[1:3] == ["Q|1|^26004179||^^^ALL||||||||X", "L|1|N"]


def test_genexpert_says_y_where_there_is_nothing_to_do(catalog: Catalog) -> None:
    definition = catalog.get("cepheid-genexpert")
    answer = answered(definition, queries(definition)[0])

    assert answer.split("¶")[2] == "O|1|26004179" + "|" * 23 + "Y"


@pytest.mark.parametrize(
    "key",
    [
        "abbott-alinity-ci", "erba-xl-1000", "ortho-vitros-3600", "beckman-access-2", "siemens-advia-centaur",
        "siemens-immulite-2000", "diasorin-liaison-xl", "immucor-echo",
    ],
)  # fmt: skip
def test_a_form_that_nobody_has_seen_is_not_invented(key: str, catalog: Catalog) -> None:
    """No documented answer for a tube without work: the host is silent, and the file tells the site so."""
    definition = catalog.get(key)

    assert answered(definition, queries(definition)[0]) == ""
    assert "answer.when_nothing" in definition.file.parameters


def test_interpretations_and_analytes_are_ordered_by_their_test(catalog: Catalog) -> None:
    """161 and 161^I are two rows of one test, UV2^TBPos and UV2^Rif two results of one cartridge."""
    architect, xpert = catalog.get("abbott-architect"), catalog.get("cepheid-genexpert")

    assert "|^^^161^2|" in answered(architect, queries(architect)[0], "161", "161^I", dilution="2")
    assert "|^^^UV2@^^^HIV-1|" in answered(xpert, queries(xpert)[0], "UV2^TBPos", "UV2^Rif", "HIV-1^LOG")


def test_echo_answers_five_queries_one_by_one(catalog: Catalog) -> None:
    definition = catalog.get("immucor-echo")
    first, second = queries(definition)

    assert "|26004179|" in answered(definition, first, "Screen")
    assert "|26004180|" in answered(definition, second, "Screen")


def test_erba_answers_every_tube_of_its_question_in_one_message(catalog: Catalog) -> None:
    definition = catalog.get("erba-xl-1000")
    (query,) = queries(definition)
    orders = [WorkOrder(specimen=name, known=True, tests=(WorkTest("Na"),)) for name in query.specimens]
    (message,) = definition.answer(query, orders, now=NOW, sender="NUMUNE", control_id="n-1")

    records = message.decode().split("\r")
    assert [record[:15] for record in records if record[:1] == "O"] == ["O|1|26004179^||", "O|1|26004180^||"]
