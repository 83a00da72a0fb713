"""Why a body is not JSON (RFC 8259), in words for the client that sent it."""

from __future__ import annotations

import json

from framework._defaults import MAX_EXPLAINED_JSON_BYTES
from framework.exceptions import JSONDecodeError


def explain_json_error(body: bytes, error: Exception) -> JSONDecodeError:
    """Return the error for a body that is not JSON, with the position where that is known.

    `error` is what the parser (msgspec) raised for it; a body over `MAX_EXPLAINED_JSON_BYTES` is not
    parsed a second time and gets that reason.
    """
    if not body:
        return JSONDecodeError("it is empty")
    if isinstance(error, RecursionError):
        return JSONDecodeError("it is nested too deeply")
    if len(body) <= MAX_EXPLAINED_JSON_BYTES:
        try:
            value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeDecodeError as exc:
            return JSONDecodeError("it is not UTF-8", exc.start, f" at byte {exc.start}")
        except UnicodeEncodeError:
            return JSONDecodeError("it holds a lone surrogate")
        except JSONDecodeError as exc:
            return exc
        except json.JSONDecodeError as exc:
            return JSONDecodeError(exc.msg, exc.pos, f" at character {exc.pos}")
        except (ValueError, RecursionError):
            pass
    elif isinstance(error, UnicodeDecodeError):
        return JSONDecodeError("it is not UTF-8")
    # What the standard library takes and RFC 8259 does not, or what is too large for it.
    return JSONDecodeError(str(error))


def _refuse_constant(name: str) -> None:
    """Refuse what the standard library takes for a number (RFC 8259 section 6)."""
    raise JSONDecodeError(f"it holds {name}")
