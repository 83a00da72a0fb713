"""HTTP dates, held against `email.utils`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime, parsedate_to_datetime

import pytest
from hypothesis import given, strategies as st

from framework._http.cookies import build_set_cookie
from framework._http.dates import format_date, parse_date

EXAMPLE = 784111777


def build_moments(first: int, last: int) -> st.SearchStrategy[datetime]:
    """Return times with whole seconds, from the beginning of a year to the end of another."""
    start, end = datetime(first, 1, 1, tzinfo=UTC), datetime(last, 12, 31, 23, 59, 59, tzinfo=UTC)
    seconds = st.integers(int(start.timestamp()), int(end.timestamp()))
    return seconds.map(lambda moment: datetime.fromtimestamp(moment, UTC))


MOMENTS = build_moments(1, 9999)
# By this time the rule of RFC 9110 and the one of `email.utils` (69 and above are 19xx) agree.
AGREED_NOW = datetime(2018, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
LONG_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@pytest.mark.parametrize(
    "field",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Mon, 06 Nov 1994 08:49:37 GMT",
    ],
)
def test_the_examples_of_the_rfc_are_read(field: str) -> None:
    assert parse_date(field) == EXAMPLE


def test_a_date_is_written_as_imf_fixdate() -> None:
    assert format_date(EXAMPLE) == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert format_date(EXAMPLE + 0.999) == format_date(EXAMPLE)
    assert format_date(-0.5) == "Wed, 31 Dec 1969 23:59:59 GMT"


@given(MOMENTS)
def test_it_is_written_as_by_the_standard_library(moment: datetime) -> None:
    field = format_date(moment.timestamp())
    assert field == format_datetime(moment, usegmt=True)
    assert parse_date(field) == moment.timestamp()


@given(MOMENTS)
def test_asctime_is_read(moment: datetime) -> None:
    day, month, rest = moment.strftime("%a"), moment.strftime("%b"), moment.strftime("%H:%M:%S")
    field = f"{day} {month} {moment.day:2} {rest} {moment.year:04}"
    assert parse_date(field) == moment.timestamp()


@given(build_moments(1969, 2068))
def test_two_digit_years_are_read_as_by_the_standard_library(moment: datetime) -> None:
    clock = moment.strftime("%d-%b-%y %H:%M:%S")
    field = f"{LONG_DAYS[moment.weekday()]}, {clock} GMT"
    assert parse_date(field, AGREED_NOW) == parsedate_to_datetime(field).timestamp()


@pytest.mark.parametrize(
    ("now", "field", "year"),
    [
        ((2026, 6, 1), "Monday, 01-Jun-76 00:00:00 GMT", 2076),
        ((2026, 6, 1), "Monday, 01-Jun-76 00:00:01 GMT", 1976),
        ((2026, 6, 1), "Monday, 01-Jun-77 00:00:00 GMT", 1977),
        ((2026, 6, 1), "Monday, 01-Jun-25 00:00:00 GMT", 2025),
        ((2026, 6, 1), "Monday, 01-Jun-00 00:00:00 GMT", 2000),
        ((1999, 6, 1), "Monday, 01-Jun-94 00:00:00 GMT", 1994),
        ((2096, 2, 28), "Monday, 29-Feb-96 00:00:00 GMT", 2096),
    ],
)
def test_a_two_digit_year_over_50_years_ahead_is_past(
    now: tuple[int, int, int], field: str, year: int
) -> None:
    seconds = parse_date(field, datetime(*now, tzinfo=UTC).timestamp())
    assert seconds is not None
    assert datetime.fromtimestamp(seconds, UTC).year == year


@pytest.mark.parametrize(
    "field",
    [
        "",
        "yesterday",
        "sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 gmt",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sunday, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, \u0660\u0666 Nov 1994 08:49:37 GMT",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT\n",
        f"Sun, {'9' * 5000} Nov 1994 08:49:37 GMT",
        "x" * 100_000,
    ],
)
def test_anything_else_is_no_date(field: str) -> None:
    assert parse_date(field) is None


@given(st.text(alphabet="SunMoNvGT ,-:0123456789", max_size=32) | st.text())
def test_whatever_is_sent_nothing_is_raised(field: str) -> None:
    assert parse_date(field) is None or isinstance(parse_date(field), int)


def test_a_leap_second_is_the_next_one() -> None:
    assert parse_date("Sat, 31 Dec 2016 23:59:60 GMT") == parse_date(
        "Sun, 01 Jan 2017 00:00:00 GMT"
    )


@pytest.mark.parametrize("seconds", [1e12, -1e12, 1e300, float("inf"), float("nan")])
def test_a_year_without_four_digits_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match=r"four digits|NaN"):
        format_date(seconds)


@given(build_moments(1971, 2037), st.integers(-1439, 1439))
def test_a_cookie_expires_as_the_standard_library_writes_it(moment: datetime, zone: int) -> None:
    expires = moment.astimezone(timezone(timedelta(minutes=zone)))
    field = build_set_cookie(
        "a", "", max_age=None, expires=expires, path=None, domain=None, secure=False,
        httponly=False, samesite=None, partitioned=False,
    )  # fmt: skip
    assert field == f"a=; expires={format_datetime(expires.astimezone(UTC), usegmt=True)}"
