"""File names from clients become harmless path components."""

from __future__ import annotations

import ntpath
import posixpath

import pytest
from hypothesis import example, given, strategies as st

from framework._http.filenames import MAX_FILENAME_BYTES, find_safe_filename

DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} | {
    f"{name}{number}" for name in ("COM", "LPT") for number in range(10)
}


@pytest.mark.parametrize(
    ("filename", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("My Café 2026.tar.gz", "My Café 2026.tar.gz"),
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("C:\\Users\\me\\photo.jpg", "photo.jpg"),
        ("C:photo.jpg", "C_photo.jpg"),
        ("..\\..\\x.txt", "x.txt"),
        ("a/..\\b.txt", "b.txt"),
        ("x\0.txt", "x.txt"),
        ("x\r\nSet-Cookie: a.txt", "x Set-Cookie_ a.txt"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("..\uff0f..\uff0fx", "x"),
        ("a‥/b", "b"),
        (".bashrc", "bashrc"),
        ("...", None),
        ("..", None),
        (".", None),
        ("", None),
        (None, None),
        ("dir/", None),
        ("\0\x01", None),
        ("\ud800", None),
        ("   ", None),
        ("name. . ", "name"),
        ("a  \t b.txt", "a b.txt"),
        ("file.txt:stream", "file.txt_stream"),
        ('<>:"|?*', "_______"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("com1.tar.gz", "_com1.tar.gz"),
        ("COM¹.txt", "_COM1.txt"),
        ("aux .txt", "_aux .txt"),
        ("CONIN$", "_CONIN$"),
        ("console.log", "console.log"),
        ("com10", "com10"),
    ],
)
def test_table(filename: str | None, safe: str | None) -> None:
    assert find_safe_filename(filename) == safe


def test_a_long_name_keeps_its_extension() -> None:
    safe = find_safe_filename("ü" * 60_000 + ".jpeg")
    assert safe is not None
    assert safe.endswith("ü.jpeg")
    assert MAX_FILENAME_BYTES - 2 <= len(safe.encode()) <= MAX_FILENAME_BYTES


def test_a_long_extension_is_cut_too() -> None:
    safe = find_safe_filename("a." + "b" * 1000)
    assert safe is not None
    assert len(safe.encode()) <= MAX_FILENAME_BYTES


NAMES = (
    st.text()
    | st.text(alphabet="./\\ :\0\ncCoOnN1$\u202e\ud800é\uff3c", max_size=20)
    | st.text(alphabet="aé€😀. ", min_size=60, max_size=300)
    | st.sampled_from(sorted(DEVICES)).map(lambda name: f" {name.lower()}\u200b .x")
)


@given(NAMES)
@example("con" + " " * 300 + "x.txt")
@example("con" + "." * 300 + "x")
def test_whatever_comes_the_result_is_one_harmless_component(filename: str) -> None:
    safe = find_safe_filename(filename)
    if safe is None:
        return
    assert safe == ntpath.basename(safe) == posixpath.basename(safe)
    assert not set(safe) & set('/\\<>:"|?*')
    assert all(character.isprintable() for character in safe)
    assert safe[0] not in ". "
    assert safe[-1] not in ". "
    assert 0 < len(safe.encode()) <= MAX_FILENAME_BYTES
    assert safe.split(".")[0].rstrip().upper() not in DEVICES
    assert find_safe_filename(safe) == safe
