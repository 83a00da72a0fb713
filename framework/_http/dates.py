"""HTTP dates (RFC 9110 section 5.6.7), without `email.utils`, whose imports take longer than the core."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from time import gmtime, time
from typing import Final

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LONG_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_MAX_YEAR: Final = 9999

# Two-digit years this far ahead belong to the century before.
_MAX_YEARS_AHEAD: Final = 50

_CLOCK: Final = "(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_FORMS: Final = (
    # IMF-fixdate: Sun, 06 Nov 1994 08:49:37 GMT
    (
        _DAYS,
        re.compile(
            f"(\\w+), (?P<day>[0-9]{{2}}) (?P<month>\\w+) (?P<year>[0-9]{{4}}) {_CLOCK} GMT"
        ),
    ),
    # RFC 850: Sunday, 06-Nov-94 08:49:37 GMT
    (
        _LONG_DAYS,
        re.compile(
            f"(\\w+), (?P<day>[0-9]{{2}})-(?P<month>\\w+)-(?P<year>[0-9]{{2}}) {_CLOCK} GMT"
        ),
    ),
    # asctime: Sun Nov  6 08:49:37 1994
    (
        _DAYS,
        re.compile(f"(\\w+) (?P<month>\\w+) (?P<day>[0-9 ][0-9]) {_CLOCK} (?P<year>[0-9]{{4}})"),
    ),
)


def format_date(seconds: float) -> str:
    """Return a time as an IMF-fixdate, such as `Sun, 06 Nov 1994 08:49:37 GMT`.

    Args:
        seconds: since the epoch; fractions are cut off downwards.

    Raises:
        ValueError: the year has no four digits.
    """
    try:
        year, month, day, hour, minute, second, weekday, *_ = gmtime(seconds)
    except (OverflowError, OSError):
        year = -1
    if not 0 <= year <= _MAX_YEAR:
        raise ValueError(f"{seconds!r} seconds since the epoch are in no year of four digits")
    return (
        f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} "
        f"{hour:02}:{minute:02}:{second:02} GMT"
    )


def parse_date(field: str, now: float | None = None) -> int | None:
    """Return the seconds since the epoch of an HTTP date, None when it is none; never raises.

    All three forms are read, and nothing else. The name of the day is not compared with the date.

    Args:
        field: the text of the date.
        now: the time by which two-digit years are read, in seconds since the epoch; unless given,
            the time it is.
    """
    for weekdays, form in _FORMS:
        match = form.fullmatch(field)
        if match is not None and match[1] in weekdays:
            break
    else:
        return None
    parts = match.groupdict()
    if parts["month"] not in _MONTHS:
        return None
    year, month = int(parts["year"]), _MONTHS.index(parts["month"]) + 1
    rest = (month, *(int(parts[name]) for name in ("day", "hour", "minute", "second")))
    if len(parts["year"]) == 2:
        year = _find_century(year, rest, time() if now is None else now)
    return _count_seconds(year, *rest)


def _find_century(year: int, rest: tuple[int, ...], now: float) -> int:
    """Return the whole year: of this century, unless that is over 50 years ahead."""
    this_year, *this_rest = gmtime(now)[:6]
    year += this_year - this_year % 100
    is_ahead = (year - _MAX_YEARS_AHEAD, *rest) > (this_year, *this_rest)
    return year - 100 if is_ahead else year


def _count_seconds(
    year: int, month: int, day: int, hour: int, minute: int, second: int
) -> int | None:
    # A leap second, which only the clocks know, is the one after the 59th.
    leap = second == 60
    try:
        moment = datetime(year, month, day, hour, minute, second - leap, tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp()) + leap
