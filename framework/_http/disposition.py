"""`Content-Disposition` (RFC 6266): the name under which a response is to be saved."""

from __future__ import annotations

from urllib.parse import quote


def build_content_disposition(kind: str, filename: str) -> str:
    """Return the field value, such as `attachment; filename="a.txt"`.

    A name that could end the quoted text, start another parameter or is not ASCII is percent-encoded
    (RFC 8187); what UTF-8 does not have becomes a question mark.
    """
    if quote(filename, errors="replace") == filename:
        return f'{kind}; filename="{filename}"'
    return f"{kind}; filename*=utf-8''{quote(filename, safe='', errors='replace')}"
