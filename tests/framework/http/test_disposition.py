"""The name under which a response is saved."""

from __future__ import annotations

from email.message import Message
from email.utils import collapse_rfc2231_value

import pytest
from hypothesis import given, strategies as st

from framework._http.disposition import build_content_disposition

NAMES = [
    ("a.txt", 'attachment; filename="a.txt"'),
    ("a-b_c~1.tar.gz", 'attachment; filename="a-b_c~1.tar.gz"'),
    ("a b.txt", "attachment; filename*=utf-8''a%20b.txt"),
    ("你好.txt", "attachment; filename*=utf-8''%E4%BD%A0%E5%A5%BD.txt"),
    ('x"; filename="evil.exe', "attachment; filename*=utf-8''x%22%3B%20filename%3D%22evil.exe"),
    ("a\r\nSet-Cookie: b", "attachment; filename*=utf-8''a%0D%0ASet-Cookie%3A%20b"),
    ("a\\b", "attachment; filename*=utf-8''a%5Cb"),
    ("ü/b", "attachment; filename*=utf-8''%C3%BC%2Fb"),
    ("a%20b", "attachment; filename*=utf-8''a%2520b"),
    ("\udcff", "attachment; filename*=utf-8''%3F"),
    ("", 'attachment; filename=""'),
]


@pytest.mark.parametrize(("name", "value"), NAMES)
def test_a_name_is_quoted_or_encoded(name: str, value: str) -> None:
    assert build_content_disposition("attachment", name) == value


@given(st.text())
def test_no_name_gets_out_of_its_parameter(name: str) -> None:
    value = build_content_disposition("inline", name)
    assert value.isascii()
    assert value.isprintable()
    message = Message()
    message["content-disposition"] = value
    kind, *parameters = message.get_params(header="content-disposition") or []
    assert kind == ("inline", "")
    ((key, text),) = parameters
    assert key == "filename"
    assert collapse_rfc2231_value(text) == name
