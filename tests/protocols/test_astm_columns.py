"""Reading many records together gives what reading each by itself gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols.astm_records import Columns, parse

PLACES = ((3, 4), 4, 5, 7)
FIELDS = st.lists(st.text(alphabet="AR1.^\\&S ", max_size=8), max_size=8)
HEADERS = st.sampled_from(["H|\\^&", "H|\\^", "H@^\\", "H\\!~"])


@given(HEADERS, st.lists(st.tuples(st.sampled_from("RrOC"), FIELDS), max_size=6))
def test_rows_are_what_component_gives_for_each_record(header: str, records: list[tuple[str, list[str]]]) -> None:
    field = header[1]
    message = parse("\r".join([header, *(field.join([kind, *fields]) for kind, fields in records), f"L{field}1"]))

    rows = message.rows(Columns("R", *PLACES))

    places = [place if isinstance(place, tuple) else (place, 1) for place in PLACES]
    assert rows == [tuple(record.component(n, c) for n, c in places) for record in message.of_type("R")]


def test_one_place_gives_rows_of_one() -> None:
    assert parse(b"H|\\^&\rR|1|^^^GLU|92\rL|1\r").rows(Columns("R", 4)) == [("92",)]


@pytest.mark.parametrize("places", [(), (1,), (4, 3), (4, 4), ((3, 0),)])
def test_places_that_are_none_are_refused(places: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="places"):
        Columns("R", *places)
