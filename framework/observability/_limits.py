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

# Frames of one traceback in a log line: the outer and the inner half are kept.
MAX_TRACEBACK_FRAMES: Final = 40

# Exceptions in one log line: the one that was raised, its causes, and the members of groups.
MAX_LOGGED_EXCEPTIONS: Final = 16

# Distinct (method, route, status) sets that get time series of their own, in each worker. One set is
# a counter and a histogram of 17 series, about 5 KiB in each worker's file; further sets share an
# overflow series.
MAX_LABEL_SETS: Final = 1000

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

# How often a worker measures its memory and open descriptors.
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
