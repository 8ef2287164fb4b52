"""HL7 v2 times: DTM and TS, `YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]` (HL7 2.5.1, 2.A.22 and 2.A.77)."""

import re
from datetime import date, datetime, timedelta, timezone, tzinfo

from drivers.protocols.hl7_text import LocalError

_TIME = re.compile(
    r"([0-9]{4})([0-9]{2})([0-9]{2})"
    r"(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{3})|\.([0-9]+))?)?)?)?"
    r"([+-][0-9]{4})?"
)
_OFFSET_WITHOUT_SIGN = re.compile(r"([0-9]{14})([0-9]{4})")


def timestamp(moment: datetime, *, with_offset: bool = True) -> str:
    """A time as LAW wants it: `YYYYMMDDHHMMSS+ZZZZ`; without the offset for devices that would not read it.

    Raises LocalError for a naive time: a time without its zone is not a time.
    """
    offset = moment.utcoffset()
    if offset is None:
        raise LocalError("a time without a time zone")
    minutes = round(offset.total_seconds() / 60)  # zones before 1910 have seconds, HL7 has no place for them
    local = moment.astimezone(timezone(timedelta(minutes=minutes)))
    text = f"{local.year:04}{local.month:02}{local.day:02}{local.hour:02}{local.minute:02}{local.second:02}"
    if not with_offset:
        return text
    return f"{text}{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"


def parse_timestamp(text: str, zone: tzinfo) -> datetime | date | None:
    """What a field says about time: an aware datetime, a date where it says no minute, None where it says neither.

    zone: the device's own, for texts without an offset.
    Nothing is guessed: an impossible date, a bare year or month, words and 24:00 give None. Seen beyond the standard
    and read because they can mean one thing only: milliseconds without the point (17 digits), and an offset without
    its sign where it is the zone's own offset at that time (18 digits).
    """
    text = text.strip()
    found = _TIME.fullmatch(text)
    if found is None:
        return _without_sign(text, zone)
    year, month, day, hour, minute, second, without_point, with_point, offset = found.groups()
    try:
        if minute is None:
            return date(int(year), int(month), int(day))
        microsecond = int(((without_point or with_point or "") + "000000")[:6])
        clock = _offset(offset) if offset else zone
        return datetime(
            int(year), int(month), int(day), int(hour), int(minute), int(second or 0), microsecond, tzinfo=clock
        )
    except ValueError:
        return None


def _offset(text: str) -> timezone:
    """Raises ValueError for what no clock shows."""
    hours, minutes = int(text[1:3]), int(text[3:5])
    if hours > 14 or minutes > 59:
        raise ValueError(text)
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)


def _without_sign(text: str, zone: tzinfo) -> datetime | None:
    found = _OFFSET_WITHOUT_SIGN.fullmatch(text)
    if found is None:
        return None
    for sign in "+-":
        moment = parse_timestamp(f"{found[1]}{sign}{found[2]}", zone)
        local = parse_timestamp(found[1], zone)
        if isinstance(moment, datetime) and isinstance(local, datetime) and moment == local:
            return moment
    return None
