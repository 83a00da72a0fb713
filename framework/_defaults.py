"""Every limit and default of the framework, with its unit. Nothing is unlimited unless asked for."""

from __future__ import annotations

from typing import Final

# A body read whole into memory (`Request.body()`, `Request.json()`) when no `max_body_size` is set on
# the application, a mount or the route. `Request.stream()` buffers nothing and has no limit of its own.
MAX_BUFFERED_BODY_BYTES: Final = 32 * 1024 * 1024

# A body that is not JSON is read a second time to say where it goes wrong, up to this size.
MAX_EXPLAINED_JSON_BYTES: Final = 64 * 1024

# Digits that `{name:int}` accepts: every such number fits a signed 64-bit column. CPython refuses to
# convert more than 4,300 digits (CVE-2020-10735), which must never become a 500.
MAX_INT_DIGITS: Final = 18

# Characters that `{name:float}` accepts, sign excluded: more than any double needs.
MAX_FLOAT_CHARACTERS: Final = 64

# Frames of the traceback shown on the debug page, innermost first.
DEBUG_PAGE_FRAMES: Final = 20

# Source lines shown around the failing line of each frame.
DEBUG_PAGE_CONTEXT_LINES: Final = 7
