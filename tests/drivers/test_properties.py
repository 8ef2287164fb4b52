"""What must hold for every byte that a peer can send, and what reading may cost."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.capture import read_capture
from drivers.decode import KEYS, decode_bytes
from drivers.definition import Catalog, load_catalog
from drivers.values import iso_time, number
from tests.counting import python_calls

CATALOG: Catalog = load_catalog()
LETTERS = st.sampled_from([*'HPORCQLMSZ0123456789|\\^&@~!`\r\n\x02\x03\x04\x05\x17 .,<>-ABCXYZ"', "ş", "µ"])
TEXTS = st.text(LETTERS, max_size=200).map(lambda text: text.encode("utf-8"))
RECORDS = st.lists(
    st.tuples(st.sampled_from("HPORCQLMS"), st.lists(st.text(LETTERS, max_size=12), max_size=16)), max_size=12
).map(lambda records: b"H|\\^&\r" + "".join(k + "|" + "|".join(f) + "\r" for k, f in records).encode("utf-8"))
SEGMENTS = st.lists(
    st.tuples(
        st.sampled_from(["PID", "SPM", "SAC", "ORC", "OBR", "OBX", "NTE", "INV", "QPD", "QRD", "TQ1", "ZZZ"]),
        st.lists(st.text(LETTERS, max_size=12), max_size=20),
    ),
    max_size=12,
)
TYPES = st.sampled_from(["ORU^R01", "OUL^R22", "OML^O21", "ORM^O01", "QBP^Q11", "ACK", "ADT^A08", "", "X^Y"])


def any_hl7(type_and_segments: tuple[str, list[tuple[str, list[str]]]]) -> bytes:
    name, segments = type_and_segments
    body = "".join(n + "|" + "|".join(fields) + "\r" for n, fields in segments)
    return (f"MSH|^~\\&|||||20260101||{name}|1|P|2.5.1\r" + body).encode("utf-8")


relaxed = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])


@given(st.one_of(st.binary(max_size=300), TEXTS))
@relaxed
def test_arbitrary_bytes_never_raise(data: bytes) -> None:
    read_capture(data)
    for definition in CATALOG:
        definition.read(data)
    decoded = decode_bytes(data, CATALOG)
    assert all(tuple(line) == KEYS for line in decoded.lines)


@given(RECORDS)
@relaxed
def test_any_run_of_records_is_read_in_order(data: bytes) -> None:
    for definition in CATALOG:
        if definition.protocol == "astm":
            reading = definition.read(data)
            places = [one.raw["record"] for one in reading.observations]
            assert places == sorted(places)
            assert len(reading.fingerprint) == 32


@given(st.tuples(TYPES, SEGMENTS).map(any_hl7))
@relaxed
def test_any_run_of_segments_is_read(data: bytes) -> None:
    for definition in CATALOG:
        if definition.protocol == "hl7":
            reading = definition.read(data)
            places = [one.raw["record"] for one in reading.observations]
            assert places == sorted(places)


FIELD = st.text(st.sampled_from([*"ORX0123456789^&~ .,<>-", "ş"]), max_size=12)


@given(st.lists(st.tuples(st.sampled_from("PORCM"), st.lists(FIELD, max_size=16)), max_size=14))
@relaxed
def test_the_generic_definition_loses_no_result(records: list[tuple[str, list[str]]]) -> None:
    """As many results as there are R records, whatever stands in them, each with its own record's number."""
    lines = ["H|\\^&", *(f"{kind}|" + "|".join(fields) for kind, fields in records), "L|1|N"]
    reading = CATALOG.generic("astm").read("".join(line + "\r" for line in lines).encode())
    results = [one for one in reading.observations if one.replicate is not None]

    assert [one.raw["record"] for one in results] == [n for n, line in enumerate(lines, 1) if line[0] == "R"]


@given(st.text(max_size=20))
def test_numbers_and_times_never_raise(text: str) -> None:
    value = number(text)
    assert value is None or abs(value) < float("inf")
    iso_time(text)


def test_millions_of_digits_are_no_number_and_no_replicate() -> None:
    digits = "9" * 2_000_000
    law = f"MSH|^~\\&|||||20260101||OUL^R22|1|P|2.5.1\rSAC|||1\rOBR|1\rOBX|1|NM|K|{digits}|{digits}\r"
    (one,) = CATALOG.get("generic-law").read(law.encode()).observations

    assert (one.number, one.replicate) == (None, 1)


def test_a_flood_of_records_is_refused_before_it_fills_the_memory() -> None:
    for flood in (b"R\r" * 200_000, b"Q|1|" + b"^1\\" * 200_000 + b"\r", b"O|1|1||" + b"^^^K\\" * 200_000 + b"\r"):
        reading = CATALOG.generic("astm").read(b"H|\\^&\r" + flood + b"L|1|N\r")
        assert reading.observations == [] and reading.queries == [] and reading.problem is not None


def blood_count(results: int) -> tuple[bytes, bytes]:
    """One message with so many results, in ASTM and in HL7."""
    header = ["H|\\^&|||    XN-550^00-24^22723^^^^BD634545||||||||E1394-97", "P|1|||37182|^Ay^Yi||19870626|M",
              "O|1||2^1^            26000145^B|^^^^WBC\\^^^^RBC|||||||N||||||||||||||F"]  # fmt: skip
    rows = [f"R|{n}|^^^^T{n}^1|{n}.{n}|10*3/uL||N||F||||20260101120000" for n in range(1, results + 1)]
    segments = [
        "MSH|^~\\&|BC-6800|Mindray|||20260101120000||ORU^R01|5|P|2.3.1||||||UNICODE",
        "PID|1",
        "OBR|1||26000145",
    ]
    segments += [f"OBX|{n}|NM|{n}-7^T{n}^LN||{n}.{n}|10*9/L|4.00-10.00|N|||F" for n in range(1, results + 1)]
    astm = "".join(record + "\r" for record in [*header, *rows, "L|1|N"]).encode()
    return astm, "".join(segment + "\r" for segment in segments).encode()


@pytest.mark.parametrize(
    ("key", "form"), [("sysmex-xn", 0), ("generic-astm", 0), ("mindray-bc-6800", 1), ("generic-hl7", 1)]
)
def test_each_further_result_costs_the_same_few_calls(key: str, form: int) -> None:
    """What a message costs grows with its results and with nothing else. How fast that is: `benchmarks/decode.py`."""
    read = CATALOG.get(key).read
    once, twice, thrice = (blood_count(24 * times)[form] for times in (1, 2, 3))
    assert len(read(thrice).observations) == 72  # what texts mean is worked out once; all of them have been seen now
    costs = [python_calls(lambda message=message: read(message)) for message in (once, twice, thrice)]

    assert all(longer - shorter <= 24 * 5 for shorter, longer in pairwise(costs)), costs
