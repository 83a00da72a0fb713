"""The `Vary` field (RFC 9110 section 12.5.5)."""

from __future__ import annotations


def add_vary(fields: list[tuple[bytes, bytes]], name: bytes) -> None:
    """Name a request field in `Vary`, in place, unless it stands there or everything does (`*`).

    Args:
        fields: the fields of a response as ASGI has them; several `Vary` fields become one.
        name: the request field, as it is to be written.
    """
    values = [value for field, value in fields if field == b"vary"]
    if not values:
        fields.append((b"vary", name))
        return
    value = b", ".join(filter(None, values))
    named = {each.strip() for each in value.lower().split(b",")}
    if b"*" in named or name.lower() in named:
        return
    merged = (b"vary", value + b", " + name if value else name)
    place = next(place for place, field in enumerate(fields) if field[0] == b"vary")
    fields[place] = merged
    rest = place + 1
    fields[rest:] = [field for field in fields[rest:] if field[0] != b"vary"]
