"""Every limit and default of the framework, with its unit. Nothing is unlimited unless asked for."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

# A body read whole into memory (`Request.body()`, `Request.json()`) when no `max_body_size` is set on
# the application, a mount or the route. `Request.stream()` buffers nothing and has no limit of its own.
MAX_BUFFERED_BODY_BYTES: Final = 32 * 1024 * 1024

# A body that is not JSON is read a second time to say where it goes wrong, up to this size.
MAX_EXPLAINED_JSON_BYTES: Final = 64 * 1024

# Text that a segment of a template may match that has two, three, and so on up to eight or more parameters
# which could share it in many ways, as `/{a}{b}x` does (characters). Trying all of them takes 5 ms for two
# and some hundredths of a second for more, whatever the client sends; without a limit it takes minutes.
MAX_SHARED_SEGMENT_CHARACTERS: Final = (1000, 250, 100, 50, 35, 28, 24)

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

# Body that has come while such a response is sent and that nobody has read yet: beyond it (bytes) the
# client is watched on only when some of it has been read.
MAX_WATCHED_BODY_BYTES: Final = 1024 * 1024

# Chunks that a stream which never waits may send before others get their turn.
CHUNKS_BETWEEN_CHECKPOINTS: Final = 64

# Messages that a WebSocket which never waits may receive, or send, before others get their turn.
MESSAGES_BETWEEN_CHECKPOINTS: Final = 256

# Ranges in one `Range` field; a field with more is ignored.
MAX_RANGES: Final = 100

# Bytes of a file that are read and sent at a time.
FILE_CHUNK_BYTES: Final = 64 * 1024

# Bytes of a static file that are read and sent at a time: each time costs a hop to a thread. A file
# that fits is kept in memory, up to so many bytes of content and so many files in each `StaticFiles` of
# each process.
STATIC_CHUNK_BYTES: Final = 128 * 1024
MAX_STATIC_CACHE_BYTES: Final = 16 * 1024 * 1024
MAX_STATIC_CACHE_FILES: Final = 1024

# A file in memory is compared with the one on disk at most this often, when it is asked for; so a
# change is noticed after this time at the latest.
STATIC_FRESH_SECONDS: Final = 0.1

# A file is kept in memory when its last change is this long ago. Changes within one tick of the clock
# of a file system (2 s on the coarsest, FAT) look the same.
STATIC_SETTLED_SECONDS: Final = 2.0

# Silence on an event stream after which a comment is sent, so that proxies do not cut it and a client
# that has vanished is noticed.
HEARTBEAT_SECONDS: Final = 15.0

# How often an event stream asks whether the server is about to stop, where it is not told.
DRAIN_POLL_SECONDS: Final = 0.5

# When the client of a stream that ends for that is to connect again, at random between the two: not all
# of them at once (milliseconds).
DRAIN_RETRY_MILLISECONDS: Final = (500, 3000)

# WebSockets with queues (`WebSocket.open`). What waits in one of them at once (bytes).
MAX_WEBSOCKET_QUEUE_BYTES: Final = 4 * 1024 * 1024

# How long a client may take to read what is sent to it, and how long the close frame is waited for when
# an endpoint ends (seconds).
WEBSOCKET_SEND_SECONDS: Final = 30.0
WEBSOCKET_CLOSE_SECONDS: Final = 2.0

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

# A key that signs (bytes): a shorter one can be found by trying. 32 random ones are usual.
MIN_SECRET_KEY_BYTES: Final = 16

# How long a session lasts after its last change: 14 days.
SESSION_MAX_AGE_SECONDS: Final = 14 * 24 * 60 * 60

# A session cookie, attributes included, over which browsers drop it; there is a warning (bytes).
SESSION_COOKIE_WARNING_BYTES: Final = 4093

# A session cookie that is not even verified (bytes).
MAX_SESSION_COOKIE_READ_BYTES: Final = 64 * 1024

# A body that an ETag is computed of, and the time of the loop that this may take with it (bytes).
MAX_ETAG_BODY_BYTES: Final = 1024 * 1024

# Templates that an environment keeps compiled; each is a file that was named and found.
MAX_CACHED_TEMPLATES: Final = 1000

# An `Accept-Encoding` field that is looked at; a longer one counts as none.
MAX_ACCEPT_ENCODING_CHARACTERS: Final = 1024

# An `Origin` that is compared with a pattern; a longer one is not allowed.
MAX_ORIGIN_CHARACTERS: Final = 512

# A `Host` field of a request that middleware decides by: the longest name that DNS has, and a port.
MAX_HOST_CHARACTERS: Final = 255 + len(":65535")

# A smaller body is not compressed (bytes).
MIN_COMPRESSED_BODY_BYTES: Final = 500

# A chunk of at least this size is compressed in a thread (bytes): inline it would hold the event loop
# up for about a millisecond or more. For `GZipMiddleware` as in Starlette.
MIN_COMPRESSION_THREAD_BYTES: Final = 64 * 1024
MIN_GZIP_THREAD_BYTES: Final = 128 * 1024

# Threads in each event loop that compress. They are busy all the time: more than cores help nobody.
MAX_COMPRESSION_THREADS: Final = 4

# Codings in the order in which they are offered, each with its level: about the same time for each.
COMPRESSION_LEVELS: Final = MappingProxyType({"zstd": 3, "br": 4, "gzip": 6})

# Rate limits. Keys that the memory shared by the workers of a machine has room for, 24 bytes each.
MAX_RATE_LIMIT_KEYS: Final = 64 * 1024

# The longest time that a rate limit is about: a day (seconds).
MAX_RATE_LIMIT_SECONDS: Final = 24 * 60 * 60

# How long a lock of the shared memory is waited for, and an answer of Redis (seconds).
RATE_LIMIT_LOCK_SECONDS: Final = 0.25
RATE_LIMIT_STORE_SECONDS: Final = 0.1

# How long Redis is not asked after a failure, and how often failures are logged (seconds).
RATE_LIMIT_PAUSE_SECONDS: Final = 1.0
RATE_LIMIT_LOG_SECONDS: Final = 60.0

# A request, from its beginning to the end of its response, under `TimeoutMiddleware` (seconds).
REQUEST_TIMEOUT_SECONDS: Final = 30.0

# Admission, in each process: requests served at once, requests that wait, and for how long (seconds).
MAX_REQUESTS_IN_FLIGHT: Final = 200
MAX_REQUESTS_WAITING: Final = 200
MAX_ADMISSION_WAIT_SECONDS: Final = 1.0

# When those that were not admitted may try again (seconds).
ADMISSION_RETRY_SECONDS: Final = 1

# A body for a WSGI application when no `max_body_size` is set (bytes). Over 1 MiB it is on disk.
MAX_WSGI_BODY_BYTES: Final = 1024 * 1024 * 1024

# Tasks of an application (`app.tasks`), in each process: those that run at once and those that wait.
MAX_TASKS_RUNNING: Final = 100
MAX_TASKS_WAITING: Final = 1000

# One attempt of a task; the pause after its first failure, which doubles with each further one, and
# the longest pause (seconds).
TASK_TIMEOUT_SECONDS: Final = 600.0
TASK_RETRY_SECONDS: Final = 0.5
MAX_TASK_RETRY_SECONDS: Final = 30.0

# How long a shutdown waits for tasks (seconds). The worker keeps five for the whole shutdown of the
# application, which has more to close.
TASK_DRAIN_SECONDS: Final = 4.0

# Tasks that were not finished, named in the log; then only counted.
MAX_TASKS_NAMED: Final = 20

# How often a worker asks whether the one that runs a periodic task is gone (seconds), and the part of
# its interval that is added to each pause at most.
PERIODIC_TAKEOVER_SECONDS: Final = 1.0
PERIODIC_JITTER: Final = 0.1

# Channels. An event (bytes), and the name of a topic (bytes of UTF-8).
MAX_CHANNEL_EVENT_BYTES: Final = 1024 * 1024
MAX_CHANNEL_TOPIC_BYTES: Final = 256

# Events that each process keeps of a topic; topics, and bytes of all of them, that it keeps.
CHANNEL_HISTORY_EVENTS: Final = 100
MAX_CHANNEL_HISTORY_TOPICS: Final = 10_000
MAX_CHANNEL_HISTORY_BYTES: Final = 16 * 1024 * 1024

# Events that may wait for one subscriber.
CHANNEL_SUBSCRIBER_EVENTS: Final = 256

# Events that are handed out, or sent to Redis, before subscribers get their turn.
CHANNEL_BATCH_EVENTS: Final = 64

# The log that the processes of a machine share (bytes): so far behind may one of them be.
CHANNEL_LOG_BYTES: Final = 16 * 1024 * 1024

# How often a process looks into that log without having been told to (seconds).
CHANNEL_POLL_SECONDS: Final = 1.0

# A process that holds the lock of the log for so long is stopped; the others leave the log to it.
CHANNEL_LOCK_SECONDS: Final = 1.0

# Events in the stream of Redis, roughly.
CHANNEL_STREAM_EVENTS: Final = 10_000

# How long Redis may take to answer, and how long a publisher waits for it to come back (seconds).
CHANNEL_CONNECT_SECONDS: Final = 2.0
CHANNEL_PUBLISH_SECONDS: Final = 5.0

# The pause before Redis is tried again; it doubles each time, up to the second (seconds).
CHANNEL_RETRY_SECONDS: Final = 0.1
MAX_CHANNEL_RETRY_SECONDS: Final = 5.0

# Publishers whose events are known, so that none is delivered twice.
MAX_CHANNEL_PUBLISHERS: Final = 1000
