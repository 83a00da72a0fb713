"""Every limit and default of the observability package, with its unit."""

from __future__ import annotations

from typing import Final

# Characters of a request id taken from a client; longer ones are replaced.
MAX_REQUEST_ID_CHARACTERS: Final = 128

# Characters of a path in a log line. Servers accept paths of 64 KiB; a log line should not.
MAX_LOGGED_PATH_CHARACTERS: Final = 1024

# Characters of one text inside a structured value (an exception message, an item of a list).
MAX_NESTED_TEXT_CHARACTERS: Final = 8192

# Items of one list or mapping in a log line, and how deep such values may be nested.
MAX_LOGGED_ITEMS: Final = 100
MAX_LOGGED_DEPTH: Final = 6

# Bytes of one log line: what a pipe takes as a whole while other workers write to it. In a longer line
# texts are cut to so many characters and lists to so many items, further each time it is not enough.
MAX_LOGGED_LINE_BYTES: Final = 24 * 1024
LONG_LINE_CUTS: Final = ((1024, 100), (128, 100), (128, 8), (128, 2))

# Frames of one traceback in a log line: the outer and the inner half are kept.
MAX_TRACEBACK_FRAMES: Final = 40

# Exceptions in one log line: the one that was raised, its causes, and the members of groups.
MAX_LOGGED_EXCEPTIONS: Final = 16

# Equal warnings or errors that are written in a time, and that time. Different ones that are counted
# apart; one of them takes about 500 bytes.
LINES_OF_A_STORM: Final = 10
STORM_SECONDS: Final = 10.0
MAX_STORMS: Final = 1000

# How long a reader of the log may leave its pipe full before lines wait in memory, how many bytes of
# them wait in a process (further lines are dropped and counted), and how long they are waited for at its
# end.
SLOW_READER_SECONDS: Final = 0.05
MAX_WAITING_LOG_BYTES: Final = 1024 * 1024
LAST_LINES_SECONDS: Final = 0.5

# How long the last spans may take to be sent at the end of a process.
LAST_SPANS_SECONDS: Final = 3.0

# Distinct label sets of one metric that get time series of their own, in each worker; those of requests
# are (method, route, status). One set of a request is three counters and a histogram of 17 series, about
# 5 KiB in each worker's files. Further sets share overflow series, and are counted.
MAX_LABEL_SETS: Final = 1000

# Bytes of a new file of metrics, and the most that one grows to; what comes then is not published.
METRICS_FILE_BYTES: Final = 64 * 1024
MAX_METRICS_FILE_BYTES: Final = 16 * 1024 * 1024

# Types of unhandled exceptions that are counted each on its own, in each worker.
MAX_EXCEPTION_TYPES: Final = 100

# Upper bounds of the request duration histogram, in seconds: an API answers in well under 1 ms.
DURATION_BUCKETS_SECONDS: Final = (
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
)

# Names of background tasks that get time series of their own, in each worker. Names come from code,
# not from clients; this bounds functions that are made at run time.
MAX_TASK_NAMES: Final = 200

# Upper bounds of the background task duration histogram, in seconds.
TASK_DURATION_BUCKETS_SECONDS: Final = (0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0)

# Upper bounds of the histograms of the event loop's lag and of the life of WebSockets, in seconds.
LAG_BUCKETS_SECONDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)
CONNECTION_BUCKETS_SECONDS: Final = (0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 14400.0)

# How often a worker measures itself, and takes the numbers that others publish.
SAMPLE_INTERVAL_SECONDS: Final = 5.0

# A scrape that is younger than this is answered again: many scrapers cost as much as one.
SCRAPE_CACHE_SECONDS: Final = 1.0

# How long the exporter waits for its port. During a hand-over to a new master the old exporter
# holds it until its own master is gone.
BIND_RETRY_SECONDS: Final = 10.0
BIND_RETRY_INTERVAL_SECONDS: Final = 0.25

# How often the exporter looks whether its parent still lives.
PARENT_CHECK_INTERVAL_SECONDS: Final = 0.25

# A scraper that sends nothing for this long loses its connection.
SCRAPER_TIMEOUT_SECONDS: Final = 10.0

# Time that one report gives its dependency checks; they run at the same time.
READINESS_TIMEOUT_SECONDS: Final = 2.0

# How long the event loop may stand still before the watchdog reports it with its stack; how often the
# loop takes the time for that, and how often the watchdog's thread looks.
BLOCKED_LOOP_SECONDS: Final = 1.0
LOOP_BEAT_SECONDS: Final = 0.1
LOOP_LOOK_SECONDS: Final = 0.25
