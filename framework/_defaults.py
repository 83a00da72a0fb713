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

# Threads in each event loop, by what they do; an application sets others on the pools of
# `framework.concurrency`. Sync endpoints, exception handlers, dependencies and iterators:
MAX_ENDPOINT_THREADS: Final = 40

# Opening, reading and writing files: uploads, file responses, static files.
MAX_FILE_THREADS: Final = 20

# Sync background tasks.
MAX_BACKGROUND_THREADS: Final = 20

# Routes that no request can reach, named in the log when an application starts; then only counted.
MAX_HIDDEN_ROUTES_LOGGED: Final = 20

# A response that is still being sent after this many seconds is watched for the client's disconnect.
# What is shorter goes out without a task beside it.
DISCONNECT_WATCH_DELAY_SECONDS: Final = 0.05

# Chunks that a stream which never waits may send before others get their turn.
CHUNKS_BETWEEN_CHECKPOINTS: Final = 64

# Ranges in one `Range` field; a field with more is ignored.
MAX_RANGES: Final = 100

# Bytes of a file that are read and sent at a time.
FILE_CHUNK_BYTES: Final = 64 * 1024

# Silence on an event stream after which a comment is sent, so that proxies do not cut it and a client
# that has vanished is noticed.
HEARTBEAT_SECONDS: Final = 15.0

# How often an event stream asks whether the server is about to stop.
DRAIN_POLL_SECONDS: Final = 0.5

# Forms. A form as a whole, files included, when no `max_body_size` is set (bytes).
MAX_FORM_BYTES: Final = 1024 * 1024 * 1024

# What a form may hold in memory: the text of its fields, and files that are not on disk (bytes). Files
# beyond it go to disk whatever their size; text beyond it is refused.
MAX_FORM_BUFFERED_BYTES: Final = 32 * 1024 * 1024

# Files of one form, and fields that are no files.
MAX_FORM_FILES: Final = 1000
MAX_FORM_FIELDS: Final = 1000

# A field that is no file, name and value (bytes).
MAX_FORM_PART_BYTES: Final = 1024 * 1024

# Header fields of one part of a multipart form, and name and value of each of them (bytes).
MAX_PART_HEADERS: Final = 8
MAX_PART_HEADER_BYTES: Final = 4096 + 128

# Parameters of the Content-Disposition of a part that is not written the usual way.
MAX_PART_HEADER_PARAMETERS: Final = 16

# The Content-Type of a form, and the boundary in it (RFC 2046 says 70; some clients take more).
MAX_FORM_CONTENT_TYPE_CHARACTERS: Final = 1024
MAX_BOUNDARY_CHARACTERS: Final = 256

# A file of a form stays in memory up to this size, then it goes to disk in writes of the second (bytes).
MAX_FILE_MEMORY_BYTES: Final = 1024 * 1024
FILE_WRITE_BYTES: Final = 512 * 1024

# A form up to this size leaves its body behind for `body()` and `stream()` (bytes).
MAX_KEPT_FORM_BYTES: Final = 1024 * 1024
