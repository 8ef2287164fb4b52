"""Tests as the hospital names them and as it reads them: catalogue code, LOINC beside it."""

from __future__ import annotations

from collections.abc import Sequence

from drivers.protocols.hl7 import Comp
from hbys_bridge.hl7.orders import LOINC, CodeSaid
from lis_core.services.catalog import Catalog, CatalogTest

LOCAL = "L"
"""HL7 table 0396: a local code, of the laboratory's catalogue."""


class UnclearCode(Exception):
    """A code that names no test, or more than one. The text is the end of a Turkish sentence."""


def named_test(known: Catalog, codes: Sequence[CodeSaid]) -> CatalogTest:
    """The one test (or panel) that OBR-4 names: by LOINC where the system is LN, else by catalogue code.

    A second code of some other system says nothing here; one that is LN or L must name the same test.
    Raises UnclearCode.
    """
    found: dict[int, CatalogTest] = {}
    several: list[str] = []
    for said in codes:
        if said.system.upper() == LOINC:
            tests = [test for test in known.test_by_code.values() if test.loinc == said.code and test.active]
            if len(tests) == 1:
                found[tests[0].id] = tests[0]
            elif tests:
                several += sorted(test.code for test in tests)
        elif said.component == 1 or said.system.upper() == LOCAL:
            test = known.test_by_code.get(said.code)
            if test is not None:
                found[test.id] = test
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise UnclearCode(f"iki ayrı tetkiki gösteriyor: {', '.join(test.code for test in found.values())}")
    if several:
        raise UnclearCode(f"birden çok tetkike uyuyor: {', '.join(several)}; katalog kodunu gönderin")
    raise UnclearCode("tetkik listesinde yok")


def service(code: str, name: str, loinc: str | None) -> Comp:
    """A test as OBR-4 and OBX-3 carry it."""
    return Comp(code, name, LOCAL, loinc, name, "LN") if loinc else Comp(code, name, LOCAL)
