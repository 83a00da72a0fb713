"""Byte ranges (RFC 9110 section 14): which parts of a file a `Range` field asks for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from framework.exceptions import MalformedRangeHeader, RangeNotSatisfiable

# Where a range begins and, exclusively, ends.
ByteRange = tuple[int, int]

# No file is as long: a number with more digits means "beyond the end" and is not converted.
_MAX_DIGITS: Final = 18
_BEYOND: Final = 10**_MAX_DIGITS


def parse_ranges(field: str, size: int, max_ranges: int) -> list[ByteRange]:
    """Return the ranges that a `Range` field selects of `size` bytes: in order, none overlapping.

    An empty list means that the field is to be ignored: it has a unit other than bytes, or more than
    `max_ranges` ranges. What is no range at all is left out, and so is a range beyond the end beside
    others that are not.

    Raises:
        MalformedRangeHeader: there is no range in it, or one that ends before it begins.
        RangeNotSatisfiable: all ranges lie beyond the end.
    """
    unit, equals, specifiers = field.partition("=")
    if not equals:
        raise MalformedRangeHeader
    if unit.strip().lower() != "bytes" or specifiers.count(",") >= max_ranges:
        return []
    found = [_parse_range(specifier, size) for specifier in specifiers.split(",")]
    ranges = [each for each in found if each is not None]
    if not ranges:
        raise MalformedRangeHeader("Range header: range must be requested")
    satisfiable = [each for each in ranges if each[0] < size]
    if not satisfiable:
        raise RangeNotSatisfiable(size)
    if any(start >= end for start, end in satisfiable):
        raise MalformedRangeHeader("Range header: start must be less than end")
    return merge_ranges(satisfiable)


def merge_ranges(ranges: Iterable[ByteRange]) -> list[ByteRange]:
    """Return the ranges in order, those that touch or overlap as one (no amplification)."""
    merged: list[ByteRange] = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _parse_range(specifier: str, size: int) -> ByteRange | None:
    first, dash, last = (part.strip() for part in specifier.partition("-"))
    if not dash or not (first or last) or not _is_number(first) or not _is_number(last):
        return None
    if not first:
        return max(size - _convert(last), 0), size
    return _convert(first), min(_convert(last) + 1, size) if last else size


def _is_number(text: str) -> bool:
    return not text or (text.isascii() and text.isdigit())


def _convert(digits: str) -> int:
    # int() of very many digits is slow, and an error from 4,300 on (CVE-2020-10735).
    significant = digits.lstrip("0") or "0"
    return int(significant) if len(significant) <= _MAX_DIGITS else _BEYOND
