"""How things are said and drawn: dates, ages, signs, bytes; no database, no browser."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.screens import drawing, words
from lis_core.storage.tables import LineState
from lis_core.views.boards import Health, line_health
from lis_core.views.signs import Sign, signs_of

NOON = datetime(2026, 11, 22, 9, 15, tzinfo=UTC)


def test_days_and_times_are_turkeys() -> None:
    assert words.moment(NOON) == "22.11.2026 12:15"
    assert words.day(datetime(2026, 11, 22, 22, 30, tzinfo=UTC)) == "23.11.2026"  # already tomorrow in Istanbul
    assert words.day(None) == "–"


@pytest.mark.parametrize(
    ("born", "said"),
    [
        (date(1980, 11, 22), "46 yaş"),
        (date(1980, 11, 23), "45 yaş"),
        (date(2026, 11, 10), "12 günlük"),
        (date(2025, 12, 22), "11 aylık"),
        (date(2024, 2, 29), "2 yaş"),
        (date(2030, 1, 1), "yaş ?"),
        (None, "yaş ?"),
    ],
)
def test_an_age_is_said_as_a_laboratory_needs_it(born: date | None, said: str) -> None:
    assert words.age(born, date(2026, 11, 22)) == said


def test_how_long_something_waits() -> None:
    for ago, said in ((20, "şimdi"), (240, "4 dk"), (7200, "2 sa"), (260_000, "3 gün")):
        assert words.waited(NOON - timedelta(seconds=ago), NOON) == said


def test_a_change_keeps_its_sign_and_stays_short() -> None:
    assert words.percent(Decimal("64.2")) == "+64 %"
    assert words.percent(Decimal("-24")) == "−24 %"
    assert words.percent(Decimal("0.3")) == "0 %"
    assert words.percent(Decimal(51_000)) == ">+999 %"
    assert words.percent(None) == ""


def test_names_are_called_in_turkish_capitals() -> None:
    assert words.short_name("ışıl", "şığırcı") == "ŞIĞIRCI ı."
    assert words.short_name("İpek", "Güneşli") == "GÜNEŞLİ İ."


def test_control_characters_have_names_and_markup_has_no_power() -> None:
    shown = str(words.visible_bytes(b"\x05\x021H|<b>\r\x0396\r\n\x04"))
    assert shown == (
        '<b class="control">&lt;ENQ&gt;</b><b class="control">&lt;STX&gt;</b>1H|&lt;b&gt;'
        '<b class="control">&lt;CR&gt;</b>\n<b class="control">&lt;ETX&gt;</b>96'
        '<b class="control">&lt;CR&gt;</b><b class="control">&lt;LF&gt;</b>\n<b class="control">&lt;EOT&gt;</b>'
    )


@given(st.binary(max_size=300))
def test_any_bytes_can_be_shown(raw: bytes) -> None:
    shown = str(words.visible_bytes(raw))
    assert "<script" not in shown
    assert all(letter == "\n" or letter >= " " for letter in shown)


def test_latin5_and_utf8_texts_are_read_as_they_were_meant() -> None:
    assert "Şığırcı" in str(words.visible_bytes("Şığırcı".encode()))
    assert "Şığırcı" in str(words.visible_bytes("Şığırcı".encode("iso8859-9")))


def test_signs_come_worst_first_and_a_plain_result_has_none() -> None:
    held = {"o": "H", "r": "REF/1", "why": ""}
    assert signs_of("", [], [{"o": "P", "r": "REF/1"}]) == ()
    assert signs_of("", ["N"], []) == ()
    assert signs_of("Y", [], [{"o": "W", "r": "REF/1"}]) == (Sign.HIGH,)
    assert signs_of("P!", ["HH"], [held]) == (Sign.PANIC, Sign.INSTRUMENT)
    assert signs_of("", [], [held]) == (Sign.HELD,)  # no flag, yet the rule could not decide: a person looks
    assert signs_of("D", [], [{"o": "H", "r": "DK-K/2"}]) == (Sign.DELTA, Sign.LOW)


@given(st.sampled_from(["", "Y", "D", "P!", "A"]), st.lists(st.text(max_size=5)), st.sampled_from("PWHN"))
def test_whatever_is_not_plain_carries_a_sign(flag: str, flags: list[str], outcome: str) -> None:
    """What H may take: no flag, nothing from the instrument but "normal", no rule that held or warned."""
    plain = not flag and not [text for text in flags if text.strip() not in ("", "N")] and outcome in "PN"
    assert (signs_of(flag, flags, [{"o": outcome, "r": "REF/1"}]) == ()) is plain


def test_every_state_of_a_line_has_its_colour_and_its_words() -> None:
    def line(**wanted: object) -> LineState:
        said: dict[str, object] = {"listening": True, "peers": 1, "updated_at": NOON, "errors": 0}
        return LineState(**(said | wanted))

    trouble = {"last_error": "Sağlama toplamı tutmadı.", "last_error_at": NOON}
    cases = [
        (None, Health.BAD, "bildirmiyor"),
        (line(updated_at=NOON - timedelta(minutes=5)), Health.BAD, "bildirmiyor"),
        (line(listening=False, last_error="Port dolu."), Health.BAD, "Port dolu."),
        (line(peers=0), Health.WARNING, "cihaz bağlı değil"),
        (line(**trouble), Health.WARNING, "Sağlama toplamı"),
        (line(**trouble, last_message_at=NOON + timedelta(seconds=1)), Health.GOOD, "Bağlı, çalışıyor."),
        (line(), Health.GOOD, "Bağlı, çalışıyor."),
    ]
    for state, health, sentence in cases:
        assert line_health(state, True, NOON)[0] is health
        assert sentence in line_health(state, True, NOON)[1]
    assert line_health(line(), False, NOON)[0] is Health.OFF


@given(st.lists(st.decimals(-(10**6), 10**6, places=2), max_size=12))
def test_a_sparkline_stays_in_its_line(values: list[Decimal]) -> None:
    drawn = drawing.sparkline(values)
    assert bool(drawn) is (len(values) >= 2)
    if drawn:
        points = drawn.split('points="')[1].split('"')[0].split()
        assert len(points) == len(values)
        assert all(0 <= float(point.split(",")[1]) <= drawing.HIGH for point in points)
