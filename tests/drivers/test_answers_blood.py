"""What coagulation analysers and blood counters are told: bytes worked out by hand from the documented forms."""

from __future__ import annotations

from drivers.definition import Catalog
from drivers.messages import Query, WorkPatient
from tests.drivers.test_answers import AYSE, answered, asked, work


def test_dxh_answer_repeats_the_message_id_and_its_delimiters(catalog: Catalog) -> None:
    dxh = catalog.get("beckman-dxh-800")
    query = asked(dxh, "H|\\!~|8802||DxH|||||LIS||P|LIS2-A", "Q|1|!000004287888||ALL||||||||O", "L")

    assert query.specimens == ["000004287888"]
    assert answered(dxh, query, work("000004287888", "CD", "!R")) == [
        "H|\\!~|8802||NUMUNE|||||DxH||P|LIS2-A|20260101120005¶P|1¶"
        "O|1|000004287888||!!!CD\\!!!R|S||||||N||||Whole blood||||||||||Q¶L|1|N¶"
    ]
    assert answered(dxh, query) == ["H|\\!~|8802||NUMUNE|||||DxH||P|LIS2-A|20260101120005¶L|1|I¶"]


def test_cs_2500_gets_the_groups_for_the_place_that_it_named(catalog: Catalog) -> None:
    cs = catalog.get("sysmex-cs-2500")
    query = asked(
        cs,
        r"H|\^&|||CS-2500^^21768^^^Merkez^BV000001||||||||E1394-97",
        r"Q|1|000002^01^       26000152^B||^^^040^PT-INN-cal\^^^050^APTT-FS|0|20260101091000",
        "L|1|N",
    )

    assert answered(cs, query, work("26000152", "040", "050", patient=AYSE)) == [
        r"H|\^&|||||||||||E1394-97¶P|1¶O|1|000002^01^       26000152^B||^^^040\^^^050|R||||||N¶L|1|N¶"
    ]
    assert answered(cs, query) == [r"H|\^&|||||||||||E1394-97¶L|1|I¶"]


def test_sta_compact_header_is_the_one_it_sends_itself(catalog: Catalog) -> None:
    sta = catalog.get("stago-sta-compact")
    query = asked(sta, r"H|\^&|||99^2.00|||||||P|1.00|20260101091000", "Q|1|^26000152||ALL||||||||O", "L|1|N")

    assert answered(sta, query, work("26000152", "4", "5", patient=AYSE)) == [
        r"H|\^&|||99^2.00|||||||P|1.00|20260101120005¶P|1¶O|1|26000152||^^^4\^^^5|R¶L|1|N¶"
    ]


def test_sta_compact_asks_for_its_working_list(catalog: Catalog) -> None:
    sta = catalog.get("stago-sta-compact")
    query = asked(sta, r"H|\^&|||99^2.00|||||||P|1.00", "Q|1|ALL||ALL||||||||O", "L|1|N")

    assert (query.everything, query.specimens) == (True, [])
    (answer,) = answered(sta, query, work("26000152", "4"), work("26000160", "5"))
    assert "¶P|1¶O|1|26000152||^^^4|R¶P|2¶O|1|26000160||^^^5|R¶" in answer


def test_acl_top_all_tubes_in_one_message_and_unknown_ones_left_out(catalog: Catalog) -> None:
    acl = catalog.get("werfen-acl-top")
    query = asked(
        acl,
        "H|@^\\|12^12||acltop|||||LIS||P|1394-97|20260101091000",
        "Q|1|^1001@^1002@^1003||||||||||O@N",
        "L|1|N",
    )

    assert query.specimens == ["1001", "1002", "1003"]
    assert answered(acl, query, work("1001", "1551", "!1552"), work("1003", "1551")) == [
        "H|@^\\|12^12||LIS|||||acltop||P|1394-97|20260101120005¶"
        "P|1¶O|1|1001||^^^1551@^^^1552|S||||||A||||P||||||||||Q¶"
        "P|2¶O|1|1003||^^^1551|R||||||A||||P||||||||||Q¶L|1|N¶"
    ]


def test_acl_top_is_given_nothing_when_it_asks_for_all(catalog: Catalog) -> None:
    acl = catalog.get("werfen-acl-top")
    query = asked(acl, "H|@^\\|13^13||acltop|||||LIS||P|1394-97", "Q|1|^ALL||||||||||O@N", "L|1|N")

    assert (query.everything, query.specimens) == (False, [])
    assert answered(acl, query) == ["H|@^\\|13^13||LIS|||||acltop||P|1394-97|20260101120005¶L|1|I¶"]


def test_acl_elite_wants_an_order_record_for_each_test(catalog: Catalog) -> None:
    acl = catalog.get("werfen-acl-elite")
    query = asked(acl, r"H|\^&||||||||ACL9000||P|1|", "Q|1|^26000152", "L|1|N")
    bars = "|" * 21

    assert answered(acl, query, work("26000152", "001", "005")) == [
        r"H|\^&||||||||ACL9000||P|1|20260101120005¶P|1||||^^^^|||U¶"
        f"O|1|26000152||^^^001{bars}O¶O|2|26000152||^^^005{bars}O¶L|1|N¶"
    ]
    (nothing,) = answered(acl, query)
    assert nothing.split("¶")[2] == f"O|1|26000152||^^^000{bars}O"


def test_pentra_ml_order_that_the_host_sends_unasked(catalog: Catalog) -> None:
    """The form of the captured host: specimen in P-5, O-3 and O-4, birth date followed by two carets."""
    pentra = catalog.get("horiba-pentra-ml")
    patient = WorkPatient("061703", "ORNEK", "AYSE", "19800214", "F")

    assert answered(pentra, Query(specimens=["26000145"]), work("26000145", "CBC", "DIF", patient=patient)) == [
        r"H|\^&||||||||||P|1¶P|1||061703|26000145|ORNEK^AYSE||19800214^^|F¶"
        r"O|1|26000145|26000145|^^^CBC\^^^DIF|R||||||N||||||||||||||O¶L|1¶"
    ]
