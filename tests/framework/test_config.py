"""`Config`: where a setting comes from, what it becomes, and what is said when it cannot."""

from __future__ import annotations

import enum
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from framework.config import Config, Environ, EnvironError, environ
from framework.datastructures import URL, CommaSeparatedStrings, Secret

LINES = """
# A comment
PORT=8000
 NAME = "two words"  
export OTHER=x
EMPTY=
QUOTE='
MIXED="a'
TWICE=1
TWICE=2
URL=postgres://u:p@h/db?a=b#c
no line
#HIDDEN=1
"""  # noqa: W291 - blanks at the end of a line


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_text(LINES)
    return path


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "8000"),
        ("NAME", "two words"),
        ("export OTHER", "x"),
        ("EMPTY", ""),
        ("QUOTE", "'"),
        ("MIXED", "\"a'"),
        ("TWICE", "2"),
        ("URL", "postgres://u:p@h/db?a=b#c"),
    ],
)
def test_a_file_has_a_setting_a_line(file: Path, name: str, value: str) -> None:
    assert Config(file, environ={})(name) == value


def test_what_is_no_setting_is_left_out(file: Path) -> None:
    config = Config(str(file), environ={})

    assert len(config.file_values) == 8
    assert config("HIDDEN", default=None) is None


def test_the_environment_goes_before_the_file_and_that_before_the_default(file: Path) -> None:
    config = Config(file, environ={"PORT": "1", "ONLY": "2"})

    assert config("PORT", cast=int) == 1
    assert config("ONLY") == "2"
    assert config("TWICE", default="3") == "2"
    assert config("NONE", cast=int, default="3") == 3


def test_a_file_that_is_not_there_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "none"
    with pytest.warns(UserWarning, match=f"Config file '{path}' not found"):
        config = Config(path, environ={})

    assert config.file_values == {}


def test_a_file_has_an_encoding(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes("NAME=Ü".encode("latin-1"))

    assert Config(path, environ={}, encoding="latin-1")("NAME") == "Ü"


def test_a_prefix_is_put_before_every_name(file: Path) -> None:
    config = Config(file, environ={"APP_PORT": "1", "PORT": "2"}, env_prefix="APP_")

    assert config("PORT") == "1"
    with pytest.raises(KeyError, match="'APP_TWICE' is missing"):
        config("TWICE")


class Mode(enum.Enum):
    FAST = "fast"


@pytest.mark.parametrize(
    ("text", "cast", "value"),
    [
        ("5", int, 5),
        ("true", bool, True),
        ("TRUE", bool, True),
        ("1", bool, True),
        ("False", bool, False),
        ("0", bool, False),
        ("1.5", Decimal, Decimal("1.5")),
        ("fast", Mode, Mode.FAST),
        ("http://a/", URL, URL("http://a/")),
        ("ff", partial(int, base=16), 255),
    ],
)
def test_a_text_is_turned_into_what_cast_makes_of_it(text: str, cast: Any, value: Any) -> None:
    assert Config(environ={"X": text})("X", cast=cast) == value
    assert Config(environ={}).get("X", cast, text) == value


def test_lists_and_secrets_are_casts() -> None:
    config = Config(environ={"HOSTS": "a, b", "KEY": "swordfish"})

    assert list(config("HOSTS", cast=CommaSeparatedStrings)) == ["a", "b"]
    assert str(config("KEY", cast=Secret)) == "swordfish"
    assert "swordfish" not in repr(config("KEY", cast=Secret))


def test_a_default_of_none_is_left_as_it_is() -> None:
    assert Config(environ={})("X", cast=int, default=None) is None
    assert Config(environ={})("X", cast=bool, default=True) is True


def parse_port(text: str) -> int:
    if not 0 < int(text) < 65536:
        raise ValueError("a port is 1 to 65535")
    return int(text)


@pytest.mark.parametrize(
    ("text", "cast", "message"),
    [
        ("abc", int, "Config 'X' has value 'abc'. Not a valid int: invalid literal"),
        ("0", parse_port, "Config 'X' has value '0'. Not a valid parse_port: a port is 1 to 65535"),
        ("maybe", bool, "Config 'X' has value 'maybe'. Not a valid bool: true, false, 1 or 0"),
        ("", bool, "Config 'X' has value ''. Not a valid bool"),
        ("x", Decimal, "Config 'X' has value 'x'. Not a valid Decimal: "),
        ("slow", Mode, "Config 'X' has value 'slow'. Not a valid Mode"),
        ("slow", Mode.__getitem__, "Config 'X' has value 'slow'. Not a valid __getitem__: 'slow'"),
        ("zz", partial(int, base=16), "Config 'X' has value 'zz'. Not a valid partial: "),
    ],
)
def test_a_wrong_value_is_an_error_with_name_value_and_reason(
    text: str, cast: Any, message: str
) -> None:
    with pytest.raises(ValueError) as caught:
        Config(environ={"X": text})("X", cast=cast)

    assert str(caught.value).startswith(message)


class LongSecret(Secret):
    def __init__(self, value: str) -> None:
        if len(value) < 16:
            raise ValueError(f"{value!r} is too short")
        super().__init__(value)


def test_a_secret_is_not_in_the_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError) as caught:
        Config(environ={"KEY": "swordfish"})("KEY", cast=LongSecret)

    assert str(caught.value) == (
        "Config 'KEY' has a value that is not shown. Not a valid LongSecret"
    )
    assert caught.value.__suppress_context__
    assert caught.value.__cause__ is None


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(KeyError, match="Config 'X' is missing, and has no default"):
        Config(environ={})("X")


def test_what_was_read_can_no_longer_be_changed() -> None:
    values = Environ({"READ": "1", "FREE": "2", "ASKED": "3"})
    assert values["READ"] == "1"
    assert "ASKED" in values

    for name in ("READ", "ASKED"):
        with pytest.raises(EnvironError, match=f"set environ\\['{name}'\\], .* already been read"):
            values[name] = "x"
        with pytest.raises(EnvironError, match="delete"):
            del values[name]
    values["FREE"] = "x"
    del values["FREE"]
    assert (dict(values), len(values)) == ({"READ": "1", "ASKED": "3"}, 2)


def test_what_was_asked_for_in_vain_cannot_be_set_any_more() -> None:
    values = Environ({})
    assert values.get("LATE") is None

    with pytest.raises(EnvironError):
        values["LATE"] = "x"


def test_the_environment_is_that_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_TEST_SETTING", "1")

    assert environ["SLIPWAY_TEST_SETTING"] == "1"
    assert Config()("SLIPWAY_TEST_SETTING", cast=bool) is True
