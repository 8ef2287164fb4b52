"""Orders that go out unasked, for tubes of a load list: bytes worked out by hand."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from drivers.definition import Catalog, Definition, DefinitionError, load_catalog
from drivers.messages import WorkOrder, WorkPatient, WorkTest
from tests.drivers.test_answers import NOW

AYSE = WorkPatient("55", "ORNEK", "AYSE", "19800214", "F")
ORDER = WorkOrder(
    specimen="26000145",
    known=True,
    tests=(WorkTest("13", priority="S"), WorkTest("990")),
    patient=AYSE,
    material="SER",
    rack="12",
    position="3",
)


def pushed(definition: Definition, order: WorkOrder = ORDER) -> str:
    message = definition.push(order, now=NOW, sender="NUMUNE", control_id="n-1")
    return message.decode("cp1254").replace("\r", "¶")


@pytest.mark.parametrize(("action", "letter"), [("new", "N"), ("add", "A"), ("cancel", "C")])
def test_generic_names_carrier_and_position_and_what_is_meant(catalog: Catalog, action: str, letter: str) -> None:
    order = msgspec.structs.replace(ORDER, action=action)
    assert pushed(catalog.generic("astm"), order) == (
        r"H|\^&|||NUMUNE|||||||P|E1394-97|20260101120005¶"
        "P|1||55||ORNEK^AYSE||19800214|F¶"
        rf"O|1|26000145|^12^3|^^^13\^^^990|S||||||{letter}||||SER||||||||||O¶"
        "L|1|N¶"
    )


def test_cobas_6000_gets_rack_and_position_in_the_width_that_it_reports(catalog: Catalog) -> None:
    cobas = catalog.get("roche-cobas-6000")
    assert pushed(cobas) == (
        r"H|\^&|||host^1|||||H7600|TSDWN^BATCH|P|1¶P|1¶"
        r"O|1|              26000145|^00012^003^^S1^SC|^^^13^\^^^990^|S||||||A||||1||||||||||O¶L|1|N¶"
    )
    assert {"push.head", "push.order"} <= cobas.file.parameters.keys(), "what no document shows is said to be checked"
    assert cobas.file.push is not None and not cobas.file.push.by_itself


def test_a_pentra_that_never_asks_is_told_without_being_asked(catalog: Catalog) -> None:
    pentra = catalog.get("horiba-pentra-ml")
    assert pentra.file.query is None and pentra.file.push is not None and pentra.file.push.by_itself
    assert not pentra.takes_back
    assert "|P|1¶P|1||55|26000145|ORNEK^AYSE||19800214^^|F¶" in pushed(pentra)


def test_who_asks_is_told_nothing_unasked(catalog: Catalog) -> None:
    with pytest.raises(DefinitionError, match="sorulmadan"):
        pushed(catalog.get("sysmex-xn"))


def test_a_definition_based_on_another_sends_nothing_unasked_of_its_own(tmp_path: Path) -> None:
    """How a model takes such orders is never inherited, and a results-only definition stays one; nor is a range
    answered by templates that repeat the number asked for."""
    (tmp_path / "deneme.toml").write_text(
        'key = "deneme"\nrevision = 1\nbased_on = "generic-astm/1"\nmaker = "Deneme"\nmodel = "D"\nfamily = "x"\n'
        "directions = ['results', 'query']\n[answer]\norder = ['P|1', 'O|1|{Q-3}||{tests}']\n"
    )
    site = load_catalog(tmp_path).get("deneme")
    assert not site.pushes
    [query] = site.read(b"H|\\^&|||X\rQ|1|^1001|^1009|ALL\rL|1|N\r").queries
    assert (query.specimens, query.until) == (["1001"], None)


@pytest.mark.parametrize(
    ("order", "push", "says"),
    [
        ("O|1|{specimen}||{tests}", "order = ['O|1|{Q-3.2}||{tests}']", "sorgunun yerini"),
        ("O|1|{specimen}||{tests}", "actions = { add = 'A' }", "new gereklidir"),
        ("O|1|{specimen}|^{rack}|{tests}", "", "yalnız .push. içinde"),
    ],
)
def test_what_a_definition_cannot_mean_is_found_when_it_is_loaded(
    tmp_path: Path, order: str, push: str, says: str
) -> None:
    (tmp_path / "deneme.toml").write_text(
        'key = "deneme"\nrevision = 1\nbased_on = "generic-astm/1"\nmaker = "Deneme"\nmodel = "D"\nfamily = "x"\n'
        f"[answer]\norder = ['{order}']\n[push]\n{push}\n"
    )
    with pytest.raises(DefinitionError, match=says):
        load_catalog(tmp_path)
